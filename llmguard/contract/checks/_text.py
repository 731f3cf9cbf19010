"""Text: its length, what it contains and what it must not."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sized
from typing import Final, Literal

from .._check import Check
from .._refusal import is_refusal
from .._show import oxford, show
from ._build import STRINGS, as_text, build, wrong

__all__ = [
    "contains",
    "length",
    "mentions",
    "not_contains",
    "not_refusal",
    "one_of",
    "pattern",
]

_SIZED: Final = frozenset({"string", "array", "object"})


def length(
    field: str = "",
    *,
    minimum: int | None = None,
    maximum: int | None = None,
    unit: Literal["items", "words"] = "items",
) -> Check:
    """Demand a size between bounds, both included.

    Args:
        field: Where the value is; empty for the whole value.
        minimum: The least that is allowed; None for no limit.
        maximum: The most that is allowed; None for no limit.
        unit: `items` counts characters, array items or object members; `words` counts
            words between white space.

    Raises:
        ConfigError: No bound, a negative one, or bounds that exclude all.
    """
    bounds = [bound for bound in (minimum, maximum) if bound is not None]
    if not bounds or bounds != sorted(bounds) or bounds[0] < 0:
        wrong("length", f"{minimum!r} to {maximum!r} is no range of sizes")
    if unit not in {"items", "words"}:
        wrong("length", f"`unit` is {unit!r}; it must be 'items' or 'words'")

    def fits(value: object) -> str | bool:
        size, noun = _size(value, unit)
        if minimum is not None and size < minimum:
            return f"must have at least {minimum} {noun}; the answer has {size}"
        if maximum is not None and size > maximum:
            return f"must have at most {maximum} {noun}; the answer has {size}"
        return True

    options = {"minimum": minimum, "maximum": maximum, "unit": unit}
    return build("length", fits, field=field, options=options, types=_SIZED)


def _size(value: object, unit: str) -> tuple[int, str]:
    if unit == "words":
        return len(as_text(value).split()), "words"
    if isinstance(value, str):
        return len(value), "characters"
    if isinstance(value, Sized):
        return len(value), "items"
    raise TypeError(f"needs something with a size, not {type(value).__name__}")


def pattern(regex: str, field: str = "", *, whole: bool = False) -> Check:
    """Demand text that a regular expression finds.

    Args:
        regex: Python's syntax, see `re`.
        field: Where the text is; empty for the whole value.
        whole: True when the whole text must match; by default any part of it.

    Raises:
        ConfigError: The regular expression is wrong.
    """
    try:
        compiled = re.compile(regex)
    except re.error as error:
        wrong("pattern", f"{regex!r} is no regular expression: {error}")
    test = compiled.fullmatch if whole else compiled.search

    def matches(value: object) -> str | bool:
        text = as_text(value)
        return test(text) is not None or (
            f"must match the pattern {show(regex)}; the answer has {show(text)}"
        )

    options = {"regex": regex, "whole": whole}
    return build("pattern", matches, field=field, options=options, types=STRINGS)


def _folded(text: str) -> str:
    """Make spellings that readers take for the same compare equal."""
    text = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").split())


def _exact(text: str) -> str:
    return text


def _wanted(name: str, texts: tuple[str, ...]) -> None:
    if not texts or not all(text.strip() for text in texts):
        wrong(name, f"give one text or more, none of them empty, not {texts!r}")


def contains(*texts: str, field: str = "", ignore_case: bool = True) -> Check:
    """Demand that every one of `texts` stands in the text.

    Args:
        texts: What must be there, as parts of words too.
        field: Where the text is; empty for the whole value.
        ignore_case: False compares to the letter; by default case, kinds of blanks
            and forms of Unicode do not count.

    Raises:
        ConfigError: No text to look for, or an empty one.
    """
    _wanted("contains", texts)
    fold: Callable[[str], str] = _folded if ignore_case else _exact

    def has_all(value: object) -> str | bool:
        text = fold(as_text(value))
        absent = [show(one) for one in texts if fold(one) not in text]
        return f"must contain {oxford(absent, last='and')}" if absent else True

    options = {"texts": texts, "ignore_case": ignore_case}
    return build("contains", has_all, field=field, options=options, types=STRINGS)


def not_contains(*texts: str, field: str = "", ignore_case: bool = True) -> Check:
    """Demand that none of `texts` stands in the text; see `contains`.

    Raises:
        ConfigError: No text to look for, or an empty one.
    """
    _wanted("not_contains", texts)
    fold: Callable[[str], str] = _folded if ignore_case else _exact

    def has_none(value: object) -> str | bool:
        text = fold(as_text(value))
        found = [show(one) for one in texts if fold(one) in text]
        return f"must not contain {oxford(found)}" if found else True

    options = {"texts": texts, "ignore_case": ignore_case}
    return build("not_contains", has_none, field=field, options=options, types=STRINGS)


def mentions(*words: str, field: str = "") -> Check:
    """Demand that at least one of `words` stands in the text, as a whole word.

    Args:
        words: Words or phrases; case, kinds of blanks and forms of Unicode do not
            count.
        field: Where the text is; empty for the whole value.

    Raises:
        ConfigError: No word to look for, or an empty one.
    """
    _wanted("mentions", words)
    options = "|".join(re.escape(_folded(word)) for word in words)
    wanted = re.compile(rf"(?<!\w)(?:{options})(?!\w)")

    def has_one(value: object) -> str | bool:
        return wanted.search(_folded(as_text(value))) is not None or (
            f"must mention {oxford([show(word) for word in words])}"
        )

    return build(
        "mentions", has_one, field=field, options={"words": words}, types=STRINGS
    )


def one_of(*values: str | float | None, field: str = "") -> Check:
    """Demand one of a few values; 1, 1.0 and True are three different values.

    Raises:
        ConfigError: No value given.
    """
    if not values:
        wrong("one_of", "give the values that are allowed")
    allowed = {(type(value), value) for value in values}

    def is_allowed(value: object) -> str | bool:
        plain = getattr(value, "value", value)  # an enum member
        return (type(plain), plain) in allowed or (
            f"must be one of {oxford([show(one) for one in values])}; "
            f"the answer has {show(plain)}"
        )

    return build("one_of", is_allowed, field=field, options={"values": values})


def not_refusal(
    field: str = "", *, detector: Callable[[str], bool] = is_refusal
) -> Check:
    """Demand that a text inside the answer does not decline the request.

    Args:
        field: Where the text is; empty for the whole value.
        detector: Returns True for a refusal; the lexical one unless given.
    """

    def answers(value: object) -> str | bool:
        return not detector(as_text(value)) or "must answer, not decline"

    return build(
        "not_refusal",
        answers,
        field=field,
        options={"detector": None if detector is is_refusal else detector},
        types=STRINGS,
    )
