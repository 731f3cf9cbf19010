"""What the benchmarks share: interleaved rounds, medians, the machine's load, tables.

Each round runs every case once, in an order drawn anew, so that a busy spell of the
machine falls on all of them alike. CPU is that of the whole process: a sync guarded
call works on two threads, and both count. A fixed loop is timed in every round too;
how much slower than its best it ran says how far the machine was from idle.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from llmguard.guard import Runtime, use_runtime

__all__ = [
    "Case",
    "Samples",
    "added",
    "amany",
    "inline",
    "interleave",
    "machine",
    "many",
    "options",
    "report",
    "spread",
    "table",
]

_LOOP: Final = 20_000
Case = Callable[[int], object]
"""Runs its subject the given number of times."""


@dataclass(slots=True)
class Samples:
    """Microseconds per call, one entry per round."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)


def options(description: str, *extra: str) -> argparse.Namespace:
    """Read the options that every benchmark takes; unknown ones are left alone."""
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="few rounds: a smoke test")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    for flag in extra:
        parser.add_argument(flag, action="store_true")
    # `nox -s bench -- ...` gives one set of options to every script.
    return parser.parse_known_args()[0]


def interleave(
    cases: Mapping[str, Case], *, calls: int, rounds: int
) -> dict[str, Samples]:
    """Time every case in every round, in shuffled order, after one warm-up."""
    rng = random.Random(0)
    cases = {**cases, "(loop)": _loop}
    samples = {name: Samples() for name in cases}
    for run in cases.values():
        run(max(1, calls // 10))
    names = list(cases)
    for _ in range(rounds):
        rng.shuffle(names)
        for name in names:
            _time(cases[name], calls if name != "(loop)" else 1, samples[name])
    return samples


def _time(run: Case, calls: int, into: Samples) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    run(calls)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    into.cpu.append(cpu / calls * 1e6)
    into.wall.append(wall / calls * 1e6)


def _loop(calls: int) -> int:
    total = 0
    for i in range(_LOOP * calls):
        total += i
    return total


def machine(samples: Mapping[str, Samples] | None = None) -> dict[str, Any]:
    """Describe the machine and how busy it was."""
    about: dict[str, Any] = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "load": [round(load, 1) for load in os.getloadavg()],
    }
    if samples is not None:
        loop = samples["(loop)"].cpu
        about["loop_slowdown"] = round(statistics.median(loop) / min(loop), 2)
    return about


def spread(
    values: Sequence[float], base: Sequence[float] | None = None, *, subtract: bool
) -> dict[str, float]:
    """Summarise values, or their per-round difference or ratio to a base."""
    if base is not None:
        pairs = zip(values, base, strict=True)
        values = [v - b if subtract else v / b for v, b in pairs]
    ordered = sorted(values)
    quarter = len(ordered) // 4
    return {
        "median": statistics.median(ordered),
        "low": ordered[quarter],
        "high": ordered[-1 - quarter],
        "min": ordered[0],
    }


def added(samples: Mapping[str, Samples], title: str) -> dict[str, dict[str, float]]:
    """Print and return the CPU that each case adds to the one called `nothing`.

    Microseconds per call with their quartiles, and the median of the ratios.
    """
    base = samples["nothing"].cpu
    figures = {
        name: {
            **spread(each.cpu, base, subtract=True),
            "ratio": spread(each.cpu, base, subtract=False)["median"],
        }
        for name, each in samples.items()
        if name not in {"nothing", "(loop)"}
    }
    rows = [
        [name, f["median"], f["low"], f["high"], f["ratio"]]
        for name, f in figures.items()
    ]
    head = ["CPU us added per call of one attempt", "median", "25 %", "75 %", "ratio"]
    table(title, head, rows)
    return figures


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table: the first column to the left, the others to the right."""
    lines = [[_text(cell) for cell in row] for row in [head, *rows]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    print(f"\n{title}")
    for line in lines:
        first = line[0].ljust(widths[0])
        others = [c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True)]
        print("  ".join([first, *others]).rstrip())


def _text(cell: object) -> str:
    if isinstance(cell, float):
        return f"{cell:.3f}" if abs(cell) < 10 else f"{cell:.1f}"
    return str(cell)


def report(
    figures: Mapping[str, Any], about: Mapping[str, Any], to: Path | None
) -> None:
    """Print how busy the machine was; write everything to a file if asked."""
    print(
        f"\n{about['cpus']} {about['machine']} cores, Python {about['python']}, load "
        f"{' '.join(map(str, about['load']))}"
        + (
            f"; the calibration loop ran {about['loop_slowdown']} x its best time"
            if "loop_slowdown" in about
            else ""
        )
    )
    if to is not None:
        to.write_text(json.dumps({"machine": about, **figures}, indent=1) + "\n")


def many(function: Callable[[str], object]) -> Case:
    """Call a function as often as asked, each time with another input."""

    def run(calls: int) -> None:
        for number in range(calls):
            function(f"ticket {number}")

    return run


def amany(function: Callable[[str], Awaitable[object]], on: asyncio.Runner) -> Case:
    """Await a function as often as asked, each time with another input."""

    async def loop(calls: int) -> None:
        for number in range(calls):
            await function(f"ticket {number}")

    return lambda calls: on.run(loop(calls))


def inline(case: Case) -> Case:
    """Run the body in the caller's thread, where a hanging one cannot be left."""
    runtime = Runtime(couriers=None)

    def run(calls: int) -> None:
        with use_runtime(runtime):
            case(calls)

    return run
