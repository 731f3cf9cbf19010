"""Runs synchronous tiers on threads that the caller can stop waiting for.

Python cannot stop a running function, so a sync tier that hangs is abandoned: the
caller goes on to the next tier at its deadline and the thread, now a *zombie*, ends
when its own socket times out. Zombies are counted, and above a limit tiers that
have some are refused at once, so a provider that hangs for hours cannot eat the
process's threads; a tier that never hung still runs, or the hanging one would take the
tiers below it along.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable
from contextvars import Context, copy_context
from queue import Empty, SimpleQueue
from typing import Final

from ._forks import renew_after_fork

__all__ = ["COURIERS", "Couriers", "Job"]

_IDLE_SECONDS: Final = 5.0
_MAX_ZOMBIES: Final = 64
_LONGEST: Final = threading.TIMEOUT_MAX
_Lock: Final = threading.Lock


class Job:
    """One call on a courier; `wait` for it, or abandon it.

    Attributes:
        value: What the work returned.
        error: What it raised.
    """

    __slots__ = (
        "_context",
        "_decided",
        "_done",
        "_finished",
        "_work",
        "error",
        "owner",
        "value",
    )

    def __init__(
        self,
        work: Callable[[], object],
        context: Context,
        finished: Callable[[], None] | None = None,
        owner: Hashable = None,
    ) -> None:
        self._work = work
        self._context = context
        self._finished = finished
        self.owner = owner
        self.value: object = None
        self.error: BaseException | None = None
        self._decided = _Lock()  # whoever takes it first says how the job ended
        self._done = _Lock()
        self._done.acquire()

    def wait(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds; False when it has not finished."""
        return self._done.acquire(
            timeout=timeout if 0.0 <= timeout <= _LONGEST else _bounded(timeout)
        )

    def run(self) -> bool:
        """Run it; True when it was abandoned meanwhile."""
        try:
            self.value = self._context.run(self._work)
        except BaseException as error:  # noqa: BLE001 - handed to the waiting caller
            self.error = error
        return not self._decided.acquire(blocking=False)

    def wake(self, *, abandoned: bool) -> None:
        """Wake the waiter, and tell whoever asked unless it was abandoned."""
        self._done.release()
        if self._finished is not None and not abandoned:
            self._finished()

    def abandon(self) -> bool:
        """Stop waiting for it; False when it has finished after all."""
        return self._decided.acquire(blocking=False)


def _bounded(timeout: float) -> float:
    return max(0.0, min(timeout, _LONGEST))


class _Courier(threading.Thread):
    """A thread that runs one job at a time and goes home when idle."""

    def __init__(self, pool: Couriers, job: Job) -> None:
        super().__init__(name="llmguard-courier", daemon=True)
        self.inbox: SimpleQueue[Job | None] = SimpleQueue()
        self.inbox.put(job)
        self._pool = pool

    def run(self) -> None:
        while (job := self._next()) is not None:
            abandoned = job.run()
            # Idle before the waiter wakes: nothing is left to do then but to wait.
            self._pool.returned(self, zombie=abandoned, owner=job.owner)
            job.wake(abandoned=abandoned)
            del job

    def _next(self) -> Job | None:
        try:
            return self.inbox.get(timeout=_IDLE_SECONDS)
        except Empty:
            if self._pool.dismiss(self):
                return None
            return self.inbox.get()  # a job was handed over in the same instant


class Couriers:
    """A pool of threads that grows with need and shrinks when idle."""

    def __init__(
        self,
        *,
        max_zombies: int = _MAX_ZOMBIES,
        hire: Callable[[Couriers, Job], threading.Thread] = _Courier,
    ) -> None:
        self._max_zombies = max_zombies
        self._hire = hire
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        """Start with no threads, as a forked child does."""
        self._lock = threading.Lock()
        self._idle: deque[_Courier] = deque()
        self._zombies = 0
        self._hung: dict[Hashable, int] = {}

    @property
    def zombies(self) -> int:
        """Threads whose caller has stopped waiting for them."""
        return self._zombies

    def hung(self, owner: Hashable) -> int:
        """Return how many of them are of `owner`."""
        return self._hung.get(owner, 0)

    def submit(
        self,
        work: Callable[[], object],
        finished: Callable[[], None] | None = None,
        *,
        scope: Context | None = None,
        owner: Hashable = None,
    ) -> Job | None:
        """Start `work` in `scope`, by default a copy of the caller's context.

        Args:
            work: What to run.
            finished: Called on the thread at its end unless it was abandoned.
            scope: Where to run it.
            owner: Whose zombie it is when it is abandoned, such as a tier.

        Returns:
            The job; None when too many jobs hang and some of them are the owner's,
            or when the process may start no more threads.
        """
        job = Job(work, copy_context() if scope is None else scope, finished, owner)
        with self._lock:
            if self._zombies >= self._max_zombies and (
                owner is None or owner in self._hung
            ):
                return None
            courier = self._idle.pop() if self._idle else None
        if courier is not None:
            courier.inbox.put(job)
            return job
        try:
            self._hire(self, job).start()
        except RuntimeError:  # the process may start no more threads
            return None
        return job

    def abandon(self, job: Job) -> bool:
        """Give up on `job`; False when it has finished after all."""
        with self._lock:
            if not job.abandon():
                return False
            self._zombies += 1
            self._hung[job.owner] = self._hung.get(job.owner, 0) + 1
            return True

    def returned(
        self, courier: _Courier, *, zombie: bool, owner: Hashable = None
    ) -> None:
        """Take a courier back after its job."""
        with self._lock:
            if zombie:
                self._zombies -= 1
                left = self._hung.pop(owner) - 1
                if left:
                    self._hung[owner] = left
            self._idle.append(courier)

    def dismiss(self, courier: _Courier) -> bool:
        """Let an idle courier go; False when a job was just given to it."""
        with self._lock:
            try:
                self._idle.remove(courier)
            except ValueError:
                return False
            return True

    def close(self) -> None:
        """Send idle couriers home now; zombies end by themselves."""
        with self._lock:
            idle, self._idle = self._idle, deque()
        for courier in idle:
            courier.inbox.put(None)
        for courier in idle:
            courier.join()


COURIERS: Final = Couriers()
