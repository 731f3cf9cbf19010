"""The threads of one shadow: a bounded queue and a few workers."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ...guard._isolate import Couriers

if TYPE_CHECKING:
    from asyncio import Runner

    from ._work import Work

__all__ = ["Lane"]

_LOG: Final = logging.getLogger("llmguard.shadow")
_MAX_HUNG: Final = 4
_IDLE_SECONDS: Final = 30.0

Do = Callable[["Work", "Runner"], object]
Broken = Callable[["Work", BaseException], None]


class Lane:
    """Runs what is put in, at most `workers` at once; threads start when needed.

    Its threads are daemons that go home when idle. They have couriers of their own, so
    that a challenger that hangs counts against no live call.

    Args:
        name: For the threads.
        do: Handles one work.
        broken: Told of what it raises, which is logged too.
        workers: Threads at most.
        capacity: Works that may wait.
        idle: Seconds after which a thread without work goes home.

    Attributes:
        couriers: Threads for sync bodies, which are left when they hang.
        draining: True from the moment that the process ends.
    """

    def __init__(
        self,
        name: str,
        do: Do,
        *,
        broken: Broken,
        workers: int,
        capacity: int,
        idle: float = _IDLE_SECONDS,
    ) -> None:
        self._name = name
        self._do = do
        self._broken = broken
        self._workers = workers
        self._capacity = capacity
        self._idle = idle
        self.renew()

    def renew(self) -> None:
        """Start with nothing waiting and no thread, as a forked child does."""
        self._lock = threading.Lock()
        self._threads = 0
        self._busy = 0
        self._closed = False
        self._waiting: queue.Queue[Work | None] = queue.Queue(self._capacity)
        # Inline: a process that ends may start no more threads, before anybody is told.
        self.couriers = Couriers(max_zombies=_MAX_HUNG, inline=True)
        self.draining = False

    def put(self, work: Work) -> bool:
        """Take a work; False when too many wait. Never blocks."""
        if self._closed:
            return False
        try:
            self._waiting.put_nowait(work)
        except queue.Full:
            return False
        with self._lock:
            short = self._threads - self._busy < self._waiting.qsize()
        if short:
            self._hire()
        return True

    @property
    def waiting(self) -> int:
        """Works that nobody has begun."""
        return self._waiting.qsize()

    @property
    def idle(self) -> bool:
        """True when nothing waits and nothing is under way."""
        return self._waiting.unfinished_tasks == 0

    def join(self) -> None:
        """Wait until everything that was put in is done."""
        self._waiting.join()

    def close(self, *, drain: float = 0.0) -> int:
        """Take nothing more; end what waits within `drain` seconds, or drop it.

        Returns:
            How many works were dropped.
        """
        self._closed = True
        if drain > 0:
            self.draining = True
            done = threading.Thread(target=self.join, daemon=True)
            try:
                done.start()
                done.join(drain)
            except RuntimeError:  # the interpreter starts no more threads
                self._wait(drain)
        dropped = self._empty()
        with self._lock:
            workers = self._threads
        with contextlib.suppress(queue.Full):
            for _ in range(workers):
                self._waiting.put_nowait(None)
        self.couriers.close()
        return dropped

    def _wait(self, seconds: float) -> None:
        waiting = self._waiting
        with waiting.all_tasks_done:
            if waiting.unfinished_tasks:
                waiting.all_tasks_done.wait(seconds)

    def _empty(self) -> int:
        dropped = 0
        while True:
            try:
                self._waiting.get_nowait()
            except queue.Empty:
                return dropped
            self._waiting.task_done()
            dropped += 1

    def _hire(self) -> None:
        with self._lock:
            if self._threads >= self._workers:
                return
            self._threads += 1
        thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the process may start no more threads
            with self._lock:
                self._threads -= 1

    def _run(self) -> None:
        from asyncio import Runner

        loop = Runner()  # opens its event loop when an async function comes
        waiting = self._waiting
        try:
            while (work := self._next(waiting)) is not None:
                with self._lock:
                    self._busy += 1
                self._one(work, loop)
                del work  # its arguments are not needed until the next one comes
                with self._lock:
                    self._busy -= 1
                waiting.task_done()
        finally:
            loop.close()

    def _next(self, waiting: queue.Queue[Work | None]) -> Work | None:
        """Return the next work; None when it is time to go home."""
        while True:
            try:
                work = waiting.get(timeout=self._idle)
            except queue.Empty:
                with self._lock:  # as in `put`: a work is seen by one of the two
                    if waiting.empty():
                        self._threads -= 1
                        return None
                continue
            if work is None:
                with self._lock:
                    self._threads -= 1
                waiting.task_done()
            return work

    def _one(self, work: Work, loop: Runner) -> None:
        try:
            work.context.run(self._do, work, loop)
        except BaseException as error:  # noqa: BLE001 - one bad request ends nothing
            _LOG.warning("the shadow of %s broke: %r", work.guard.name, error)
            self._broken(work, error)
