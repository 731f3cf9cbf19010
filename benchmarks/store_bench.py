"""How much of raw SQLite's durable speed the human queue keeps.

Usage: python benchmarks/store_bench.py [--seconds 3] [--threads 1 8 64] [--processes 4]
           [--quick] [--json FILE]

Each number is a ratio to the same work on a raw `sqlite3` connection (WAL,
`synchronous=FULL`, `BEGIN IMMEDIATE`): one row in and one commit for an enqueue, one
update and one commit for a claim or an answer. Slices of both alternate, so that what
else the machine does hits both; absolute rates are this machine's.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _measure import machine

from llmguard.store import NewTicket, SqliteStore, new_id

TEXT = "x" * 900
SLICE = 0.3
Step = Callable[[], object]
Figures = dict[str, dict[str, Any]]


def raw_step(path: Path) -> Step:
    """Return one durable insert on a raw connection."""
    # Raw SQLite gives up after 5 s while others write, which a busy machine exceeds.
    connection = sqlite3.connect(path, isolation_level=None, timeout=60)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS t (id TEXT PRIMARY KEY, body TEXT)")

    def step() -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO t VALUES (?, ?)", (new_id(time.time()), TEXT))
        connection.execute("COMMIT")

    return step


def ticket(number: int, who: str = "") -> NewTicket:
    """Return a ticket of about one kilobyte."""
    key = f"{who}{number}"
    return NewTicket(
        id=new_id(time.time()),
        queue="q",
        key=key,
        fingerprint=key,
        inputs={"text": TEXT},
    )


def rate(step: Step, seconds: float) -> float:
    """Return steps per second."""
    count, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < seconds:
        step()
        count += 1
    return count / spent


def against_raw(name: str, raw: Step, step: Step, seconds: float) -> Figures:
    """Alternate slices of both; print and return the median ratio."""
    pairs = [
        (rate(raw, SLICE), rate(step, SLICE))
        for _ in range(max(3, int(seconds / SLICE)))
    ]
    return _compared(name, pairs)


def _compared(name: str, pairs: list[tuple[float, float]]) -> Figures:
    ratios = sorted(ours / theirs for theirs, ours in pairs)
    ours, quarter = statistics.median(pair[1] for pair in pairs), len(ratios) // 4
    ratio, low, high = statistics.median(ratios), ratios[quarter], ratios[~quarter]
    print(
        f"{name:<22} {ours:>8.0f}/s   {ratio:5.2f} of raw "
        f"(quartiles {low:.2f} to {high:.2f})"
    )
    return {name: {"per_s": ours, "of_raw": ratio, "low": low, "high": high}}


def single(folder: Path, seconds: float) -> Figures:
    """Measure enqueue, claim and answer from one thread."""
    raw = raw_step(folder / "raw.db")
    store = SqliteStore(folder / "store.db")
    numbers = itertools.count()
    found = against_raw(
        "enqueue", raw, lambda: store.tickets.enqueue(ticket(next(numbers))), seconds
    )
    held: list[tuple[str, str]] = []

    def claim() -> None:
        found = store.tickets.claim(reviewer="bench", lease=3600)
        if found is None:
            store.tickets.enqueue(ticket(next(numbers)))
        else:
            held.append((found.id, found.lease_token))

    def answer() -> None:
        if not held:
            claim()
            return
        ticket_id, token = held.pop()
        store.tickets.answer(ticket_id, 1, reviewer="bench", token=token)

    found |= against_raw("claim", raw, claim, seconds)
    found |= against_raw("answer", raw, answer, seconds)
    store.close()
    return found


def threads(folder: Path, count: int, seconds: float) -> Figures:
    """Measure enqueues of many threads, which share commits."""
    raw = raw_step(folder / f"raw{count}.db")
    store = SqliteStore(folder / f"threads{count}.db")
    numbers = itertools.count()

    def all_at_once() -> float:
        done: list[float] = []

        def work() -> None:
            step: Step = lambda: store.tickets.enqueue(ticket(next(numbers)))  # noqa: E731 - a step
            done.append(rate(step, SLICE))

        workers = [threading.Thread(target=work) for _ in range(count)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return sum(done)

    pairs = [
        (rate(raw, SLICE), all_at_once()) for _ in range(max(3, int(seconds / SLICE)))
    ]
    store.close()
    return _compared(f"enqueue, {count:>3} threads", pairs)


def child(path: str, kind: str, seconds: float) -> None:
    """Print how many durable inserts one of several processes gets done."""
    numbers = itertools.count()
    if kind == "raw":
        step = raw_step(Path(path))
    else:
        store = SqliteStore(path)
        who = f"{os.getpid()}-"
        step = lambda: store.tickets.enqueue(ticket(next(numbers), who))  # noqa: E731 - a step
    step()
    print(rate(step, seconds))


def processes(folder: Path, count: int, seconds: float) -> Figures:
    """Measure enqueues of several processes: total, and slowest to fastest."""
    found: Figures = {}
    for kind in ("raw", "store"):
        command = [sys.executable, __file__, "--child", kind, "--seconds", str(seconds)]
        path = str(folder / f"processes-{kind}.db")
        # Made before they start: raw SQLite fails where several make it at once.
        _ = raw_step(Path(path)) if kind == "raw" else SqliteStore(path).close()
        running = [
            subprocess.Popen(  # noqa: S603 - ourselves
                [*command, "--path", path], stdout=subprocess.PIPE, text=True
            )
            for _ in range(count)
        ]
        rates = [float(one.communicate()[0]) for one in running]
        fair = min(rates) / max(rates)
        print(
            f"enqueue, {count:>3} processes {sum(rates):>8.0f}/s   {kind}, "
            f"slowest/fastest {fair:.2f}"
        )
        found[f"{count} processes, {kind}"] = {"per_s": sum(rates), "fair": fair}
    return found


def main() -> None:
    """Run all of it in a temporary folder of the current disk."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 8, 64])
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--child", choices=["raw", "store"])
    parser.add_argument("--path")
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    options = parser.parse_known_args()[0]
    if options.child:
        child(options.path, options.child, options.seconds)
        return
    seconds = 0.3 if options.quick else options.seconds
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        found = single(folder, seconds)
        for count in options.threads:
            found |= threads(folder, count, seconds)
        found |= processes(folder, options.processes, seconds)
    if options.json:
        figures = {"machine": machine(), "store": found}
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
