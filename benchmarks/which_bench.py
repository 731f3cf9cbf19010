"""How long "what ran at T?" takes over a long history.

Usage: python benchmarks/which_bench.py [--events 1000000] [--routes 200] [--asks 1000]
           [--quick] [--json FILE]

It fills a store as years of moves, roll-ups of echoes and applied revisions would, and
asks `llmguard.promotion.which` for random routes at random times, each from a cold
cache of statements only. The command is timed too; most of that is Python's start.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llmguard.promotion import which
from llmguard.store import Action, Entry, RouteState, SqliteStore, Stage, step
from llmguard.store._ledger import SNAPSHOT_EVERY
from llmguard.store._ledger_rows import COLUMNS, as_columns, dump_state
from llmguard.store.traffic import BUCKET

START, GAP = 1_700_000_000.0, 60.0
PROCESSES = [f"host-{number}:{number}" for number in range(8)]
CYCLE = (
    ("p-b", Action.CANDIDATE, None, Stage.CANDIDATE),
    ("p-b", Action.CANARY, 500, Stage.CANARY),
    ("p-b", Action.PROMOTE, None, Stage.ACTIVE),
    ("p-a", Action.ROLLBACK, None, Stage.ACTIVE),
    ("p-b", Action.RESUME, None, Stage.CANDIDATE),
    ("p-b", Action.RETIRE, None, Stage.RETIRED),
)
"""What happens to each route again and again."""
_SNAPSHOT = "INSERT INTO ledger_snapshots VALUES (?, ?, ?, ?)"


def moves(events: int, routes: int) -> Iterator[tuple[Entry, RouteState]]:
    """Yield entries of all routes in turn, and the state of the route after each."""
    states = [RouteState(env="prod", route=f"route-{n}") for n in range(routes)]
    for number in range(events):
        state = states[number % routes]
        turn = (state.count - 1) % len(CYCLE)
        pin, action, weight, stage = CYCLE[turn]
        if not state.count:
            pin, action, weight, stage = "p-a", Action.PROMOTE, None, Stage.ACTIVE
        entry = Entry(
            rev=number + 1,
            at=START + number * GAP,
            env="prod",
            route=state.route,
            pin=pin,
            action=action,
            from_stage=state.stages.get(pin),
            to_stage=stage,
            weight=weight,
            prev_pin=(state.active or "") if stage is Stage.ACTIVE else "",
            base_rev=state.rev,
            lock_digest="",
            evidence=(),
            approvals=(),
            actor="bench",
            reason="",
            prev_hash="",
            hash="",
        )
        states[number % routes] = step(state, entry)
        yield entry, states[number % routes]


def fill_ledger(path: Path, events: int, routes: int) -> None:
    """Write the history as the ledger would, but for the hashes."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("BEGIN")
    values = ", ".join(f":{name}" for name in COLUMNS)
    row = f"INSERT INTO ledger VALUES ({values})"  # noqa: S608 - constants
    for entry, state in moves(events, routes):
        connection.execute(row, as_columns(entry))
        about = ("prod", entry.route, entry.rev, dump_state(state))
        if state.count % SNAPSHOT_EVERY == 0:
            connection.execute(
                "INSERT INTO ledger_snapshots VALUES (?, ?, ?, ?)", about
            )
        if entry.rev > events - routes:
            connection.execute("INSERT INTO ledger_heads VALUES (?, ?, ?, ?)", about)
    connection.execute("COMMIT")
    connection.close()


def fill_traffic(path: Path, events: int, routes: int) -> None:
    """Write as many roll-ups of echoes, and an applied row an hour and process."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("BEGIN")
    per_bucket = max(1, int(BUCKET // GAP))
    connection.executemany(
        "INSERT INTO served VALUES ('prod', ?, ?, ?, ?, 'm', '', 'match', 5, ?)",
        (
            (
                f"route-{(number * 7) % routes}",
                int((START + number * GAP) // BUCKET),
                "p-a",
                PROCESSES[number % len(PROCESSES)],
                START + number * GAP,
            )
            for number in range(events)
        ),
    )
    connection.executemany(
        "INSERT INTO applied VALUES (?, 'prod', ?, ?, ?, 0, '', 0)",
        (
            (name, START + n * GAP, START + (n + 60) * GAP, n + 1)
            for n in range(0, events, 12 * per_bucket)
            for name in PROCESSES
        ),
    )
    connection.execute("COMMIT")
    connection.close()


def ask(
    path: Path, events: int, routes: int, asks: int
) -> tuple[list[float], list[float]]:
    """Return milliseconds of each question, by the clock and of the processor."""
    chance = random.Random(1)
    store = SqliteStore(path)
    took: list[float] = []
    worked: list[float] = []
    for _ in range(asks):
        route = f"route-{chance.randrange(routes)}"
        at = START + chance.randrange(routes, events) * GAP
        begun, before = time.perf_counter(), time.thread_time()
        found = which(store=store, route=route, env="prod", at=at)
        worked.append((time.thread_time() - before) * 1e3)
        took.append((time.perf_counter() - begun) * 1e3)
        if not found.pin or not found.applied:
            raise SystemExit(f"no answer for {route} at {at}: {found}")
    store.close()
    return sorted(took), sorted(worked)


def command(path: Path, events: int) -> tuple[float, float]:
    """Return the seconds of one `llmguard which`, by the clock and of processors."""
    words = [sys.executable, "-m", "llmguard", "which", "route-3", "--store", path]
    at = ["--at", str(START + (events // 2) * GAP)]
    begun, before = time.perf_counter(), os.times()
    subprocess.run([*map(str, words), *at], check=True, capture_output=True)  # noqa: S603 - ours
    after = os.times()
    worked = after.children_user + after.children_system
    worked -= before.children_user + before.children_system
    return time.perf_counter() - begun, worked


def main() -> None:
    """Fill, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--routes", type=int, default=200)
    parser.add_argument("--asks", type=int, default=1_000)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    events = 20_000 if given.quick else given.events
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        path = Path(folder, "store.db")
        store = SqliteStore(path)
        list(store.traffic.seen("prod", "p-a", since=0.0))  # makes the second file
        store.close()
        fill_ledger(path, events, given.routes)
        fill_traffic(path.with_name("store.metrics.db"), events, given.routes)
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
        took, worked = ask(path, events, given.routes, given.asks)
        runs = [command(path, events) for _ in range(3)]
        found: dict[str, Any] = {
            "events": events,
            "served_rows": events,
            "megabytes": round(size / 2**20),
            "p50_ms": statistics.median(took),
            "p99_ms": took[int(len(took) * 0.99)],
            "worst_ms": took[-1],
            "cpu_p50_ms": statistics.median(worked),
            "cpu_p99_ms": worked[int(len(worked) * 0.99)],
            "command_s": min(clock for clock, _ in runs),
            "command_cpu_s": min(cpu for _, cpu in runs),
        }
        os.chdir("/")
    text = json.dumps(found, indent=2)
    if given.json:
        given.json.write_text(text, encoding="utf-8")
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
