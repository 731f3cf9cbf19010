"""One SQLite file: read from any thread, written durably, safe across fork."""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar, cast

from ..clock import SYSTEM_CLOCK, Clock
from ..errors import StoreError
from ._database import LOCK_TIMEOUT, STORE_LOCK, Connection
from ._filelock import FileLock
from ._location import refuse_network
from ._migrate import load, migrate
from ._session import Session
from ._setup import (
    SqliteConnection,
    Synchronous,
    drop_ballast,
    fill_ballast,
    make_file,
    open_writer,
)
from ._sqlite_errors import from_os, from_sqlite
from .problems import StoreBusyError, StoreFullError

__all__ = ["SqliteDatabase", "Synchronous"]

T = TypeVar("T")


class SqliteDatabase:
    """Implements `Database` on a durable file, shared by threads and processes.

    Args:
        path: Absolute path of the file; it and its folder are made when missing.
        schema: Which migrations it follows: `main` or `metrics`.
        synchronous: `FULL` survives a power cut; `NORMAL` survives a killed process
            but may lose the last commits in a power cut; `OFF` is for tests.
        ballast: Bytes kept in `PATH.ballast` for the moment the disk is full.
        clock: For the records of migrations.
    """

    def __init__(
        self,
        path: Path,
        *,
        schema: str,
        synchronous: Synchronous = "FULL",
        ballast: int = 0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.path = path
        self.closed = False
        self._schema = schema
        self._synchronous: Synchronous = synchronous
        self._ballast = ballast
        self._clock = clock
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._listeners: tuple[Callable[[], None], ...] = ()
        _LIVE.add(self)

    def open(self) -> None:
        """Open the file now, so that what is wrong with it shows at start."""
        self._live()

    def read(self, sql: str, parameters: Sequence[object] = ()) -> list[sqlite3.Row]:
        """Run one statement that reads, and return its rows."""
        values = cast("Sequence[str]", parameters)
        return self.query(lambda reader: reader.execute(sql, values).fetchall())

    def query(self, ask: Callable[[Connection], T], *, snapshot: bool = False) -> T:
        """Read on this thread's own connection; it sees all that is durable."""
        reader, gate = self._live().reader()
        try:
            with gate:
                return _at_once(reader, ask) if snapshot else ask(reader)
        except sqlite3.Error as error:
            raise from_sqlite(error, self.path) from error

    def write(
        self,
        job: Callable[[Connection], T],
        *,
        timeout: float = LOCK_TIMEOUT,
        spare: bool = False,
        locks: Sequence[str] = (STORE_LOCK,),
    ) -> T:
        """Run `job` in a transaction and return its result once it is durable.

        See `Database.write`; `spare` gives up the ballast on a full disk.
        """
        del locks  # the file has one writer at a time
        try:
            return self._write(job, timeout)
        except StoreFullError:
            if not (spare and drop_ballast(self._ballast_path)):
                raise
        return self._write(job, timeout)

    def version(self) -> int:
        """Return a number that differs after any commit, within one thread.

        Raises:
            StoreError: The file was deleted or replaced under this process, whose
                connections would read the old one for ever.
        """
        self._live().check_file()
        return int(self.read("PRAGMA data_version")[0][0])

    def listen(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` after each commit of this process; returns the way out."""
        with self._lock:
            self._listeners = (*self._listeners, callback)

        def stop() -> None:
            with self._lock:
                self._listeners = tuple(
                    one for one in self._listeners if one is not callback
                )

        return stop

    def close(self, *, timeout: float = LOCK_TIMEOUT) -> None:
        """Write what is queued and close the file; using it again is an error.

        Args:
            timeout: Seconds to wait for a lock that another process holds.
        """
        with self._lock:
            self.closed = True
            session, self._session = self._session, None
        if session is not None:
            session.close(timeout)

    def forget(self) -> None:
        """Drop the parent's connections in a forked child, without closing them."""
        # Closing them would take part in the parent's locks and checkpoints.
        if self._session is not None:
            _ORPHANS.append(self._session)
        self._session = None
        self._listeners = ()
        self._lock = threading.Lock()

    @property
    def _ballast_path(self) -> Path:
        return self.path.with_name(self.path.name + ".ballast")

    def _write(self, job: Callable[[Connection], T], timeout: float) -> T:
        future = self._live().writer.submit(job)
        try:
            result: T = future.result(timeout)
        except TimeoutError:
            stopped = future.cancel()
            raise StoreBusyError(
                f"the store {str(self.path)!r} did not write within {timeout:g} s; "
                + ("nothing was written" if stopped else "it may still be written")
                + ": try again, and see `llmguard doctor` if it goes on",
                written=False if stopped else None,
            ) from None
        return result

    def _live(self) -> Session:
        session = self._session
        if session is not None:
            return session
        with self._lock:
            if self.closed:
                raise StoreError(
                    f"the store {str(self.path)!r} was closed; get it again with "
                    "`open_store()`"
                )
            if self._session is None:
                self._session = self._connect()
            return self._session

    def _connect(self) -> Session:
        refuse_network(self.path)
        try:
            make_file(self.path)
            lock = FileLock(self.path.with_name(self.path.name + ".lock"))
        except OSError as error:
            raise from_os(error, self.path) from error
        try:
            lock.acquire(LOCK_TIMEOUT)
            connection = self._prepare()
        except BaseException:
            lock.close()
            raise
        lock.release()
        fill_ballast(self._ballast_path, self._ballast)
        try:
            return Session(
                self.path, connection=connection, lock=lock, committed=self._announce
            )
        except RuntimeError as error:  # the process may start no more threads
            connection.close()
            lock.close()
            raise StoreBusyError(
                f"the store {str(self.path)!r} needs a thread that writes, and this "
                f"process can start no more ({error}); nothing was written",
                written=False,
            ) from error

    def _prepare(self) -> SqliteConnection:
        try:
            connection = open_writer(self.path, self._synchronous)
            try:
                migrate(connection, load(self._schema), now=self._clock.time())
            except BaseException:
                connection.close()
                raise
        except sqlite3.Error as error:
            raise from_sqlite(error, self.path) from error
        return connection

    def _announce(self) -> None:
        for callback in self._listeners:
            callback()


def _at_once(reader: SqliteConnection, ask: Callable[[Connection], T]) -> T:
    reader.execute("BEGIN")
    try:
        return ask(reader)
    finally:
        reader.execute("COMMIT")


_LIVE: weakref.WeakSet[SqliteDatabase] = weakref.WeakSet()
_ORPHANS: list[Session] = []


def _forget_in_child() -> None:
    for database in list(_LIVE):
        database.forget()


if hasattr(os, "register_at_fork"):  # pragma: no branch - absent on Windows only
    os.register_at_fork(after_in_child=_forget_in_child)
