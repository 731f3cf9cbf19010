"""What a suite's run costs beside the calls it makes: 2,000 of them, 64 at once.

The server is a stub in another process on this machine that answers at once; then a
model in this process, so that nothing but the runner is left. The same calls are made
through the guarded function alone and by a run with its schedule, judging, statistics
and journal.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from _measure import machine, options, report, spread, table
from _stub import ANSWER, MODEL, stub
from pydantic import BaseModel

from llmguard import INJECTED, Model, Pin, contract, pinned
from llmguard.guard import Runtime, guard_of
from llmguard.guard._trial import arun_trial, trial_guard
from llmguard.suite import Suite, arun
from llmguard.suite.expect import schema, worst_prompt
from llmguard.testing import FakeModel

CALLS: Final = 2000
AT_ONCE: Final = 64
CASES: Final = 200
Subject = Callable[[], Awaitable[int]]
_COLUMNS: Final = ("cpu", "wall", "cpu_over", "wall_over")


class Person(BaseModel):
    """The task: two fields."""

    name: str
    age: int


def _suite(pin: Pin) -> Suite:
    @contract(Person)
    @pinned(pin)
    async def person(text: str, *, model: Model = INJECTED) -> Person:
        return await model.acomplete(text)

    # Rates that this many calls cannot tell apart, so that every round is run.
    rates: dict[str, Any] = {"tolerate": 1e-4, "unacceptable": 1e-3}
    cases = [{"id": f"c{n}", "inputs": {"text": f"ticket {n}"}} for n in range(CASES)]
    return Suite(
        "bench",
        person,
        cases=cases,
        assertions=[schema(**rates), worst_prompt()],
    )


async def _spread_out(ask: Callable[[str], Awaitable[object]], calls: int) -> int:
    """Make the calls, so many at once, with nothing else around them."""
    numbers = iter(range(calls))

    async def work() -> None:
        for number in numbers:
            await ask(f"ticket {number % CASES}")

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return calls


def _remote(url: str) -> Pin:
    return Pin(
        route="bench",
        provider="openai",
        model=MODEL,
        endpoint=f"{url}/v1",
        version_class="immutable",
    )


def _subjects(pin: Pin, calls: int, folder: Path) -> dict[str, Subject]:
    suite = _suite(pin)
    suite.validate()
    guard = trial_guard(guard_of(suite.function), pin)

    async def guarded() -> int:
        runtime = Runtime()
        return await _spread_out(
            lambda text: arun_trial(guard, runtime, {"text": text}), calls
        )

    async def whole(journal: Path | None) -> int:
        made = await arun(
            suite,
            pin,
            seed=0,
            concurrency=AT_ONCE,
            max_calls=calls,
            journal=journal,
        )
        return made.calls

    return {
        "guarded function": guarded,
        "suite run": lambda: whole(None),
        "suite run, journal": lambda: whole(folder / f"{time.perf_counter_ns()}.jsonl"),
    }


def measure(pin: Pin, *, calls: int, rounds: int) -> dict[str, Any]:
    """Time every subject in every round: microseconds per call."""
    taken: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        subjects = _subjects(pin, calls, Path(folder))
        for number in range(rounds + 1):
            for name, subject in subjects.items():
                began, used = time.perf_counter(), time.process_time()
                made = asyncio.run(_counted(subject))
                used, took = time.process_time() - used, time.perf_counter() - began
                mine = taken.setdefault(name, {"cpu": [], "wall": []})
                if number:  # the first round warms up
                    mine["cpu"].append(used / made * 1e6)
                    mine["wall"].append(took / made * 1e6)
    base = taken["guarded function"]
    return {
        name: {
            "cpu": spread(mine["cpu"], subtract=True),
            "wall": spread(mine["wall"], subtract=True),
            "cpu_over": spread(mine["cpu"], base["cpu"], subtract=True),
            "wall_over": spread(mine["wall"], base["wall"], subtract=True),
        }
        for name, mine in taken.items()
    }


async def _counted(subject: Subject) -> int:
    return await subject()


def main() -> None:
    """Measure, print and write."""
    asked = options(__doc__ or "")
    calls = CASES if asked.quick else CALLS
    rounds = 1 if asked.quick else 3
    local = FakeModel(ANSWER, name=MODEL).pin("bench")
    figures = {"in process": measure(local, calls=calls, rounds=rounds)}
    with stub() as url:
        figures["loopback stub"] = measure(_remote(url), calls=calls, rounds=rounds)
    for where, found in figures.items():
        rows = [
            [name, *(one[key]["median"] for key in _COLUMNS)]
            for name, one in found.items()
        ]
        table(
            f"{calls} calls, {AT_ONCE} at once, {where}: microseconds per call, median",
            ["", "CPU", "wall", "CPU over guarded", "wall over guarded"],
            rows,
        )
    report({"suite_runner": figures}, machine(), asked.json)


if __name__ == "__main__":
    main()
