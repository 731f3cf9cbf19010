"""Objectives under load: 10,000 finished calls a second offered to one process.

The whole way is taken, hook, tally, keeper, store, for a minute (two seconds with
`--quick`), while an event loop measures how late it is woken. Rounds with and without
the counting take turns. Said at the end: whether the store holds exactly what was
offered, how memory grew, and the loop's lag.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Final

from _measure import machine, options, report, table

from llmguard.outcome import Attempt, Kind, Outcome
from llmguard.store import SqliteStore
from llmguard.telemetry.growth import Growth
from llmguard.telemetry.tally import Tally

RATE: Final = 10_000
PERIOD: Final = 1.0
TICK: Final = 0.01


def _outcome(number: int) -> Outcome:
    kind = Kind.SCHEMA if number % 50 == 0 else Kind.OK
    attempt = Attempt(
        tier="model",
        tier_index=0,
        number=1,
        kind=kind,
        started=0.0,
        elapsed=0.1,
        pin=f"p-{number % 3}",
    )
    return Outcome(
        call_id="c",
        function=f"app.f{number % 7}",
        kind=kind,
        tier="model" if kind is Kind.OK else "",
        tier_index=0 if kind is Kind.OK else -1,
        attempts=(attempt,),
        elapsed=0.1,
    )


def _offer(tally: Tally | None, seconds: float) -> int:
    """Offer outcomes at the rate, in bursts of a hundredth of a second."""
    ready = [_outcome(number) for number in range(1050)]
    offered, burst = 0, int(RATE * TICK)
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        for _ in range(burst):
            if tally is not None:
                tally(ready[offered % len(ready)])
            offered += 1
        behind = offered / RATE - (time.perf_counter() - start)
        if behind > 0:
            time.sleep(behind)
    return offered


def _keep(tally: Tally, store: SqliteStore, stop: threading.Event) -> None:
    """Do what the keeper does, once a second."""
    growth, last = Growth(tally), False
    while not last:
        last = stop.wait(PERIOD)
        batch = growth.batch(time.time())
        if batch is not None:
            store.counts.add(
                "prod",
                batch.rows,
                source=batch.source,
                number=batch.number,
                at=batch.at,
            )
            growth.done()


async def _lags(stop: threading.Event) -> list[float]:
    """Return how many milliseconds late each wake-up was."""
    found: list[float] = []
    while not stop.is_set():
        due = time.perf_counter() + TICK
        await asyncio.sleep(TICK)
        found.append((time.perf_counter() - due) * 1e3)
    return found


def _rss() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _round(store: SqliteStore | None, seconds: float) -> tuple[int, list[float]]:
    """Offer for some seconds; return how many, and the loop's lags."""
    tally = None if store is None else Tally()
    stop, offered = threading.Event(), [0]
    keeper = threading.Thread(target=_keep, args=(tally, store, stop))
    if store is not None:
        keeper.start()

    def work() -> None:
        offered[0] = _offer(tally, seconds)
        stop.set()

    worker = threading.Thread(target=work)
    worker.start()
    lags = asyncio.run(_lags(stop))
    worker.join()
    if store is not None:
        keeper.join()
    return offered[0], lags


def _kept(store: SqliteStore) -> int:
    rows = store.counts.sums("prod")
    return sum(row.n for row in rows if row.measure == "call")


def main() -> None:
    chosen = options(__doc__ or "")
    rounds, seconds = (1, 1.0) if chosen.quick else (3, 10.0)
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "store.db")
        offered, lags = 0, {"on": list[float](), "off": list[float]()}
        _round(store, 0.2)
        before, warm = _rss(), _kept(store)
        for _ in range(rounds):
            n, late = _round(store, seconds if chosen.quick else 2 * seconds)
            offered += n
            lags["on"] += late
            lags["off"] += _round(None, seconds)[1]
        grown = _rss() - before
        kept = _kept(store) - warm
        store.close()
    exact = kept == offered
    figures: dict[str, Any] = {
        "offered": offered,
        "stored": kept,
        "exact": exact,
        "rss_mib": round(grown, 2),
        "lag_ms": {
            name: {
                "p50": statistics.median(each),
                "p99": statistics.quantiles(each, n=100)[98],
            }
            for name, each in lags.items()
        },
    }
    rows = [[n, each["p50"], each["p99"]] for n, each in figures["lag_ms"].items()]
    table("Event-loop lag, ms, with counting on and off", ["", "p50", "p99"], rows)
    print(
        f"\n{offered} calls offered at {RATE} a second, {kept} in the "
        f"store: {'exact' if exact else 'NOT EXACT'}; memory grew by {grown:.1f} MiB"
    )
    report({"load": figures}, machine(), chosen.json)


if __name__ == "__main__":
    main()
