"""What the store's SQL needs of a database: one set of statements, several engines.

Statements are written once, in the SQL that SQLite and PostgreSQL share: `?` or
`:name` for values, `INSERT .. ON CONFLICT .. DO UPDATE` with the table's name before
a column of the old row (`n = activity.n + excluded.n`), `RETURNING`, `CASE` rather than
`max(a, b)`, `CAST(? AS TEXT) IS NULL` where a value alone would have no type, JSON as
TEXT, times as REAL epoch seconds, truth as 0 and 1. What remains is in `Dialect`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

__all__ = [
    "LOCK_TIMEOUT",
    "NO_LIMIT",
    "STORE_LOCK",
    "Connection",
    "Cursor",
    "Database",
    "Dialect",
    "Parameters",
    "Row",
    "encodable",
    "storable",
    "where",
]

T = TypeVar("T")

Parameters = Sequence[Any] | Mapping[str, Any]

LOCK_TIMEOUT = 10.0
"""Seconds a write may take, unless told otherwise."""

NO_LIMIT = 2**63 - 1
"""For `LIMIT ?`: neither `-1` nor NULL is understood everywhere."""

STORE_LOCK = "store"
"""The lock of jobs that name none: they run one after the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """Where the engines differ.

    Attributes:
        name: `sqlite` or `postgresql`.
        for_update: Ends a SELECT from `tickets t` whose rows this transaction will
            change; empty where transactions that write run one after the other.
        skip_locked: The same, leaving out rows that another transaction holds.
    """

    name: str
    for_update: str
    skip_locked: str


class Row(Protocol):
    """A row, by name and by position; `dict(row)` and `tuple(row)` work too."""

    def __getitem__(self, key: int | str, /) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...

    def keys(self) -> Iterable[str]:
        """Return the names of the columns."""
        ...


class Cursor(Protocol):
    """What a statement gave."""

    @property
    def rowcount(self) -> int:
        """Rows that an INSERT, UPDATE or DELETE changed."""
        ...

    def fetchone(self) -> Any:
        """Return the next row, or None."""
        ...

    def fetchall(self) -> list[Any]:
        """Return all rows that are left."""
        ...

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """Runs statements, within the transaction of a job."""

    @property
    def dialect(self) -> Dialect:
        """Which engine this is."""
        ...

    def execute(self, sql: str, parameters: Parameters = (), /) -> Cursor:
        """Run one statement with `?` or `:name` in place of its values."""
        ...

    def executemany(self, sql: str, parameters: Iterable[Parameters], /) -> Cursor:
        """Run one statement for each set of values."""
        ...

    def alone(self, lock: str) -> None:
        """Wait until no other transaction holds `lock`, and hold it until the end.

        What is read after it, nobody who takes the same lock changes meanwhile.
        """
        ...


class Database(Protocol):
    """Read from any thread, written durably, safe across threads, processes, forks."""

    @property
    def closed(self) -> bool:
        """True after `close()`."""
        ...

    def read(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        """Run one statement that reads, and return its rows."""
        ...

    def query(self, ask: Callable[[Connection], T], *, snapshot: bool = False) -> T:
        """Let `ask` read; what it returns must not hold the connection.

        Args:
            ask: May be called again when the connection is lost.
            snapshot: Whether all its statements see the same moment.
        """
        ...

    def write(
        self,
        job: Callable[[Connection], T],
        *,
        timeout: float = LOCK_TIMEOUT,
        spare: bool = False,
        locks: Sequence[str] = (STORE_LOCK,),
    ) -> T:
        """Run `job` in a transaction and return its result once it is durable.

        Args:
            job: Gets the connection, inside a transaction; raising undoes it. It may
                be called again, so it must have no other effects.
            timeout: Seconds to wait for locks, the disk and the network.
            spare: Use space that is kept back for people's answers, if there is any,
                rather than fail on a full disk.
            locks: Jobs that share a lock run one after the other from their first
                statement on, whatever process they are in. Empty for jobs whose
                conditions and row locks are enough.

        Raises:
            StoreFullError: No space left.
            StoreBusyError: Not durable within `timeout`.
            StoreError: Anything else that the store cannot do.
        """
        ...

    def version(self) -> int:
        """Return a number that differs after any commit, within one thread."""
        ...

    def listen(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` after commits; returns how to stop."""
        ...

    def close(self) -> None:
        """Write what is queued and close; using it again is an error."""
        ...


def where(conditions: Mapping[str, object]) -> tuple[str, list[object]]:
    """Return `WHERE ...` and its values for the conditions whose value is not None.

    Args:
        conditions: SQL with one `?` each, such as `{"env = ?": "prod"}`; constants.
    """
    given = {sql: value for sql, value in conditions.items() if value is not None}
    return ("WHERE " + " AND ".join(given) if given else "", list(given.values()))


def encodable(text: str) -> str:
    """Return a text with what is half a surrogate pair written as its escape.

    Models cut characters in two, and no database holds the halves. Within JSON the
    escape stands for the same text.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text


def storable(parameters: Parameters) -> Parameters:
    """Return a statement's values with every text `encodable`."""
    if isinstance(parameters, Mapping):
        return {name: _encodable(value) for name, value in parameters.items()}
    return tuple(map(_encodable, parameters))


def _encodable(value: Any) -> Any:
    return encodable(value) if isinstance(value, str) else value
