"""Cases from Python, JSONL and CSV; every mistake is named with its place."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

from ..contract._digest import digest_of
from ..errors import ConfigError
from ._near import did_you_mean
from ._types import Boundary, Case

__all__ = ["CaseSource", "case_from", "load_cases", "read_cases"]

Documents: TypeAlias = Iterable[Case | Mapping[str, Any]]
CaseSource: TypeAlias = str | Path | Documents | Callable[[], Documents]
"""A JSONL or CSV file, cases or documents of the same keys, or what makes them."""

RESERVED: Final = (
    "id",
    "inputs",
    "expected",
    "tags",
    "slice",
    "boundary",
    "weight",
    "meta",
)
_BOUNDARIES: Final[Mapping[str, Boundary]] = {
    "": "",
    "answer": "answer",
    "refuse": "refuse",
}
_ID_DIGITS: Final = 8


def load_cases(source: CaseSource, *, base: Path) -> tuple[Case, ...]:
    """Return the cases of any source.

    Args:
        source: A path (`.jsonl`, `.ndjson` or `.csv`), an iterable of `Case` or of
            documents with the same keys, or a function that returns one.
        base: Where a relative path starts.

    Raises:
        ConfigError: A file cannot be read, or a case is malformed.
    """
    if isinstance(source, str | Path):
        return read_cases(base / source)
    found = source() if callable(source) else source
    return tuple(
        each if isinstance(each, Case) else case_from(each, where=f"case {number}")
        for number, each in enumerate(found, 1)
    )


def read_cases(path: Path) -> tuple[Case, ...]:
    """Read a JSONL or CSV file of cases, by its ending.

    Raises:
        ConfigError: It cannot be read, or a case in it is malformed.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise ConfigError(
            f"cases file {str(path)!r}: write `.jsonl` (one object per line) or `.csv`"
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise ConfigError(f"the cases {str(path)!r} cannot be read: {error}") from error
    return tuple(reader(text, path))


def case_from(document: object, *, where: str) -> Case:
    """Make a case of a document.

    Args:
        document: `inputs` (an object of arguments) and any of `id`, `expected`,
            `tags`, `slice`, `boundary`, `weight`, `meta`. Without `inputs`, every
            other key is an argument.
        where: Names the place in errors.

    Raises:
        ConfigError: A key or a value is wrong.
    """
    if not isinstance(document, Mapping):
        raise ConfigError(f"{where} is {document!r}: write an object of a case's keys")
    known = cast("Mapping[str, Any]", document)
    inputs = _inputs(known, where)
    return Case(
        id=_id(known, inputs, where),
        inputs=inputs,
        expected=known.get("expected"),
        has_expected="expected" in known,
        tags=_tags(known.get("tags", ()), where),
        slice=_text(known, "slice", where),
        boundary=_boundary(known, where),
        weight=_weight(known.get("weight", 1.0), where),
        meta=_object(known, "meta", where),
    )


def _inputs(document: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    if "inputs" not in document:
        return {k: v for k, v in document.items() if k not in RESERVED}
    for key in document:
        if key not in RESERVED:
            raise ConfigError(
                f"{where}: unknown key `{key}` beside `inputs`; "
                f"{did_you_mean(key, RESERVED)}. Arguments go into `inputs`"
            )
    return _object(document, "inputs", where)


def _id(document: Mapping[str, Any], inputs: Mapping[str, Any], where: str) -> str:
    if "id" not in document:
        try:
            made = digest_of(inputs)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{where} needs an `id`: {error}") from error
        return f"c-{made.removeprefix('sha256:')[:_ID_DIGITS]}"
    given = document["id"]
    if isinstance(given, int) and not isinstance(given, bool):
        given = str(given)
    if not isinstance(given, str) or not given.strip():
        raise ConfigError(f"{where}: `id` is {given!r}; write a short text")
    return given


def _object(document: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    found = document.get(key, {})
    if not isinstance(found, Mapping):
        raise ConfigError(f"{where}: `{key}` is {found!r}; write an object")
    return cast("Mapping[str, Any]", found)


def _text(document: Mapping[str, Any], key: str, where: str) -> str:
    found = document.get(key, "")
    if not isinstance(found, str):
        raise ConfigError(f"{where}: `{key}` is {found!r}; write a text")
    return found


def _tags(given: object, where: str) -> frozenset[str]:
    items = given.replace(",", " ").split() if isinstance(given, str) else given
    if not isinstance(items, Iterable):
        raise ConfigError(f"{where}: `tags` is {given!r}; write a list of words")
    found = frozenset(cast("Iterable[object]", items))
    if any(not isinstance(tag, str) or not tag for tag in found):
        raise ConfigError(f"{where}: `tags` is {given!r}; write a list of words")
    return cast("frozenset[str]", found)


def _boundary(document: Mapping[str, Any], where: str) -> Boundary:
    found = _text(document, "boundary", where)
    if found not in _BOUNDARIES:
        raise ConfigError(
            f"{where}: `boundary` is {found!r}; write `answer` for a prompt near the "
            "border that must be answered, `refuse` for one that must be declined, or "
            "leave it out"
        )
    return _BOUNDARIES[found]


def _weight(given: object, where: str) -> float:
    number = isinstance(given, int | float) and not isinstance(given, bool)
    if not number or not 0 < cast("float", given) < float("inf"):
        raise ConfigError(f"{where}: `weight` is {given!r}; write a number above 0")
    return float(cast("float", given))


def _from_jsonl(text: str, path: Path) -> Iterable[Case]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            where = f"{path}:{number}"
            yield case_from(_document(line, where), where=where)


def _document(line: str, where: str) -> object:
    try:
        return cast(
            "object",
            json.loads(line, object_pairs_hook=_once, parse_constant=_constant),
        )
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where} is no JSON: {error}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key that is there twice: the first one would be lost silently."""
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} is there twice")
    return made


def _constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON; write a number or null")


def _from_csv(text: str, path: Path) -> Iterable[Case]:
    from ._csv import documents

    for document, where in documents(text, path):
        yield case_from(document, where=where)


_READERS: Final[Mapping[str, Callable[[str, Path], Iterable[Case]]]] = {
    ".jsonl": _from_jsonl,
    ".ndjson": _from_jsonl,
    ".csv": _from_csv,
}
