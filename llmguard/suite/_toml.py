"""Suites in TOML: a file that names the function, the cases and the assertions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, cast

from .._nested import read_toml
from ..errors import ConfigError
from ._cases import case_from, read_cases
from ._load import load_attribute
from ._near import did_you_mean
from ._suite import Suite
from ._toml_assert import read_assertions
from ._types import Case

__all__ = ["read_suite"]

_KEYS: Final = (
    "name",
    "function",
    "cases",
    "assert",
    "defaults",
    "alpha",
    "beta",
    "scope",
    "incumbent",
    "owner",
    "min_rounds",
    "n_min",
    "cap",
    "budget",
    "max_calls",
)
_OWN: Final = frozenset({"name", "function", "cases", "assert"})


def read_suite(path: Path) -> Suite:
    """Read a suite from a TOML file.

    ```toml
    function = "myapp.llm:triage"      # or "file.py:triage", beside this file
    cases = "triage.jsonl"             # or several, or [[cases]] tables
    [[assert]]
    expect = "schema"
    ```

    Args:
        path: The file; the paths in it start at its directory, and the suite's name is
            its stem unless it says so.

    Raises:
        ConfigError: It cannot be read, or something in it is wrong.
    """
    document = _document(path)
    where = str(path)
    for key in document:
        if key not in _KEYS:
            raise ConfigError(f"{where}: unknown key `{key}`; {_hint(key)}")
    function = document.get("function")
    if not isinstance(function, str):
        raise ConfigError(
            f"{where}: `function` is {function!r}; write the guarded function as "
            "`module:function`, such as 'myapp.llm:triage'"
        )
    base = path.resolve().parent
    loaded = load_attribute(function, base=base, where=where)
    return Suite(
        cast("str", document.get("name", path.stem)),
        cast("Callable[..., Any]", loaded),
        cases=_cases(document.get("cases"), base, where),
        assertions=read_assertions(document.get("assert", []), base, where),
        source=where,
        base=base,
        **_settings(document, where),
    )


def _document(path: Path) -> Mapping[str, Any]:
    try:
        return read_toml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"the suite {str(path)!r} cannot be read: {error}") from error


def _hint(key: str) -> str:
    if key in {"assertions", "assertion", "expect"}:
        return "assertions are tables headed `[[assert]]`"
    return did_you_mean(key, _KEYS)


def _settings(document: Mapping[str, Any], where: str) -> dict[str, Any]:
    found = {key: value for key, value in document.items() if key not in _OWN}
    for key in ("owner", "incumbent"):
        if not isinstance(found.get(key, ""), str):
            raise ConfigError(f"{where}: `{key}` is {found[key]!r}; write a text")
    return found


def _cases(given: object, base: Path, where: str) -> Callable[[], list[Case]]:
    """Return what reads the cases, each file once, when they are needed."""
    listed = isinstance(given, list)
    items = cast("list[object]", given) if listed else [given]
    if not items or not all(isinstance(each, str | dict) for each in items):
        raise ConfigError(
            f"{where}: `cases` is {given!r}; write a file, such as 'cases.jsonl', a "
            "list of files, or `[[cases]]` tables"
        )
    known = cast("list[str | dict[str, Any]]", items)

    def read() -> list[Case]:
        found: list[Case] = []
        for number, each in enumerate(known, 1):
            if isinstance(each, str):
                found += read_cases(base / each)
            else:
                found.append(case_from(each, where=f"{where}: case {number}"))
        return found

    return read
