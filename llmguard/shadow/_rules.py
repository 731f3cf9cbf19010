"""Which rule holds for a field: declared, from a schema, or told by its value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Final

from ..contract._pointer import split_field
from ._rule import Rule, inferred, kind_of, pattern_of, rules_of_schema

__all__ = ["Rules"]

_TEXT: Final = Rule(how="text")
_EXACT: Final = Rule(how="exact")
_CHOICE: Final = 40
_WORDS: Final = 3
_ARGUMENT: Final = 80
_ARGUMENT_WORDS: Final = 12
_REMEMBERED: Final = 4096


class Rules:
    """Rules by path: what was declared, then the schema, then the values.

    Without a schema a string of at most three words and 40 characters is a choice, a
    longer one prose; an argument of a tool call is a decision up to twelve words and 80
    characters, and its numbers have no tolerance: it is going to be executed.

    Args:
        schema: Of the answer.
        tools: Of the arguments, by tool.
        fields: Declared rules by field.

    Raises:
        ConfigError: A field's name has an empty part.
    """

    __slots__ = ("_known", "_patterns", "_schema")

    def __init__(
        self,
        *,
        schema: Mapping[str, object] | None,
        tools: Mapping[str, object],
        fields: Mapping[str, Rule],
    ) -> None:
        self._patterns = {pattern_of(name): rule for name, rule in fields.items()}
        self._schema = rules_of_schema(schema) if schema is not None else {}
        for name, given in tools.items():
            at = self.tool_path(name)
            self._schema |= {at + p: r for p, r in rules_of_schema(given).items()}
        self._known: dict[str, Rule | None] = {}

    @property
    def critical(self) -> tuple[str, ...]:
        """Paths declared critical: a change there alarms by itself."""
        named = {p for p, rule in self._patterns.items() if rule.critical}
        return tuple(sorted(named))

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path that is declared or in a schema."""
        return tuple(sorted({*self._patterns, *self._schema}))

    @staticmethod
    def tool_path(name: str) -> str:
        """Return the path of a tool's arguments."""
        return "/calls/" + name.replace("~", "~0").replace("/", "~1")

    def of(self, at: str, name: str, a: object, b: object) -> Rule:
        """Return the rule of a path, by the values where nothing was declared."""
        rule = self.declared(at)
        if rule is None:
            rule = _argument(a, b) if _is_argument(at) else _told(name, a, b)
        return rule

    def ignores(self, path: str) -> bool:
        """Tell whether differences on a path are left out."""
        rule = self.declared(path)
        return rule is not None and rule.how == "ignore"

    def declared(self, at: str) -> Rule | None:
        """Return what was declared, or is in the schema; None for neither."""
        if at in self._known:
            return self._known[at]
        rule, told = self._matching(at), self._schema.get(at)
        if rule is None:
            rule = told
        elif told is not None and told.choices and rule.how == "exact":
            # Declared again, to be critical: its values are still those of the schema.
            rule = replace(rule, choices=True)
        if len(self._known) < _REMEMBERED:
            self._known[at] = rule
        return rule

    def document(self) -> dict[str, Any]:
        """Return the rules as JSON-able data."""
        return {
            p: asdict(r) for p, r in sorted((self._schema | self._patterns).items())
        }

    def _matching(self, at: str) -> Rule | None:
        if at in self._patterns:
            return self._patterns[at]
        if at.startswith("@"):
            return None
        parts = split_field(at) if at else ()
        best: tuple[tuple[int, int], Rule] | None = None
        for pattern, rule in self._patterns.items():
            wanted = () if pattern.startswith("@") else split_field(pattern)
            if not _fits(wanted, parts):
                continue
            # What is ignored is ignored with all below it, other rules hold for one.
            if len(wanted) < len(parts) and rule.how != "ignore":
                continue
            rank = len(wanted), -wanted.count("*")
            if best is None or rank > best[0]:
                best = rank, rule
        return best[1] if best else None


def _argument(a: object, b: object) -> Rule:
    """Return the rule of an argument of a tool call, which is going to be executed."""
    known = [value for value in (a, b) if value is not None]
    if any(isinstance(value, int | float) for value in known):
        booleans = all(isinstance(value, bool) for value in known)
        return Rule(how="exact" if booleans else "number")
    return _strings(known, _ARGUMENT, _ARGUMENT_WORDS)


def _is_argument(at: str) -> bool:
    return at.startswith("/calls/")


def _told(name: str, a: object, b: object) -> Rule:
    known = [value for value in (a, b) if value is not None]
    if not known or len({kind_of(value) for value in known}) > 1:
        return _EXACT
    rule = inferred(name, known[0])
    return _strings(known, _CHOICE, _WORDS) if rule.how == "text" else rule


def _strings(values: list[object], most: int, words: int) -> Rule:
    for value in values:
        if isinstance(value, str) and (len(value) > most or len(value.split()) > words):
            return _TEXT
    return _EXACT


def _fits(wanted: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    return 0 < len(wanted) <= len(parts) and all(
        want in {"*", part} for want, part in zip(wanted, parts, strict=False)
    )
