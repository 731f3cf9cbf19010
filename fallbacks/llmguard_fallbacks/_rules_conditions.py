"""When a rule fires: small conditions that say what they captured.

A condition returns None when it does not hold, else what it captured, by name; `then`
may use these captures. `names` are the captures that are there whenever it holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol, TypeAlias, cast, runtime_checkable

from llmguard.errors import ConfigError

from ._rules_text import fold, keyword_pattern, pick, refuse_slow, text_of

__all__ = [
    "Captures",
    "Condition",
    "all_of",
    "any_of",
    "keyword",
    "lookup",
    "not_",
    "regex",
    "threshold",
]

Captures: TypeAlias = Mapping[str, object]
_NOTHING: Final[Captures] = MappingProxyType({})


@runtime_checkable
class Condition(Protocol):
    """One condition on the inputs of a call."""

    @property
    def names(self) -> frozenset[str]:
        """Names of the captures that are there whenever the condition holds."""
        ...

    def match(self, inputs: Mapping[str, object]) -> Captures | None:
        """Return what was captured, or None when the condition does not hold."""
        ...


@dataclass(frozen=True, slots=True)
class _Keyword:
    pattern: re.Pattern[str]
    field: str | None
    names: frozenset[str] = frozenset({"keyword"})

    def match(self, inputs: Mapping[str, object]) -> Captures | None:
        found = self.pattern.search(fold(text_of(inputs, self.field)))
        return None if found is None else {"keyword": found[0]}


@dataclass(frozen=True, slots=True)
class _Regex:
    pattern: re.Pattern[str]
    field: str | None

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self.pattern.groupindex)

    def match(self, inputs: Mapping[str, object]) -> Captures | None:
        found = self.pattern.search(text_of(inputs, self.field))
        return None if found is None else found.groupdict()


@dataclass(frozen=True, slots=True)
class _Lookup:
    table: Mapping[str, object]
    field: str
    names: frozenset[str]

    def match(self, inputs: Mapping[str, object]) -> Captures | None:
        key = fold(text_of(inputs, self.field)).strip()
        if key not in self.table:
            return None
        value = self.table[key]
        return {**_row(value), "value": value}


@dataclass(frozen=True, slots=True)
class _Threshold:
    field: str
    at_least: float | None
    above: float | None
    at_most: float | None
    below: float | None
    names: frozenset[str] = frozenset({"number"})

    def match(self, inputs: Mapping[str, object]) -> Captures | None:
        number = pick(inputs, self.field)
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            return None
        holds = (
            (self.at_least is None or number >= self.at_least)
            and (self.above is None or number > self.above)
            and (self.at_most is None or number <= self.at_most)
            and (self.below is None or number < self.below)
        )
        return {"number": number} if holds else None


@dataclass(frozen=True, slots=True)
class _All:
    parts: tuple[Condition, ...]

    @property
    def names(self) -> frozenset[str]:
        return frozenset[str]().union(*(part.names for part in self.parts))

    def match(self, inputs: Mapping[str, object]) -> Captures | None:
        captured: dict[str, object] = {}
        for part in self.parts:
            found = part.match(inputs)
            if found is None:
                return None
            captured = {**found, **captured}
        return captured


@dataclass(frozen=True, slots=True)
class _Any:
    parts: tuple[Condition, ...]

    @property
    def names(self) -> frozenset[str]:
        first, *rest = (part.names for part in self.parts)
        return first.intersection(*rest)

    def match(self, inputs: Mapping[str, object]) -> Captures | None:
        found = (part.match(inputs) for part in self.parts)
        return next((captured for captured in found if captured is not None), None)


@dataclass(frozen=True, slots=True)
class _Not:
    part: Condition
    names: frozenset[str] = frozenset()

    def match(self, inputs: Mapping[str, object]) -> Captures | None:
        return _NOTHING if self.part.match(inputs) is None else None


def keyword(*words: str, field: str | None = None) -> Condition:
    """Hold when one of the words or phrases stands in the text, as whole words.

    Case, accents and the width of white space do not matter; a trailing ``*`` matches
    any ending ("refund*" finds "refunded"). Captures `keyword`, as it was found.

    Args:
        *words: Words or phrases.
        field: Which input, as a dotted path; all text inputs by default.

    Raises:
        ConfigError: No word, or an empty one.
    """
    if not words or not all(fold(word).strip(" *") for word in words):
        raise ConfigError(
            f"`keyword` got {words!r}; give words or phrases, such as "
            "`keyword('refund*', 'money back')`"
        )
    return _Keyword(keyword_pattern(words), field)


def regex(
    pattern: str, *, field: str | None = None, ignore_case: bool = True
) -> Condition:
    """Hold when the pattern is found in the text; captures its named groups.

    Args:
        pattern: A Python regular expression.
        field: Which input, as a dotted path; all text inputs by default.
        ignore_case: Letters match in either case.

    Raises:
        ConfigError: Not a pattern, or one whose time can be exponential.
    """
    try:
        compiled = re.compile(pattern, re.IGNORECASE if ignore_case else 0)
    except re.error as error:
        raise ConfigError(f"the pattern {pattern!r} is not valid: {error}") from error
    refuse_slow(pattern)
    return _Regex(compiled, field)


def lookup(table: Mapping[str, object], *, field: str) -> Condition:
    """Hold when an input, without case and accents, is a key of the table.

    Captures `value`, the entry, and the entry's own keys when it is a mapping.

    Args:
        table: Entries by key.
        field: Which input, as a dotted path.

    Raises:
        ConfigError: An empty table, or two keys that differ only in case or accents.
    """
    folded = {fold(key).strip(): value for key, value in table.items()}
    if not table or len(folded) < len(table):
        raise ConfigError(
            f"`lookup` for {field!r} got {sorted(table)!r}; it needs keys that differ "
            "in more than case and accents"
        )
    rows = [frozenset(_row(value)) for value in table.values()]
    names = rows[0].intersection(*rows[1:]) | {"value"}
    return _Lookup(MappingProxyType(folded), field, names)


def _row(value: object) -> Captures:
    return cast("Captures", value) if isinstance(value, Mapping) else _NOTHING


def threshold(
    field: str,
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
) -> Condition:
    """Hold when a numeric input is within the limits; captures `number`.

    Anything that is not a number never holds.

    Args:
        field: Which input, as a dotted path.
        at_least: Inclusive lower limit.
        above: Exclusive lower limit.
        at_most: Inclusive upper limit.
        below: Exclusive upper limit.

    Raises:
        ConfigError: No limit.
    """
    if at_least is above is at_most is below is None:
        raise ConfigError(
            f"`threshold({field!r})` has no limit; give `at_least=`, `above=`, "
            "`at_most=` or `below=`"
        )
    return _Threshold(field, at_least, above, at_most, below)


def all_of(*conditions: Condition) -> Condition:
    """Hold when every condition holds; captures what all of them captured.

    Raises:
        ConfigError: Not a condition, or none at all.
    """
    return _All(_parts("all_of", conditions))


def any_of(*conditions: Condition) -> Condition:
    """Hold when one condition holds; captures what the first that holds captured.

    Raises:
        ConfigError: Not a condition, or none at all.
    """
    return _Any(_parts("any_of", conditions))


def not_(condition: Condition) -> Condition:
    """Hold when the condition does not; captures nothing.

    Raises:
        ConfigError: Not a condition.
    """
    return _Not(_parts("not_", (condition,))[0])


def _parts(name: str, conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
    given = cast("tuple[object, ...]", conditions)
    wrong = [part for part in given if not isinstance(part, Condition)]
    if wrong or not conditions:
        raise ConfigError(
            f"`{name}` got {wrong or conditions!r}; give conditions, such as "
            "`keyword('refund')`"
        )
    return conditions
