"""Settings of a comparison in a TOML file: where things are, how they are compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, TypeGuard

from ..._nested import read_json, read_toml
from ...contract import Contract
from ...errors import ConfigError
from .._judge import Thresholds
from .._ladder import Ladder
from .._rule import Rule
from ._records import Fields

__all__ = ["Settings", "ladder_of", "read_settings", "rule_of"]

_TABLES: Final = ("read", "ladder", "fields", "thresholds")
_LADDER: Final = frozenset(
    {"output", "schema", "tools", "register", "language", "length_ratio"}
    | {"length_note", "refusal", "clarification", "ordered_calls", "validate"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a file, or the options of the command, say.

    Attributes:
        read: Where in a record things are.
        ladder: How outputs are compared.
        thresholds: When to alarm.
    """

    read: Fields = field(default_factory=Fields)
    ladder: Ladder = field(default_factory=Ladder)
    thresholds: Thresholds = field(default_factory=Thresholds)


def read_settings(
    path: Path | None = None,
    *,
    read: Mapping[str, Any] | None = None,
    ladder: Mapping[str, Any] | None = None,
    rules: Mapping[str, Any] | None = None,
    thresholds: Mapping[str, Any] | None = None,
) -> Settings:
    """Read settings from a TOML file, and lay given ones over them.

    Args:
        path: The file; None for no file. Files it names lie beside it.
        read: Over its table `read`.
        ladder: Over its table `ladder`.
        rules: Over its table `fields`.
        thresholds: Over its table `thresholds`.

    Raises:
        ConfigError: The file is missing or wrong; the message names the entry.
    """
    given = {"read": read, "ladder": ladder, "fields": rules, "thresholds": thresholds}
    found = _file(path) if path else {}
    tables = {name: {**found.get(name, {}), **(given[name] or {})} for name in _TABLES}
    where = path.parent if path else Path()
    return Settings(
        read=Fields(**_known(tables["read"], Fields, "read")),
        ladder=ladder_of(tables["ladder"], tables["fields"], where),
        thresholds=Thresholds(**_known(tables["thresholds"], Thresholds, "thresholds")),
    )


def ladder_of(
    table: Mapping[str, Any], rules: Mapping[str, Any], where: Path
) -> Ladder:
    """Make a ladder of plain settings.

    Args:
        table: The ladder's arguments; `schema` and each of `tools` may be the name of
            a JSON file. `validate = false` takes the defaults of the fields from a
            schema and does not judge by it.
        rules: Rules by field: `number`, or `{how = "number", relative = 0.05}`.
        where: Folder that named files are looked for in.

    Raises:
        ConfigError: Something is wrong; the message names it.
    """
    strange = sorted(set(table) - _LADDER)
    if strange:
        raise ConfigError(
            f"the ladder has no setting {strange[0]!r}; its settings are "
            f"{', '.join(sorted(_LADDER))}"
        )
    options = {
        k: v for k, v in table.items() if k not in {"schema", "tools", "validate"}
    }
    schema = _schema(table.get("schema"), where)
    contract = None
    if schema is not None and table.get("validate", True):
        contract = Contract(schema, parse="lenient")
    tools = {n: _schema(each, where) for n, each in table.get("tools", {}).items()}
    return Ladder(
        contract=contract,
        schema=schema,
        tools=tools,
        fields={name: rule_of(name, rule) for name, rule in rules.items()},
        **options,
    )


def rule_of(name: str, given: object) -> Rule:
    """Return the rule that a word or a table stands for.

    Raises:
        ConfigError: It stands for none.
    """
    table: Mapping[str, Any] = {"how": given} if isinstance(given, str) else {}
    if _is_table(given):
        table = given
    known = {each.name for each in fields(Rule)}
    strange = sorted(set(table) - known)
    if not table or strange or "how" not in table:
        raise ConfigError(
            f"the rule of field {name!r} is {given!r}; write `exact`, `number`, "
            "`text`, `set` or `ignore`, or a table of `how` with `relative`, "
            "`absolute` or `critical`"
        )
    if table["how"] == "number" and not {"relative", "absolute"} & set(table):
        table = {**table, "relative": 0.01}
    try:
        return Rule(**table)
    except ConfigError as error:
        raise ConfigError(f"field {name!r}: {error}") from None


def _file(path: Path) -> dict[str, dict[str, Any]]:
    try:
        found = read_toml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"the settings {str(path)!r} cannot be read: {error}"
        ) from error
    except ValueError as error:
        raise ConfigError(f"{str(path)!r} is no TOML: {error}") from error
    strange = sorted(set(found) - set(_TABLES))
    if strange:
        raise ConfigError(
            f"{str(path)!r} has {strange[0]!r}; its tables are "
            f"{', '.join(f'[{name}]' for name in _TABLES)}"
        )
    return found


def _known(table: Mapping[str, Any], cls: type[Any], name: str) -> dict[str, Any]:
    known = {each.name for each in fields(cls)}
    strange = sorted(set(table) - known)
    if strange:
        raise ConfigError(
            f"[{name}] has no {strange[0]!r}; it has {', '.join(sorted(known))}"
        )
    return dict(table)


def _schema(given: object, where: Path) -> dict[str, object] | None:
    if given is None:
        return None
    if _is_table(given):
        return _unwrapped(given)
    path = where / str(given)
    try:
        found: object = read_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"the schema {str(path)!r} cannot be read: {error}"
        ) from error
    except ValueError as error:
        raise ConfigError(f"the schema {str(path)!r} is no JSON: {error}") from error
    if not _is_table(found):
        raise ConfigError(f"the schema {str(path)!r} is no JSON object")
    return _unwrapped(found)


def _unwrapped(schema: dict[str, Any]) -> dict[str, object]:
    """Return the schema inside of what providers take as a response format."""
    for name in ("json_schema", "schema"):
        inner = schema.get(name)
        if _is_table(inner) and "properties" not in schema:
            return _unwrapped(inner)
    return schema


def _is_table(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)
