"""What tells this process's listeners about commits, and other processes too.

Who waits for a change polls; `NOTIFY` only makes it sooner. It is sent by a thread of
its own, apart from the transaction it tells of: PostgreSQL lets transactions that
notify commit one after the other, which would slow every write for a hint. Whether it
arrives is tried out once per connection, since behind a pooler that gives each
transaction another session `LISTEN` succeeds and nothing ever comes.
"""

from __future__ import annotations

import os
import secrets
import selectors
import socket
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from time import monotonic, sleep

import psycopg

from ..errors import StoreError
from ._pg_connect import SELECTOR, Wire, connect
from ._pg_errors import Late
from ._pg_place import Place

__all__ = ["Bell"]

_SPACING = 0.01  # seconds between two notifications of one process
_TRIAL = 2.0  # seconds within which one of our own has to come back
_RETRY = (1.0, 30.0)  # seconds before connecting again: first, longest
_ANSWER = 5.0  # seconds that the server may take for one statement


class Bell:
    """Calls listeners after commits of this process, and of others where it can.

    Attributes:
        hears: Whether notifications of others arrive; None while that is not known.
        settled: Set once it is known.

    Args:
        place: The server and schema; processes with the same ones hear each other.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._channel = f"llmguard_{place.schema}"
        self._reset()
        _LIVE.add(self)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._name = secrets.token_hex(8)
        self._listeners: tuple[Callable[[], None], ...] = ()
        self._thread: threading.Thread | None = None
        self._pending = False
        self._heard: set[str] = set()
        self._stop = False
        self._inbox, self._outbox = socket.socketpair()
        self._inbox.setblocking(False)
        self._outbox.setblocking(False)
        self.hears: bool | None = None
        self.settled = threading.Event()

    def listen(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` after each commit that is heard of; returns how to stop."""
        with self._lock:
            self._listeners = (*self._listeners, callback)
        self._start()

        def stop() -> None:
            with self._lock:
                self._listeners = tuple(
                    one for one in self._listeners if one is not callback
                )

        return stop

    def ring(self) -> None:
        """Tell that this process committed; costs no exchange with the server."""
        self._call()
        self._pending = True
        self._start()
        self._wake()

    def close(self) -> None:
        """Tell what is not told yet, and end the thread."""
        self._stop = True
        self._wake()
        thread = self._thread
        if thread is not None:
            thread.join(_ANSWER)
        self._inbox.close()
        self._outbox.close()

    def forget(self) -> None:
        """Start without listeners and thread in a forked child."""
        self._inbox.close()
        self._outbox.close()
        stopped = self._stop
        self._reset()
        self._stop = stopped

    def _start(self) -> None:
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is None and not self._stop:
                self._thread = threading.Thread(
                    target=self._run, name="llmguard-store-bell", daemon=True
                )
                self._thread.start()

    def _wake(self) -> None:
        # A full buffer wakes as well as one more byte; a closed one has no reader.
        try:
            self._outbox.send(b"!")
        except OSError:
            return

    def _call(self) -> None:
        for callback in self._listeners:
            callback()

    def _run(self) -> None:
        pause, longest = _RETRY
        while not self._done():
            try:
                wire = connect(self._place)
            except StoreError:
                if self._stop:
                    return
                self._rest(pause)
                pause = min(pause * 2, longest)
                continue
            try:
                self._serve(wire)
                pause = _RETRY[0]
            except (StoreError, psycopg.Error, Late, OSError):
                if self._stop:
                    return
                self._rest(pause)
            finally:
                self._settle(hears=None)
                wire.drop()

    def _done(self) -> bool:
        return self._stop and not self._pending

    def _rest(self, seconds: float) -> None:
        """Wait before the next try, unless the store is closed meanwhile."""
        end = monotonic() + seconds
        while not self._stop and monotonic() < end:
            self._select(None, end - monotonic())

    def _serve(self, wire: Wire) -> None:
        """Pass on what is heard and tell what happened here, until the end."""
        self._tell(wire)
        if self._stop:
            return
        # What arrives while a statement of ours is answered comes this way.
        wire.add_notify_handler(lambda one: self._heard.add(one.payload))
        _say(wire, f"LISTEN {self._channel}")
        self._try_out()
        trial = monotonic() + _TRIAL
        # What happened while nobody listened is not told again.
        self._call()
        while not self._done():
            wait = max(0.0, trial - monotonic()) if self.hears is None else None
            if self._select(wire, wait):
                self._hear(wire)
            self._tell(wire)
            if self._heard:
                self._hear(wire)
            if self.hears is None and monotonic() >= trial:
                self._settle(hears=False)
                _say(wire, "UNLISTEN *")

    def _try_out(self) -> None:
        """Send ourselves something from another session."""
        other = connect(self._place)
        try:
            _say(other, f"NOTIFY {self._channel}, '{self._name}?'")
        finally:
            other.drop()

    def _settle(self, *, hears: bool | None) -> None:
        self.hears = hears
        if hears is None:
            self.settled.clear()
        else:
            self.settled.set()

    def _tell(self, wire: Wire) -> None:
        if self._pending:
            self._pending = False
            _say(wire, f"NOTIFY {self._channel}, '{self._name}'")
            if not self._stop:
                sleep(_SPACING)

    def _hear(self, wire: Wire) -> None:
        wire.pgconn.consume_input()
        while (found := wire.pgconn.notifies()) is not None:
            self._heard.add(found.extra.decode())
        heard, self._heard = self._heard, set()
        if f"{self._name}?" in heard:
            self._settle(hears=True)
        if any(one != self._name and not one.endswith("?") for one in heard):
            self._call()

    def _select(self, wire: Wire | None, timeout: float | None) -> bool:
        """Wait to be woken, or for the server; True when the server sent something."""
        with SELECTOR() as selector:
            selector.register(self._inbox, selectors.EVENT_READ)
            if wire is not None:
                selector.register(wire.fileno(), selectors.EVENT_READ)
            ready = {key.fileobj for key, _ in selector.select(timeout)}
        if self._inbox in ready:
            with suppress(BlockingIOError):
                self._inbox.recv(4096)
        return bool(ready - {self._inbox})


def _say(wire: Wire, sql: str) -> None:
    wire.deadline = monotonic() + _ANSWER
    wire.run(sql)


_LIVE: weakref.WeakSet[Bell] = weakref.WeakSet()


def _forget_in_child() -> None:
    for bell in list(_LIVE):
        bell.forget()


if hasattr(os, "register_at_fork"):  # pragma: no branch - absent on Windows only
    os.register_at_fork(after_in_child=_forget_in_child)
