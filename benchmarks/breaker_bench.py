"""What the breaker costs: throughput of threads through one breaker, CPU per call.

Run `python benchmarks/breaker_bench.py`; `--check` fails below 95 % of the throughput
without a breaker. Guarded and unguarded rounds take turns, so that a busy machine
slows both; so does pybreaker, which knows no versions and no half-open limit.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import pybreaker
from _measure import machine, options, report, spread

from llmguard.breaker import BreakerOpenError, VersionBreaker
from llmguard.outcome import Kind

THREADS = 8
CALLS = 40
ROUNDS = 7
NEEDED = 0.95


def work() -> None:
    time.sleep(0.010)


def throughput(call: Callable[[], object]) -> float:
    """Return calls per second of eight threads."""
    start = threading.Barrier(THREADS + 1)

    def loop() -> None:
        start.wait()
        for _ in range(CALLS):
            call()

    threads = [threading.Thread(target=loop) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    start.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return THREADS * CALLS / (time.perf_counter() - began)


def threads_share_one_breaker(rounds: int) -> dict[str, Any]:
    ours, stock = VersionBreaker("bench|p"), pybreaker.CircuitBreaker()
    ways: dict[str, Callable[[], object]] = {
        "unguarded": work,
        "VersionBreaker.call": lambda: ours.call(work),
        "pybreaker call": lambda: stock.call(work),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, call in ways.items():
            rates[name].append(throughput(call))
    print(f"{THREADS} threads, a 10 ms function, calls per second:")
    found: dict[str, Any] = {}
    for name, seen in rates.items():
        share = spread(seen, rates["unguarded"], subtract=False)
        found[name] = {"per_s": median(seen), "share": share}
        print(
            f"  {name:22} {median(seen):6.0f}   {share['median']:.3f} of unguarded "
            f"({share['low']:.3f} to {share['high']:.3f})"
        )
    return found


def micros(call: Callable[[], object], *, n: int = 20_000) -> float:
    """Return the best CPU time per call of five rounds, in microseconds."""
    best = float("inf")
    for _ in range(5):
        began = time.process_time()
        for _ in range(n):
            call()
        best = min(best, (time.process_time() - began) / n)
    return best * 1e6


def cost_per_call() -> dict[str, float]:
    breaker, opened = VersionBreaker("bench|p"), VersionBreaker("bench|open")
    stock, inputs = pybreaker.CircuitBreaker(), iter(range(10**9))
    opened.force_open("bench", "bench")

    def attempt() -> None:
        breaker.record(breaker.acquire(), Kind.OK, elapsed=0.1)

    def refused() -> None:
        try:  # noqa: SIM105 - `suppress` would cost as much as what is measured
            opened.acquire()
        except BreakerOpenError:
            pass

    def nothing() -> None:
        pass

    print("CPU per call, microseconds, best of five:")
    ways: dict[str, Callable[[], object]] = {
        "empty loop": nothing,
        "acquire + record": attempt,
        "observe, a new input": lambda: breaker.observe(str(next(inputs)), Kind.OK),
        "observe, a known input": lambda: breaker.observe("same", Kind.OK),
        "acquire, refused": refused,
        "call(f)": lambda: breaker.call(nothing),
        "pybreaker call(f)": lambda: stock.call(nothing),
    }
    found = {name: micros(call) for name, call in ways.items()}
    for name, cost in found.items():
        print(f"  {name:22} {cost:6.2f}")
    return found


def main() -> int:
    asked = options(__doc__ or "", "--check")
    shares = threads_share_one_breaker(2 if asked.quick else ROUNDS)
    figures = {"throughput": shares, "cpu_us": cost_per_call()}
    report(figures, machine(), asked.json)
    ratio: float = shares["VersionBreaker.call"]["share"]["median"]
    return 1 if asked.check and ratio < NEEDED else 0


if __name__ == "__main__":
    sys.exit(main())
