"""The connections of one process, lent to one thread at a time.

A pool of our own, since a library's would hide why the server cannot be reached behind
a timeout of its own, keep threads that do not survive a fork, and open connections
that a command which looks once never uses. This one has no thread: who needs a
connection takes an idle one, or makes one, or waits for one.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Generator
from contextlib import contextmanager
from time import monotonic

from psycopg.pq import TransactionStatus

from ..errors import StoreError
from ._pg_connect import Wire, connect
from ._pg_errors import Unreachable
from ._pg_place import Place
from .problems import StoreBusyError

__all__ = ["Pool"]

_IDLE_LIFE = 60.0  # seconds that a spare connection is kept unused


class Pool:
    """Up to `place.pool_size` connections, made when needed.

    Args:
        place: The server.
        make: What connects, for tests.
    """

    def __init__(
        self, place: Place, *, make: Callable[[Place], Wire] = connect
    ) -> None:
        self._place = place
        self._make = make
        self._reset()
        _LIVE.add(self)

    def _reset(self) -> None:
        self._change = threading.Condition()
        self._idle: list[tuple[float, Wire]] = []
        self._lent = 0
        self._era = 0
        self._closed = False

    @contextmanager
    def lend(self, end: float) -> Generator[Wire]:
        """Lend a connection; who closes it while having it gives back nothing.

        Args:
            end: Monotonic seconds until when to wait for one, and the connection's
                deadline.

        Raises:
            StoreBusyError: All were in use until then.
            Unreachable: None can be made.
        """
        wire, era = self._take(end), self._era
        wire.deadline = end
        try:
            yield wire
        except BaseException:
            # Interrupted in the middle of an exchange, it is of no use to anybody.
            if wire.info.transaction_status != TransactionStatus.IDLE:
                wire.drop()
            raise
        finally:
            self._give_back(wire, era)

    def renew(self) -> None:
        """Close what is idle: the server went away, so these are dead too."""
        with self._change:
            self._era += 1
            idle, self._idle = self._idle, []
        for _, wire in idle:
            wire.drop()

    def close(self) -> None:
        """Close every connection once it is back."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        self.renew()

    def forget(self) -> None:
        """Start empty in a forked child: the connections are the parent's."""
        # Closing them would end the parent's sessions.
        _ORPHANS.extend(wire for _, wire in self._idle)
        closed = self._closed
        self._reset()
        self._closed = closed

    def _take(self, end: float) -> Wire:
        with self._change:
            while not self._idle and self._lent >= self._place.pool_size:
                if self._closed or not self._change.wait(end - monotonic()):
                    break
            self._refuse_closed()
            if self._lent >= self._place.pool_size:
                raise StoreBusyError(
                    f"all {self._place.pool_size} connections to the store "
                    f"{self._place.url!r} were in use; nothing was written: try "
                    "again, or give its URL a larger `?pool_size=`"
                )
            self._lent += 1
            if self._idle:
                return self._idle.pop()[1]
        try:
            return self._make(self._place)
        except StoreError as error:
            self._release()
            raise Unreachable(error) from None
        except BaseException:
            self._release()
            raise

    def _give_back(self, wire: Wire, era: int) -> None:
        stale: list[Wire] = []
        with self._change:
            self._lent -= 1
            if wire.closed:
                pass
            elif self._closed or era != self._era:
                stale.append(wire)
            else:
                now = monotonic()
                self._idle.append((now, wire))
                if self._idle[0][0] < now - _IDLE_LIFE:
                    stale.append(self._idle.pop(0)[1])
            self._change.notify()
        for one in stale:
            one.drop()

    def _release(self) -> None:
        with self._change:
            self._lent -= 1
            self._change.notify()

    def _refuse_closed(self) -> None:
        if self._closed:
            raise StoreError(
                f"the store {self._place.url!r} was closed; get it again with "
                "`open_store()`"
            )


_LIVE: weakref.WeakSet[Pool] = weakref.WeakSet()
_ORPHANS: list[Wire] = []


def _forget_in_child() -> None:
    for pool in list(_LIVE):
        pool.forget()


if hasattr(os, "register_at_fork"):  # pragma: no branch - absent on Windows only
    os.register_at_fork(after_in_child=_forget_in_child)
