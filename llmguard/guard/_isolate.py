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
from contextlib import suppress
from contextvars import Context, copy_context
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
    """A thread that runs one job at a time and goes home when idle.

    A bare lock is its bell: one wake-up there and one back is the least that a job on
    another thread can cost, and a queue costs half as much again.
    """

    def __init__(self, pool: Couriers, job: Job | None) -> None:
        super().__init__(name="llmguard-courier", daemon=True)
        self._job = job
        self._pool = pool
        self._bell = _Lock()
        self._bell.acquire()

    def give(self, job: Job | None) -> None:
        """Have it run a job, or end with None; only whoever took it may do so."""
        self._job = job
        self._bell.release()

    def run(self) -> None:
        bell, returned = self._bell, self._pool.returned
        while (job := self._job) is not None:
            self._job = None
            abandoned = job.run()
            # Idle before the waiter wakes: nothing is left to do then but to wait.
            returned(self, zombie=abandoned, owner=job.owner)
            job.wake(abandoned=abandoned)
            del job
            if not bell.acquire(timeout=_IDLE_SECONDS):
                if self._pool.dismiss(self):
                    return
                bell.acquire()  # a job was handed over in the same instant


class Couriers:
    """A pool of threads that grows with need and shrinks when idle.

    Args:
        max_zombies: Threads that may hang before owners who have some are refused.
        hire: Makes a thread.
        inline: Run a job in the submitting thread where no more threads may be started,
            as in a process that ends; for work that no caller waits for.
    """

    def __init__(
        self,
        *,
        max_zombies: int = _MAX_ZOMBIES,
        hire: Callable[[Couriers, Job], threading.Thread] = _Courier,
        inline: bool = False,
    ) -> None:
        self._max_zombies = max_zombies
        self._inline = inline
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
        if self._zombies >= self._max_zombies and (
            owner is None or owner in self._hung
        ):
            return None
        job = Job(work, copy_context() if scope is None else scope, finished, owner)
        try:
            # No lock: popping, appending and removing are atomic. The last to return
            # comes first, whose stack and core are warm.
            self._idle.pop().give(job)
        except IndexError:
            return self._hired(job)
        return job

    def _hired(self, job: Job) -> Job | None:
        try:
            self._hire(self, job).start()
        except RuntimeError:  # the process may start no more threads
            if not self._inline:
                return None
            job.wake(abandoned=job.run())
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
        if zombie:
            self._bury(owner)
        self._idle.append(courier)

    def _bury(self, owner: Hashable) -> None:
        """Count a zombie less."""
        with self._lock:
            self._zombies -= 1
            left = self._hung.pop(owner) - 1
            if left:
                self._hung[owner] = left

    def dismiss(self, courier: _Courier) -> bool:
        """Let an idle courier go; False when a job was just given to it."""
        try:
            self._idle.remove(courier)
        except ValueError:
            return False
        return True

    def close(self) -> None:
        """Send idle couriers home now; zombies end by themselves."""
        sent: list[_Courier] = []
        with suppress(IndexError):
            while True:
                sent.append(self._idle.pop())
                sent[-1].give(None)
        for courier in sent:
            courier.join()


COURIERS: Final = Couriers()
