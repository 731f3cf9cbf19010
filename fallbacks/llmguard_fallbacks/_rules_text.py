"""What rules match against: the inputs of a call, picked, joined, folded, cut."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Final, TypeGuard

from llmguard._linear import repeats_a_repeat
from llmguard.errors import ConfigError

__all__ = ["LIMIT", "fold", "pick", "refuse_slow", "text_of"]

LIMIT: Final = 20_000
"""Characters of a text that rules look at; a bound on what one call can cost."""

_MISSING: Final = object()
_QUOTES: Final = str.maketrans({"\u2018": "'", "\u2019": "'", "\u00b4": "'", "`": "'"})


def fold(text: str) -> str:
    """Return the text without case, accents and typographic apostrophes."""
    # Before and after: some apostrophes decompose, others are what is left.
    plain = unicodedata.normalize("NFKD", text.translate(_QUOTES)).translate(_QUOTES)
    bare = "".join(char for char in plain if not unicodedata.combining(char))
    return bare.casefold()


def text_of(inputs: Mapping[str, object], field: str | None) -> str:
    """Return the text of one input, or of all text inputs, one per line.

    Args:
        inputs: The call's arguments by name.
        field: A dotted path such as ``ticket.subject``; None for all text inputs.
    """
    if field is not None:
        found = pick(inputs, field)
        return "" if found is None else str(found)[:LIMIT]
    texts = [value for value in inputs.values() if isinstance(value, str)]
    return "\n".join(texts)[:LIMIT]


def pick(inputs: Mapping[str, object], field: str) -> object:
    """Follow a dotted path through mappings and attributes; None when it ends."""
    found: object = inputs
    for name in field.split("."):
        if _is_table(found):
            found = found.get(name, _MISSING)
        else:
            found = getattr(found, name, _MISSING)
        if found is _MISSING:
            return None
    return found


def _is_table(value: object) -> TypeGuard[Mapping[str, object]]:
    return isinstance(value, Mapping)


def refuse_slow(pattern: str) -> None:
    """Refuse an open-ended repeat within another one: its time can be exponential.

    Raises:
        ConfigError: Such a pattern; possessive repeats (``++``) are fine.
    """
    if repeats_a_repeat(pattern):
        raise ConfigError(
            f"the pattern {pattern!r} repeats a repeat, which can take exponential "
            "time on hostile text; bound one of them (`{1,40}`) or make the inner one "
            "possessive (`++`, `*+`)"
        )


def keyword_pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    """Compile words and phrases to one linear pattern on word boundaries."""
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(_word, words))})(?!\w)")


def _word(word: str) -> str:
    stem = fold(word).strip()
    prefix = stem.endswith("*")
    parts = [re.escape(part) for part in stem.rstrip("*").split()]
    return r"\s+".join(parts) + (r"\w*" if prefix else "")
