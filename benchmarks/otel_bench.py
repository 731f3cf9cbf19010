"""What telemetry adds to a guarded call: the tally, spans and metrics, on and off.

The provider answers at once in this process, and spans go nowhere: what is timed is the
guard, and what each way of watching adds to it. The ways take turns within every
round, so that a busy machine slows all of them alike.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from _measure import (
    Case,
    added,
    inline,
    interleave,
    machine,
    many,
    options,
    report,
)
from guard_bench import LAST, PIN, Person, pinned_body
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NoOpTracerProvider

from llmguard import contract, fallback_chain, pinned, static
from llmguard.telemetry import add_hook, otel, prometheus, remove_hook
from llmguard.telemetry.tally import TALLY


def _guarded() -> Callable[[str], object]:
    return fallback_chain(static(LAST))(contract(Person)(pinned(PIN)(pinned_body)))


def _with(begin: Callable[[], object], end: Callable[[], object], case: Case) -> Case:
    """Switch something on for a case alone."""

    def run(calls: int) -> None:
        begin()
        try:
            case(calls)
        finally:
            end()

    return run


def _cases() -> dict[str, Case]:
    case = inline(many(_guarded()))
    meters = MeterProvider([InMemoryMetricReader()])
    tracers = TracerProvider()

    def spans() -> None:
        otel.enable(tracer_provider=tracers, meter_provider=meters)

    def metrics() -> None:
        otel.enable(tracer_provider=NoOpTracerProvider(), meter_provider=meters)

    def nothing() -> None:
        remove_hook(TALLY)

    def tally() -> None:
        add_hook(TALLY)

    def off() -> None:
        otel.disable()
        remove_hook(TALLY)

    remove_hook(TALLY)  # importing `prometheus` has it count
    return {
        "nothing": _with(nothing, nothing, case),
        "exact counts (tally)": _with(tally, off, case),
        "OpenTelemetry, metrics only": _with(metrics, off, case),
        "OpenTelemetry, spans and metrics": _with(spans, off, case),
    }


def overhead(*, quick: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Measure microseconds of CPU per call that each way adds, and the ratio."""
    calls, rounds = (20, 3) if quick else (500, 41)
    samples = interleave(_cases(), calls=calls, rounds=rounds)
    return added(samples, "What telemetry costs"), machine(samples)


def scrape() -> dict[str, float]:
    """Measure one scrape of a process that has counted 50 functions."""
    from llmguard.outcome import Attempt, Kind, Outcome

    for number in range(50):
        attempt = Attempt(
            tier="t",
            tier_index=0,
            number=1,
            kind=Kind.OK,
            started=0.0,
            elapsed=0.1,
            pin=f"p-{number}",
        )
        outcome = Outcome(
            call_id="c",
            function=f"app.f{number}",
            kind=Kind.OK,
            tier="t",
            tier_index=0,
            attempts=(attempt,),
            elapsed=0.1,
        )
        TALLY(outcome)
    began = time.perf_counter()
    text = prometheus.render()
    taken = (time.perf_counter() - began) * 1e3
    print(f"\nOne scrape of 50 functions: {taken:.1f} ms, {len(text) / 1024:.0f} KiB")
    return {"ms": taken, "bytes": float(len(text))}


def main() -> None:
    chosen = options(__doc__ or "")
    figures, about = overhead(quick=chosen.quick)
    scraped = scrape()
    left = [t.name for t in threading.enumerate() if t.name == "llmguard-otel"]
    assert not left, left  # noqa: S101 - the benchmark checks itself
    report({"overhead": figures, "scrape": scraped}, about, chosen.json)


if __name__ == "__main__":
    main()
