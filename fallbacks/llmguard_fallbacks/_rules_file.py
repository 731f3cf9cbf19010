"""Rules from a TOML file, for people who change rules and not code."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from llmguard._nested import read_toml
from llmguard.errors import ConfigError

from ._rules_conditions import (
    Condition,
    all_of,
    any_of,
    keyword,
    lookup,
    not_,
    regex,
    threshold,
)
from ._rules_tier import NoDefault, Rule

__all__ = ["FileRules", "read_rules"]

_NULL: Final = "{null}"
_RULE_KEYS: Final = ("name", "then", "field", "confidence")


class FileRules(NamedTuple):
    """What a rules file holds."""

    rules: tuple[Rule, ...]
    mode: str
    default: object


def read_rules(path: Path) -> FileRules:
    """Read a rules file.

    Raises:
        ConfigError: Not readable, not TOML, an unknown key, or a rule that is none;
            the message names the file and the rule.
    """
    try:
        document = read_toml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"rules file {path} cannot be read: {error}") from error
    _known(f"{path}", document, ("mode", "default", "rule"))
    entries = document.get("rule", [])
    if not isinstance(entries, list) or not entries:
        raise ConfigError(f"{path} has no rules; write each under `[[rule]]`")
    mode = document.get("mode", "first")
    _typed(f"{path}", "mode", mode, str, "`first` or `merge`, in quotes")
    default = document["default"] if "default" in document else NoDefault()
    return FileRules(
        rules=tuple(_rule(path, entry) for entry in cast("list[object]", entries)),
        mode=mode,
        default=_with_nulls(default),
    )


def _rule(path: Path, entry: object) -> Rule:
    if not isinstance(entry, dict):
        raise ConfigError(f"{path}: {entry!r} is no rule; write `[[rule]]` above it")
    table = cast("dict[str, Any]", entry)
    where = f"{path}: rule {table.get('name', '?')!r}"
    for key in ("name", "then"):
        if key not in table:
            raise ConfigError(f"{where} has no `{key}`")
    _known(where, table, (*_RULE_KEYS, *_CONDITIONS))
    _typed(where, "name", table["name"], str, "a text")
    _typed(where, "confidence", table.get("confidence", 1), int | float, "a number")
    try:
        return Rule(
            table["name"],
            when=_condition(where, table, table.get("field")),
            then=_with_nulls(table["then"]),
            confidence=table.get("confidence"),
        )
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _condition(where: str, table: Mapping[str, Any], field: str | None) -> Condition:
    """Build the conditions of a table; several of them must all hold."""
    if field is not None:
        _typed(where, "field", field, str, "the name of an input")
    makers = ((key, make) for key, make in _CONDITIONS.items() if key in table)
    found = [make(where, table[key], field) for key, make in makers]
    if not found:
        raise ConfigError(f"{where} has no condition; one of {sorted(_CONDITIONS)}")
    return found[0] if len(found) == 1 else all_of(*found)


def _typed(where: str, key: str, value: object, kind: Any, what: str) -> None:
    if not isinstance(value, kind):
        raise ConfigError(f"{where}: `{key}` is {value!r}; write {what}")


def _keyword(where: str, value: object, field: str | None) -> Condition:
    words = cast("list[str]", value if isinstance(value, list) else [value])
    for word in words:
        _typed(where, "keyword", word, str, "a text, or a list of them")
    return keyword(*words, field=field)


def _regex(where: str, value: str, field: str | None) -> Condition:
    _typed(where, "regex", value, str, "a pattern, in single quotes")
    return regex(value, field=field)


def _lookup(where: str, value: object, field: str | None) -> Condition:
    if field is None or not isinstance(value, dict):
        raise ConfigError(f"{where}: `lookup` is a table, and needs `field`")
    return lookup(cast("dict[str, object]", value), field=field)


def _threshold(where: str, value: object, field: str | None) -> Condition:
    limits = ("at_least", "above", "at_most", "below")
    if field is None or not isinstance(value, dict):
        raise ConfigError(
            f"{where}: `threshold` is a table of {', '.join(limits)}, and needs `field`"
        )
    table = cast("dict[str, float]", value)
    _known(f"{where}: threshold", table, limits)
    for key, limit in table.items():
        _typed(where, f"threshold.{key}", limit, int | float, "a number")
    return threshold(field, **table)


def _each(where: str, value: object, field: str | None) -> list[Condition]:
    if not isinstance(value, list):
        raise ConfigError(f"{where}: {value!r} is no list of conditions")
    parts: list[Condition] = []
    for part in cast("list[Mapping[str, Any]]", value):
        _typed(where, "conditions", part, dict, "each as a table: `{ keyword = 'x' }`")
        _known(where, part, ("field", *_CONDITIONS))
        parts.append(_condition(where, part, part.get("field", field)))
    return parts


def _all_of(where: str, value: object, field: str | None) -> Condition:
    return all_of(*_each(where, value, field))


def _any_of(where: str, value: object, field: str | None) -> Condition:
    return any_of(*_each(where, value, field))


def _not(where: str, value: object, field: str | None) -> Condition:
    return not_(_each(where, [value], field)[0])


def _known(where: str, table: Mapping[str, Any], known: Iterable[str]) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, list(known), n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"known: {sorted(known)}"
            raise ConfigError(f"{where} has the unknown key `{key}`; {hint}")


def _with_nulls(value: object) -> object:
    """Replace the text `{null}`: TOML has no null, contracts often do."""
    if value == _NULL:
        return None
    if isinstance(value, dict):
        items = cast("dict[str, object]", value).items()
        return {key: _with_nulls(item) for key, item in items}
    if isinstance(value, list):
        return [_with_nulls(item) for item in cast("list[object]", value)]
    return value


_CONDITIONS: Final[Mapping[str, Callable[[str, Any, str | None], Condition]]] = {
    "keyword": _keyword,
    "regex": _regex,
    "lookup": _lookup,
    "threshold": _threshold,
    "all_of": _all_of,
    "any_of": _any_of,
    "not": _not,
}
