"""Time that tests set, a store in memory, and breakers that jitter by nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest

from llmguard.breaker import BreakerPolicy, BreakerRegistry, VersionBreaker
from llmguard.store.protocol import BreakerCount, BreakerRow


class ManualClock:
    """Monotonic and wall time, far apart, both moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.epoch = 1_700_000_000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.epoch + self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    async def asleep(self, seconds: float) -> None:
        self.now += seconds


class MemoryStore:
    """A breaker store in memory, which can be down, and can lose everything."""

    def __init__(self) -> None:
        self.rows: dict[str, BreakerRow] = {}
        self.counts: dict[tuple[str, str], BreakerCount] = {}
        self.rev = 0
        self.down = False
        self.before_put: Callable[[], object] | None = None

    def _answer(self) -> None:
        if self.down:
            raise OSError("the store is down")

    def lose(self) -> None:
        self.rows.clear()
        self.rev = 0

    def get_breaker(self, key: str) -> BreakerRow | None:
        self._answer()
        return self.rows.get(key)

    def put_breaker(self, row: BreakerRow) -> BreakerRow | None:
        self._answer()
        if self.before_put is not None:
            interfere, self.before_put = self.before_put, None
            interfere()
        stored = self.rows.get(row.key)
        if row.rev != (stored.rev if stored else 0):
            return None
        self.rev += 1
        self.rows[row.key] = replace(row, rev=row.rev + 1)
        return self.rows[row.key]

    def list_breakers(self) -> Sequence[BreakerRow]:
        self._answer()
        return [self.rows[key] for key in sorted(self.rows)]

    def breakers_rev(self) -> int:
        self._answer()
        return self.rev

    def put_breaker_counts(
        self, process: str, totals: Mapping[str, tuple[int, int]]
    ) -> None:
        self._answer()
        for key, (calls, fails) in totals.items():
            self.counts[key, process] = BreakerCount(key, process, calls, fails)

    def breaker_counts(self) -> Sequence[BreakerCount]:
        self._answer()
        return list(self.counts.values())


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def make_clock() -> type[ManualClock]:
    return ManualClock


@pytest.fixture
def make_store() -> type[MemoryStore]:
    return MemoryStore


@pytest.fixture
def make(clock: ManualClock) -> Callable[..., VersionBreaker]:
    """Return a maker of breakers on the manual clock; keywords are the policy's."""

    def make(**policy: object) -> VersionBreaker:
        return VersionBreaker(
            "f|p-1",
            policy=BreakerPolicy(**policy),  # type: ignore[arg-type]  # - by name
            clock=clock,
            rng=lambda: 0.5,
        )

    return make


@pytest.fixture
def process(clock: ManualClock, store: MemoryStore) -> Callable[..., BreakerRegistry]:
    """Return a maker of registries that share the clock and the store."""

    def process(**options: object) -> BreakerRegistry:
        options = {"store": store, "clock": clock, "rng": lambda: 0.5} | options
        return BreakerRegistry(**options)  # type: ignore[arg-type]  # - by name

    return process
