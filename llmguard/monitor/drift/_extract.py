"""From an answer to a row of numbers, by an extractor that has a version of its own."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import field
from functools import cached_property
from typing import Any, Final

from ..._dataclass import dataclass
from ...errors import ConfigError
from ._context import CONTEXT
from ._embed import HASHED, hash_text, hash_words
from ._families import DETECTORS
from ._fields import NO_FIELDS, Fields
from ._rows import Row
from ._style import MARKS, MEASURES, STYLE, read_style

__all__ = ["Classifier", "Extractor", "prompt_text", "value_text"]

_PROMPT: Final = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Classifier:
    """A function of yours that says something about every answer.

    Attributes:
        name: What it is called in alarms and figures.
        function: Called with the text and the accepted value (None when there is
            none); returns whether the answer has a property, or a number.
        kind: `mark` for a property, `measure` for a number.
        version: Change it whenever the same answer may be judged otherwise.

    Raises:
        ConfigError: No name, or another `kind`.
    """

    name: str
    function: Callable[[str, object], float]
    kind: str = "mark"
    version: str = "1"

    def __post_init__(self) -> None:
        if not self.name or self.kind not in {"mark", "measure"}:
            raise ConfigError(
                f"classifier {self.name!r}: it needs a name, and `kind` must be 'mark' "
                f"(there or not) or 'measure' (a number), not {self.kind!r}"
            )


@dataclass(frozen=True, kw_only=True)
class Extractor:
    """Reads answers; two of them compare only when their ids are equal.

    Attributes:
        fields: Which fields of structured answers are watched.
        patterns: Regular expressions of yours, by name: found in the text or not.
        classifiers: Functions of yours.

    Raises:
        ConfigError: A pattern is no regular expression.
    """

    fields: Fields = NO_FIELDS
    patterns: Mapping[str, str] = field(default_factory=dict[str, str])
    classifiers: tuple[Classifier, ...] = ()

    def __post_init__(self) -> None:
        for name, pattern in self.patterns.items():
            try:
                re.compile(pattern)
            except re.error as error:
                raise ConfigError(
                    f"the pattern {name!r} is no regular expression: {error}; it is "
                    f"{pattern!r}"
                ) from None

    @cached_property
    def marks(self) -> tuple[str, ...]:
        """Names of everything that is there or not, in order."""
        mine = tuple(one.name for one in self.classifiers if one.kind == "mark")
        return (*MARKS, *self.fields.names[0], *self.patterns, *mine)

    @cached_property
    def measures(self) -> tuple[str, ...]:
        """Names of everything that is measured, in order."""
        mine = tuple(one.name for one in self.classifiers if one.kind == "measure")
        return (*MEASURES, *self.fields.names[1], *mine)

    @cached_property
    def id(self) -> str:
        """Digest of everything that decides a row, 16 hex digits."""
        document = {
            "versions": [STYLE, HASHED, CONTEXT, DETECTORS],
            "marks": self.marks,
            "measures": self.measures,
            "patterns": dict(self.patterns),
            "classifiers": [(one.name, one.version) for one in self.classifiers],
        }
        return hashlib.sha256(json.dumps(document).encode()).hexdigest()[:16]

    def read(self, text: str, value: object = None, prompt: str | None = None) -> Row:
        """Return one answer as numbers.

        A classifier that raises says nothing: False, or 0.0.

        Args:
            text: The answer as it was written.
            value: The value that the contract accepted; None for none.
            prompt: What it answers; None when that is not known.
        """
        marks, measures = read_style(text)
        field_marks, field_sizes = self.fields.read(value)
        found = tuple(pattern.search(text) is not None for pattern in self._compiled)
        said = [(one.kind, _say(one, text, value)) for one in self.classifiers]
        return Row(
            marks=(
                *marks,
                *field_marks,
                *found,
                *(n > 0 for kind, n in said if kind == "mark"),
            ),
            measures=(
                *measures,
                *field_sizes,
                *(n for kind, n in said if kind == "measure"),
            ),
            hashed=hash_text(text),
            prompt=None if prompt is None else hash_words(prompt),
            prompt_size=0.0 if prompt is None else math.log1p(len(prompt)),
        )

    @cached_property
    def _compiled(self) -> tuple[re.Pattern[str], ...]:
        return tuple(re.compile(pattern) for pattern in self.patterns.values())


def _say(one: Classifier, text: str, value: object) -> float:
    try:
        said = float(one.function(text, value))
    except Exception:  # noqa: BLE001 - a function of the user's may raise anything
        return 0.0
    return said if math.isfinite(said) else 0.0


def prompt_text(inputs: Mapping[str, object]) -> str:
    """Return a call's arguments as one text, 4,000 characters of each."""
    parts: list[str] = []
    for name, value in inputs.items():
        try:
            text = value if isinstance(value, str) else repr(value)
        except Exception:  # noqa: BLE001 - a foreign `__repr__` may raise anything
            text = name
        parts.append(text[:_PROMPT])
    return "\n".join(parts)


def value_text(value: Any) -> str:
    """Return an accepted value as text: itself, or its JSON."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):
        return str(type(value).__name__)
