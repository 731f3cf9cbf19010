"""The store's SQL and rows, as PostgreSQL and its driver have them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from psycopg import Cursor
from psycopg import adapters as defaults
from psycopg.abc import Buffer
from psycopg.adapt import AdaptersMap, Dumper, Loader
from psycopg.types.string import StrDumperUnknown

from ._database import Dialect, Parameters, encodable

__all__ = ["POSTGRESQL", "Row", "adapters", "lock_number", "rows_by_name", "translate"]

POSTGRESQL = Dialect(
    name="postgresql",
    for_update=" FOR NO KEY UPDATE OF t",
    skip_locked=" FOR NO KEY UPDATE OF t SKIP LOCKED",
)
_TOKEN = re.compile(
    r"'(?:[^']|'')*'"  # a text
    r'|"(?:[^"]|"")*"'  # a name
    r"|--[^\n]*"
    r"|::"  # a cast, not a value
    r"|\?"
    r"|:(?P<name>[a-z_]+)"
)


class Row:
    """A row, by name and by position, as `sqlite3.Row` is."""

    __slots__ = ("_places", "_values")

    def __init__(self, places: Mapping[str, int], values: Sequence[Any]) -> None:
        self._places = places
        self._values = values

    def __getitem__(self, key: int | str) -> Any:
        return self._values[self._places[key] if isinstance(key, str) else key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Row({dict(zip(self._places, self._values, strict=True))!r})"

    def keys(self) -> list[str]:
        """Return the names of the columns."""
        return list(self._places)


class _Rows:
    """Makes the rows of one result."""

    __slots__ = ("_places",)

    def __init__(self, cursor: Cursor[Any]) -> None:
        names = cursor.description or ()
        self._places = {column.name: place for place, column in enumerate(names)}

    def __call__(self, values: Sequence[Any]) -> Row:
        return Row(self._places, values)


def rows_by_name(cursor: Cursor[Any]) -> _Rows:
    """Return what makes a `Row` of each result's values."""
    return _Rows(cursor)


class _Truth(Dumper):
    """Writes `True` as 1, as SQLite does."""

    def dump(self, obj: bool) -> bytes:
        return b"1" if obj else b"0"


class _Text(StrDumperUnknown):
    """Writes a NUL as U+FFFD: a server's text cannot hold it, a lost ticket is worse.

    Half a surrogate pair is written as its escape. The same happens to values that are
    looked for, so keys are found again.
    """

    def dump(self, obj: str) -> Buffer | None:
        text = obj.replace("\0", "\ufffd")
        try:
            return super().dump(text)
        except UnicodeEncodeError:
            return super().dump(encodable(text))


class _Number(Loader):
    """Reads sums of BIGINT, which are NUMERIC, as the whole numbers they are."""

    def load(self, data: Buffer) -> int | float:
        text = bytes(data)
        return int(text) if text.lstrip(b"-").isdigit() else float(text)


def adapters() -> AdaptersMap:
    """Return how values go to the server and back."""
    found = AdaptersMap(defaults)
    found.register_dumper(bool, _Truth)
    found.register_dumper(str, _Text)
    found.register_loader("numeric", _Number)
    return found


@lru_cache(maxsize=1024)
def _numbered(sql: str) -> tuple[bytes, tuple[str, ...]]:
    """Return `sql` with `$1`, `$2`, .., and the names these stand for, if any."""
    names: list[str] = []
    count = 0

    def number(match: re.Match[str]) -> str:
        nonlocal count
        name = match["name"]
        if name is None and match[0] != "?":
            return match[0]
        if name in names:
            return f"${names.index(name) + 1}"
        count += 1
        if name is not None:
            names.append(name)
        return f"${count}"

    return _TOKEN.sub(number, sql).encode(), tuple(names)


def translate(sql: str, parameters: Parameters) -> tuple[bytes, Sequence[Any]]:
    """Return a statement with PostgreSQL's placeholders, and its values in order."""
    text, names = _numbered(sql)
    if isinstance(parameters, Mapping):
        return text, [parameters[name] for name in names]
    return text, parameters


def lock_number(schema: str, name: str) -> int:
    """Return the number of an advisory lock: 64 signed bits for a name."""
    text = f"{schema}\0{name}".encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(text, digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
