"""The side of the caller: exact counts, a fair sample, a bounded queue."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Final

from .._dataclass import dataclass
from ..outcome import POLICY, Kind, Signal
from ..telemetry import Answer

__all__ = ["Intake", "IntakeCounts"]

_MAX_KEYS: Final = 2_000
_FAILED: Final = frozenset(
    kind for kind, policy in POLICY.items() if policy.behaviour is Signal.FAILURE
) | {Kind.WRONG_MODEL}


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeCounts:
    """What became of the first answers of models.

    Attributes:
        told: All that there were.
        taken: Waited for the evaluator: the sample, and failures.
        passed: Left out because the sample was full; their kinds were counted.
        dropped: Lost because the queue was full; their kinds were counted too.
        waiting: In the queue now.
    """

    told: int
    taken: int
    passed: int
    dropped: int
    waiting: int


class Intake:
    """Takes answers from any thread or loop; never blocks, never raises.

    Args:
        per_second: Answers a second that are read for drift; the rest is only counted.
        capacity: Answers that may wait. The sample may fill half of it, so that
            failures, which are always kept, find room.
        clock: Returns monotonic seconds.
    """

    __slots__ = (
        "_burst",
        "_capacity",
        "_clock",
        "_last",
        "_lock",
        "_queue",
        "_rate",
        "_tokens",
        "dropped",
        "kinds",
        "passed",
        "ring",
        "taken",
        "told",
    )

    def __init__(
        self,
        *,
        per_second: float,
        capacity: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate = per_second
        self._burst = max(per_second, 1.0)
        self._capacity = capacity
        self._clock = clock
        self.renew()

    def renew(self) -> None:
        """Start empty, as a forked child does: what waits is its parent's."""
        self._lock = threading.Lock()
        self.ring = threading.Event()
        self._queue: deque[tuple[Answer, bool]] = deque()
        self._tokens = self._burst
        self._last = self._clock()
        self.told = self.taken = self.passed = self.dropped = 0
        self.kinds: Counter[tuple[str, str, Kind]] = Counter()

    def offer(self, answer: Answer) -> bool:
        """Count an answer, and keep it if it is sampled or failed.

        Returns:
            True when somebody should read the queue.
        """
        attempt = answer.attempt
        kind = attempt.kind
        now = self._clock()
        with self._lock:
            self.told += 1
            key = (answer.function, attempt.pin, kind)
            kinds = self.kinds
            if key in kinds or len(kinds) < _MAX_KEYS:
                kinds[key] += 1
            tokens = self._tokens + (now - self._last) * self._rate
            self._last = now
            sampled = tokens >= 1.0
            self._tokens = min(tokens - sampled, self._burst)
            if not sampled and kind not in _FAILED:
                self.passed += 1
                return False
            room = self._capacity if kind in _FAILED else self._capacity // 2
            if len(self._queue) >= room:
                self.dropped += 1
                return False
            self.taken += 1
            self._queue.append((answer, sampled))
        if not self.ring.is_set():
            self.ring.set()
        return True

    def take(self) -> tuple[Answer, bool] | None:
        """Return the oldest that waits and whether it is sampled, or None."""
        with self._lock:
            return self._queue.popleft() if self._queue else None

    def take_kinds(self) -> Counter[tuple[str, str, Kind]]:
        """Return the counts by function, pin and kind since the last time."""
        with self._lock:
            found, self.kinds = self.kinds, Counter()
        return found

    def counts(self) -> IntakeCounts:
        """Return what became of the answers so far."""
        with self._lock:
            return IntakeCounts(
                told=self.told,
                taken=self.taken,
                passed=self.passed,
                dropped=self.dropped,
                waiting=len(self._queue),
            )
