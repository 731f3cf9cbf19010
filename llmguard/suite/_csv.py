"""Cases in a spreadsheet's CSV: a header line, one case per line.

Columns: `id`, `slice`, `boundary`, `weight`, `tags` (words), `expected` (JSON where the
cell is JSON, else its text), `expected.FIELD` (the same, for one field), `meta.NAME`,
`inputs.NAME` or just `NAME` for arguments. Arguments are texts; a column
`NAME:json` holds JSON. An empty cell means "not given".
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .._nested import read_json
from ..errors import ConfigError

__all__ = ["documents"]

_PLAIN = frozenset({"id", "slice", "boundary", "tags"})


def documents(text: str, path: Path) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each line's document, with the place it stands at.

    Raises:
        ConfigError: No header, a column without a name or twice, or a line of another
            length than the header.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, list[str]())]
        _check_header(header, path)
        for cells in reader:
            where = f"{path}:{reader.line_num}"
            if not any(cells):
                continue
            if len(cells) != len(header):
                raise ConfigError(
                    f"{where} has {len(cells)} cells and the header {len(header)}: "
                    "quote cells that hold a comma or a line break"
                )
            yield _document(dict(zip(header, cells, strict=True)), where), where
    except csv.Error as error:
        raise ConfigError(f"{path}:{reader.line_num} is no CSV: {error}") from error


def _check_header(header: list[str], path: Path) -> None:
    if not header:
        raise ConfigError(f"{path} is empty: the first line names the columns")
    for name in header:
        if not name or header.count(name) > 1:
            raise ConfigError(
                f"{path}: the column {name!r} "
                + ("is there twice" if name else "has no name")
                + "; give each column a name of its own"
            )
    if "expected" in header and any(name.startswith("expected.") for name in header):
        raise ConfigError(
            f"{path} has both `expected` and `expected.FIELD` columns; use one of them"
        )


def _document(row: dict[str, str], where: str) -> dict[str, Any]:
    made: dict[str, Any] = {"inputs": {}}
    for column, cell in row.items():
        if cell == "":
            continue
        group, dot, name = column.partition(".")
        if column in _PLAIN:
            made[column] = cell
        elif column == "weight":
            made[column] = _number(cell, where)
        elif column == "expected":
            made[column] = _json_or_text(cell)
        elif dot and group == "expected":
            made.setdefault("expected", {})[name] = _json_or_text(cell)
        elif dot and group == "meta":
            made.setdefault("meta", {})[name] = cell
        else:
            key = name if dot and group == "inputs" else column
            made["inputs"] |= _argument(key, cell, where)
    return made


def _argument(key: str, cell: str, where: str) -> dict[str, Any]:
    name, colon, kind = key.rpartition(":")
    if not colon or kind != "json":
        return {key: cell}
    try:
        return {name: read_json(cell)}
    except ValueError as error:
        raise ConfigError(f"{where}: the cell of `{key}` is no JSON: {error}") from None


def _json_or_text(cell: str) -> Any:
    try:
        return json.loads(cell, parse_constant=_text)
    except ValueError:
        return cell


def _text(name: str) -> str:
    """Leave `NaN` and the like, which are no JSON, as they are written."""
    return name


def _number(cell: str, where: str) -> float:
    try:
        return float(cell)
    except ValueError:
        raise ConfigError(
            f"{where}: `weight` is {cell!r}; write a number above 0"
        ) from None
