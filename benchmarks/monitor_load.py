"""What the monitor costs a call, what it does under a flood, and a healthy soak.

    python benchmarks/monitor_load.py               all parts, about six minutes
    python benchmarks/monitor_load.py --quick       a smoke test
    python benchmarks/monitor_load.py --soak-only   400,000 outputs under changing mixes
    python benchmarks/monitor_load.py --no-soak     the others, about three minutes

`cost`: one guarded call with the monitor on against the same call without, in turns;
the provider answers at once. The budget is 15 microseconds. `flood`: 10,000 outputs a
second are offered for 60 seconds from an event loop, at the default 20 evaluations a
second; queue, memory, counts and the loop's lag are printed. `soak`: real answers of
the embedded `triage-1.0` to 3,000 composed tickets, resampled (400,000 real calls would
take a day), under mixes of tickets that change every 2,000 outputs, each of 40
baselines followed for 10,000; nothing has changed, so every alarm is false and no
breaker may trip. Alarms that are not raised because other inputs explain them are
counted apart.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import time
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from _measure import Case, inline, interleave, machine, many, options, spread, table
from _monitor_soak import soak
from pydantic import BaseModel

from llmguard import INJECTED, Model, Pin, contract, pinned
from llmguard.adapters import Request, register_provider
from llmguard.monitor import Monitor
from llmguard.monitor._intake import Intake
from llmguard.outcome import Attempt, Kind
from llmguard.reply import Reply
from llmguard.telemetry import Answer

TEXT: Final = '{"name": "Ada", "age": 36}'
BUDGET_US: Final = 15.0


class Person(BaseModel):
    """The task: two fields."""

    name: str
    age: int


@dataclass(frozen=True)
class Instant:
    """A provider that answers at once."""

    remote: bool = False

    def complete(self, request: Request) -> Reply:
        """Answer."""
        del request
        return Reply(text=TEXT, finish_reason="stop", served_model="instant-1")

    def close(self) -> None:
        """Hold nothing."""


def person() -> Any:
    register_provider("instant", lambda _: Instant())
    pin = Pin(
        route="bench",
        provider="instant",
        model="instant-1",
        version_class="versioned",
    )

    @contract(Person)
    @pinned(pin)
    def ask(text: str, *, model: Model = INJECTED) -> Person:
        return model.complete(text)

    return ask


def cost(*, quick: bool) -> dict[str, Any]:
    """Time guarded calls with and without the monitor, in turns."""
    ask = person()
    monitor = Monitor(capacity=1024)

    def off(calls: int) -> None:
        many(ask)(calls)

    def watched(calls: int) -> None:
        monitor.start()
        many(ask)(calls)
        monitor.stop()

    cases: dict[str, Case] = {"off": inline(off), "on": inline(watched)}
    samples = interleave(
        cases, calls=300 if quick else 3_000, rounds=5 if quick else 31
    )
    found = spread(samples["on"].cpu, samples["off"].cpu, subtract=True)
    hook = hook_alone(2_000 if quick else 100_000)
    table(
        f"microseconds of CPU that the monitor adds to a call (budget {BUDGET_US:g})",
        ("part", "median", "low", "high"),
        [
            ("whole call", found["median"], found["low"], found["high"]),
            ("of it the intake", hook, "", ""),
        ],
    )
    return {"call_us": found, "intake_us": hook}


def told(kind: Kind = Kind.OK) -> Answer:
    attempt = Attempt(
        tier="bench", tier_index=0, number=1, kind=kind, started=0, elapsed=0, pin="p-1"
    )
    return Answer(
        call_id="c",
        function="bench.f",
        at=0.0,
        attempt=attempt,
        value=None,
        text=TEXT,
        inputs={},
    )


def hook_alone(calls: int) -> float:
    intake = Intake(per_second=20.0, capacity=1024)
    answer = told()
    began = time.process_time()
    for _ in range(calls):
        intake.offer(answer)
    return (time.process_time() - began) / calls * 1e6


async def _lags(seconds: float, into: list[float]) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        await asyncio.sleep(0.005)
        into.append((time.perf_counter() - began - 0.005) * 1e3)


async def _offer(monitor: Monitor, per_second: int, seconds: float) -> int:
    rng = random.Random(1)
    good = [replied(rng) for _ in range(400)]
    bad = told(Kind.SCHEMA)
    offered, began = 0, time.perf_counter()
    while (now := time.perf_counter() - began) < seconds:
        due = int(now * per_second) - offered
        for i in range(due):
            # One in a hundred breaks the contract.
            monitor.offer(bad if (offered + i) % 100 == 0 else good[i % 400])
        offered += due
        await asyncio.sleep(0.002)
    return offered


def replied(rng: random.Random) -> Answer:
    words = ("parcel", "invoice", "thanks", "today", "we", "will", "send", "it", "soon")
    text = " ".join(rng.choice(words) for _ in range(rng.randint(60, 200))) + "."
    answer = told()
    return Answer(
        call_id=answer.call_id,
        function=answer.function,
        at=time.time(),
        attempt=answer.attempt,
        value=text,
        text=text,
        inputs={"text": rng.choice(words)},
    )


def flood(*, quick: bool) -> dict[str, Any]:
    """Offer far more than is read, from an event loop, and watch the loop."""
    seconds = 3.0 if quick else 60.0
    figures: dict[str, Any] = {}
    lines = []
    for on in (False, True):
        monitor = Monitor(learn=400)
        if on:
            monitor.start()
        else:
            monitor._launch = lambda: None  # type: ignore[method-assign]  # noqa: SLF001 - no reader
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        lags: list[float] = []

        async def play(monitor: Monitor = monitor, lags: list[float] = lags) -> int:
            lag = asyncio.create_task(_lags(seconds, lags))
            offered = await _offer(monitor, 10_000, seconds)
            await lag
            return offered

        offered = asyncio.run(play())
        counts = monitor.counts()
        monitor.stop()
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        lost = offered - counts.told
        name = "on" if on else "counting only"
        p50, p99 = np.quantile(lags, [0.5, 0.99])
        figures[name] = {
            "offered": offered,
            "counted": counts.told,
            "uncounted": lost,
            "read": monitor.evaluated,
            "taken": counts.taken,
            "passed": counts.passed,
            "dropped": counts.dropped,
            "grown_kb": grown,
            "lag_ms": {"p50": float(p50), "p99": float(p99)},
        }
        lines.append(
            (
                name,
                offered,
                lost,
                monitor.evaluated,
                counts.dropped,
                grown / 1024,
                float(p50),
                float(p99),
            )
        )
    table(
        f"10,000 outputs/s for {seconds:g} s, event loop lag in ms",
        (
            "monitor",
            "offered",
            "uncounted",
            "read",
            "dropped",
            "grown MB",
            "lag p50",
            "lag p99",
        ),
        lines,
    )
    return figures


def main() -> None:
    given = options(__doc__.splitlines()[0], "--soak-only", "--no-soak")
    figures: dict[str, Any] = {"machine": machine()}
    if not given.soak_only:
        figures["cost"] = cost(quick=given.quick)
        figures["flood"] = flood(quick=given.quick)
    if given.soak_only or not (given.quick or given.no_soak):
        figures["soak"] = soak(quick=given.quick)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
