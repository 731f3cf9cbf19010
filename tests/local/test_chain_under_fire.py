"""Guarded functions on a local model whose worker is crowded, killed, used for long."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import pathlib
import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from llmguard import (
    INJECTED,
    Model,
    Outcome,
    capture,
    contract,
    fallback_chain,
    on_pin,
    pinned,
    static,
)
from llmguard.adapters import provider_for
from llmguard.adapters.messages import Message, Request
from llmguard.errors import TierUnavailableError
from llmguard.outcome import Kind
from llmguard.pins import Pin
from llmguard.testing import FakeModel, HttpError, isolated, no_leaks

pytestmark = pytest.mark.gguf

LOCAL = "llama.cpp"
CALLERS = 50
SIZE = 300
"""Characters, each a token of its own: a third of a second of work."""
SCHEMA = {
    "type": "object",
    "properties": {"text": {"type": "string", "minLength": 1, "maxLength": SIZE}},
    "required": ["text"],
    "additionalProperties": False,
}
LONG = {
    **SCHEMA,
    "properties": {"text": {"type": "string", "minLength": SIZE, "maxLength": SIZE}},
}
FALLBACK = {"text": "-" * SIZE}
SHORT = {
    "type": "object",
    "properties": {"urgent": {"type": "boolean"}},
    "required": ["urgent"],
    "additionalProperties": False,
}
MakePin = Callable[..., Pin]


@pytest.fixture
def local_pin(any_runtime: None, mini_gguf: pathlib.Path) -> Iterator[MakePin]:
    """Return a maker of pins, whose workers end with the test."""
    made: list[Pin] = []

    def make(**options: Any) -> Pin:
        # A size of its own: no other test's workers are shared, or killed.
        defaults = {"n_ctx": 4096, "n_threads": 1, "n_batch": 96, "grace": 30.0}
        options = {**defaults, **options}
        made.append(
            Pin(route="local", provider=LOCAL, model=str(mini_gguf), options=options)
        )
        return made[-1]

    yield make
    for pin in made:
        provider_for(pin).close()


def worker_of(pin: Pin) -> int:
    """Return the process id of the one worker."""
    provider: Any = provider_for(pin)
    (found,) = provider.pool().pids()
    return int(found)


class Scribe:
    """A guarded function that kills its worker in mid-answer when told to."""

    def __init__(self, pin: Pin, layout: str) -> None:
        self.kill = False
        self.kills = 0
        down = FakeModel(HttpError(503)).pin("remote")
        tiers = {
            "pinned": (pin, (static(FALLBACK),)),
            "on_pin": (down, (on_pin(pin), static(FALLBACK))),
        }
        first, below = tiers[layout]

        @fallback_chain(*below, deadline=120.0)
        @contract(LONG)
        @pinned(first)
        def write(topic: str, *, model: Model = INJECTED) -> Any:
            pieces = model.stream(topic)
            for _ in pieces:
                # A piece has come, hundreds are to follow: this is in mid-answer.
                if self.kill:
                    self.kill, self.kills = False, self.kills + 1
                    os.kill(worker_of(pin), signal.SIGKILL)
            return pieces.reply

        self.write = write

    def call(self, *, kill: bool) -> Outcome:
        """Make one call; return its outcome, once a valid answer has come."""
        self.kill = kill
        # Its own breakers: an open one would spare the worker the next kill.
        with isolated(), capture() as outcomes:
            answer = self.write("anything")
        assert SIZE == len(answer["text"])
        return outcomes[-1]


@pytest.mark.parametrize("layout", ["pinned", "on_pin"])
@pytest.mark.parametrize(
    "rounds", [5, pytest.param(50, marks=[pytest.mark.slow, pytest.mark.timeout(600)])]
)
def test_every_call_is_answered_while_its_worker_is_killed(
    local_pin: MakePin, layout: str, rounds: int
) -> None:
    """Kill -9 in mid-answer, again and again: the chain answers, the worker returns."""
    pin = local_pin()
    tiers: list[str] = []
    with no_leaks(grace=30.0):
        scribe = Scribe(pin, layout)
        for _ in range(rounds):
            hit, calm = scribe.call(kill=True), scribe.call(kill=False)
            killed = [a for a in hit.attempts if "SIGKILL" in a.detail]
            assert [Kind.TRANSPORT] == [a.kind for a in killed], hit
            assert "local" == calm.tier, calm
            tiers.append(hit.tier)
        provider_for(pin).close()
    assert rounds == scribe.kills
    counted = {tier: tiers.count(tier) for tier in sorted({*tiers})}
    report(f"\n{layout}: {rounds} kills, answered by {counted}")


class Crowd:
    """Fifty calls that ask the model at the same moment; refusals are timed."""

    def __init__(self, pin: Pin) -> None:
        self.pin = pin
        self.refused: list[float] = []
        self.worked: list[float] = []
        provider: Any = provider_for(pin)
        provider.warm()
        message = Message(role="user", content="warm up")
        provider.complete(Request(messages=[message], timeout=60.0, schema=SHORT))

    @contextlib.contextmanager
    def timed(self) -> Iterator[None]:
        """Note how long the model took to say that it is busy."""
        begun, busy = time.perf_counter(), time.thread_time()
        try:
            yield
        except TierUnavailableError:
            # Without the time that threads wait for the interpreter's lock.
            self.worked.append(time.thread_time() - busy)
            self.refused.append(time.perf_counter() - begun)
            raise

    def threads(self) -> list[Outcome]:
        """Call from fifty threads."""
        gate = threading.Barrier(CALLERS)

        @fallback_chain(static(FALLBACK), deadline=120.0)
        @contract(SCHEMA)
        @pinned(self.pin)
        def write(topic: str, *, model: Model = INJECTED) -> Any:
            gate.wait()
            with self.timed():
                return model.complete(topic)

        def one(number: int) -> Outcome:
            with isolated(), capture() as outcomes:
                write(f"topic {number}")
            return outcomes[-1]

        with ThreadPoolExecutor(CALLERS) as pool:
            return [*pool.map(one, range(CALLERS))]

    def tasks(self) -> list[Outcome]:
        """Call from fifty tasks of one event loop."""

        @fallback_chain(static(FALLBACK), deadline=120.0)
        @contract(SCHEMA)
        @pinned(self.pin)
        async def write(topic: str, *, model: Model = INJECTED) -> Any:
            with self.timed():
                return await model.acomplete(topic)

        async def main() -> list[Outcome]:
            with isolated(), capture() as outcomes:
                await asyncio.gather(*(write(f"topic {n}") for n in range(CALLERS)))
            return outcomes

        return asyncio.run(main())


@pytest.mark.parametrize("callers", ["threads", "tasks"])
def test_a_crowd_before_two_slots_moves_on(local_pin: MakePin, callers: str) -> None:
    """Whom two slots and their queue have no room for, the next tier answers."""
    crowd = Crowd(local_pin(slots=2, queue=4))
    outcomes: list[Outcome] = getattr(crowd, callers)()
    assert CALLERS == len(outcomes)
    served = [o for o in outcomes if o.tier == "local"]
    excess = [o for o in outcomes if o.tier != "local"]
    assert {("static", Kind.SKIPPED, "busy")} == {
        (o.tier, o.attempts[0].kind, o.attempts[0].detail.partition(":")[0])
        for o in excess
    }
    assert 6 <= len(served)
    assert len(excess) == len(crowd.refused)
    moved = [o.attempts[-1].started - end_of_first(o) for o in excess]
    report(f"\n{callers}: {len(served)} served, {len(excess)} moved on")
    report(f"  refusal by the runtime, ms: {spread(crowd.refused)}")
    report(f"  of which this thread worked, ms: {spread(crowd.worked)}")
    report(f"  from there to the next tier, ms: {spread(moved)}")


def report(line: str) -> None:
    """Print a figure, seen with `pytest -s`."""
    print(line)  # noqa: T201 - the figures are half the point of these tests


def end_of_first(outcome: Outcome) -> float:
    """Return when the first attempt had ended, in seconds after the call began."""
    first = outcome.attempts[0]
    return first.started + first.elapsed


def spread(seconds: list[float]) -> str:
    """Return median and maximum in milliseconds."""
    return (
        f"median {statistics.median(seconds) * 1e3:.3f}, max {max(seconds) * 1e3:.3f}"
    )


def resident() -> int:
    """Return this process's resident memory in bytes."""
    gc.collect()
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(
    not pathlib.Path("/proc/self/statm").exists(), reason="needs Linux's /proc"
)
@pytest.mark.parametrize(
    "calls",
    [
        pytest.param(1_500, marks=pytest.mark.slow),
        pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(1200)]),
    ],
)
def test_the_program_stays_as_large_as_it_was(local_pin: MakePin, calls: int) -> None:
    """After warming up, thousands of guarded calls keep nothing of themselves."""

    @fallback_chain(static({"urgent": True}), deadline=60.0)
    @contract(SHORT)
    @pinned(local_pin())
    def judge(ticket: str, *, model: Model = INJECTED) -> Any:
        return model.complete(ticket)

    def run(count: int) -> set[str]:
        tiers: set[str] = set()
        for number in range(count):
            with capture() as outcomes:
                judge(f"ticket {number}")
            tiers.add(outcomes[-1].tier)
        return tiers

    with isolated():
        run(500)
        before = resident()
        tiers = run(calls)
        grown = resident() - before
    assert {"local"} == tiers
    report(f"\n{calls} calls: {before >> 20} MiB, grown by {grown / 1024:.0f} KiB")
    assert grown < 8 << 20
