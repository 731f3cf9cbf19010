"""One connection to the server, checked and set up; it never waits for ever."""

from __future__ import annotations

import selectors
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from time import monotonic
from typing import Any, TypeVar

import psycopg
from psycopg import RawCursor
from psycopg.adapt import AdaptersMap

from ..errors import StoreError
from ._pg_errors import Late, not_connected
from ._pg_place import Place
from ._pg_sql import Row, adapters, rows_by_name

__all__ = ["READ_TIMEOUT", "SELECTOR", "Wire", "connect", "prelude"]

T = TypeVar("T")

READ_TIMEOUT = 10.0
"""Seconds that a statement which reads may take."""

# One that takes no file descriptor of its own, and no number too high for it.
SELECTOR: type[selectors.BaseSelector] = getattr(
    selectors, "PollSelector", selectors.SelectSelector
)

_GRACE = 0.1  # seconds for the server to say itself that it is too late
_CONNECT_TIMEOUT = 3
_OLDEST = 130_000  # the first with pg_current_snapshot()
_IDLE = 5_000  # ms between two statements of a job before the server ends it
_KEEPALIVE = {
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
_LOOK = """
SELECT pg_backend_pid() AS pid, current_setting('server_version') AS version,
  current_setting('server_version_num')::integer AS number,
  current_setting('server_encoding') AS encoding,
  current_setting('transaction_read_only') AS read_only,
  current_setting('synchronous_commit') AS commits,
  pg_is_in_recovery() AS standby
"""


class Wire(psycopg.Connection[Row]):
    """A connection whose every exchange with the server ends at a deadline.

    A server that stops answering, or a network that swallows packets, would keep a
    caller in `recv` for ever: the server's own timeouts need the server.

    Attributes:
        deadline: Monotonic seconds; set it before each use.
        pooled: Whether a pooler may give each transaction another session.
        hasty: Whether its commits return before they are on the disk, unless told
            otherwise.
        version: The server's, such as `15.18`.
    """

    deadline: float = inf
    pooled: bool = False
    hasty: bool = False
    version: str = ""

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        """Run one exchange; see `psycopg.Connection.wait`."""
        del args, kwargs  # how often the driver's own loop wakes up
        return _until(gen, self.pgconn.socket, self.deadline)

    def run(self, sql: str) -> Any:
        """Send statements without values, all in one message."""
        return self.execute(sql.encode(), prepare=False)

    def ask(self, sql: str, *values: object) -> list[Row]:
        """Return the rows of one statement with `$1`, `$2`, .. for its values."""
        return self.execute(sql.encode(), values or None, prepare=False).fetchall()

    def drop(self) -> None:
        """Close it, in whatever state it is."""
        with suppress(psycopg.Error):
            self.close()


def _until(exchange: Generator[int, int, T], socket: int, end: float) -> T:
    """Drive `exchange` by what the socket is ready for; raise `Late` at `end`.

    A loop of our own: those of the driver's versions differ in whether an exchange
    learns that time passes.
    """
    try:
        wanted = next(exchange)
        while True:
            ready = _ready(socket, wanted, end + _GRACE - monotonic())
            if not ready:
                raise Late
            wanted = exchange.send(ready)
    except StopIteration as stop:
        result: T = stop.value
        return result


def _ready(socket: int, wanted: int, timeout: float) -> int:
    """Wait until the socket can be read (1), written (2), or it is too late (0)."""
    with SELECTOR() as selector:
        selector.register(socket, wanted)
        found = selector.select(None if timeout == inf else max(0.0, timeout))
    return found[0][1] if found else 0


def connect(place: Place) -> Wire:
    """Return a connection in autocommit mode; the caller closes it.

    Raises:
        StoreError: It cannot be made, or the server cannot hold a store.
        StoreBusyError: The server did not answer, or is starting.
    """
    options: dict[str, Any] = {
        "application_name": "llmguard",
        "connect_timeout": str(_CONNECT_TIMEOUT),
        "client_encoding": "UTF8",
        **_KEEPALIVE,
        **place.options,
    }
    try:
        wire = Wire.connect(
            autocommit=True,
            context=_Context(adapters()),
            row_factory=rows_by_name,
            cursor_factory=RawCursor[Row],
            **options,
        )
    except psycopg.Error as error:
        raise not_connected(error, place) from None
    try:
        wire.deadline = monotonic() + READ_TIMEOUT
        _check(wire, place)
    except (psycopg.Error, Late) as error:
        wire.drop()
        if isinstance(error, Late):
            error = psycopg.OperationalError("timeout")
        raise not_connected(error, place) from None
    except BaseException:
        wire.drop()
        raise
    return wire


@dataclass(frozen=True, slots=True)
class _Context:
    """What a connection takes its adapters from."""

    adapters: AdaptersMap
    connection: None = None


def _check(wire: Wire, place: Place) -> None:
    """Refuse servers that cannot hold a store, and prepare the session."""
    found = wire.ask(_LOOK)[0]
    if found["number"] < _OLDEST:
        raise StoreError(
            f"PostgreSQL {found['version']!r} of the store {place.url!r} is too old: "
            "the store needs 13 or newer"
        )
    if found["standby"] or found["read_only"] == "on":
        what = "a standby" if found["standby"] else "read-only for this user"
        raise StoreError(
            f"the server {place.server} of the store {place.url!r} is {what}, so "
            "nothing can be written: name the primary in `LLMGUARD_STORE`, or all "
            "hosts (`postgresql://HOST1,HOST2/DATABASE`) and the writable one is used"
        )
    if found["encoding"] != "UTF8":
        raise StoreError(
            f"the database of the store {place.url!r} has the encoding "
            f"{found['encoding']!r}, which cannot hold every text: make one with "
            "`createdb --template=template0 --encoding=UTF8 NAME`"
        )
    wire.version = found["version"].split(" ")[0]
    wire.hasty = found["commits"] == "off"
    # A pooler makes up the process id it tells its clients at the start.
    moved = found["pid"] != wire.info.backend_pid
    wire.pooled = moved if place.pooled is None else place.pooled
    if wire.pooled:
        # Nothing may be left in a session that other programs use too.
        wire.prepare_threshold = None
    else:
        timeout = int(READ_TIMEOUT * 1000)
        wire.run(
            f"SET search_path TO {place.schema}; "
            f"SET statement_timeout TO {timeout}; "
            f"SET idle_in_transaction_session_timeout TO {_IDLE}; "
            f"SET client_min_messages TO warning"
        )


def prelude(wire: Wire, place: Place) -> tuple[str, ...]:
    """Return the settings that a transaction needs where no session keeps them."""
    if not wire.pooled:
        return ()
    return (
        f"SET LOCAL search_path TO {place.schema}",
        f"SET LOCAL statement_timeout TO {int(READ_TIMEOUT * 1000)}",
        f"SET LOCAL idle_in_transaction_session_timeout TO {_IDLE}",
    )
