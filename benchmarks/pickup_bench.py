"""How soon every process goes by a change, and what calls do while the store is gone.

Usage: python benchmarks/pickup_bench.py [--store URL] [--workers 8] [--rounds 20]
           [--outage SECONDS] [--quick] [--json FILE]

Workers share one store; half of them call a guarded function all the time, half made
one call and do nothing. The parent promotes and rolls back at random moments, and notes
when each was durable. A worker notes when its table changed, and of its calls which
pin, revision and arm they had, from when to when. Then, where the store is a file, the
file is taken away, held locked and put back under the same load; for another store
`--outage` prints `outage` and goes on for so long, while you stop and start it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from llmguard import INJECTED, Model, call_context, capture, contract, pinned
from llmguard.guard._keeper import KEEPER
from llmguard.pins import Lock, to_text
from llmguard.pins.router import ROUTER
from llmguard.store import Action, NewEntry, Store, open_store
from llmguard.testing import FakeModel

GAP = 0.004
ROUTE = "triage"


class Log:
    """Lines that several processes append to, each with one write."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def add(self, kind: str, **fields: object) -> None:
        """Append one line."""
        line = {"kind": kind, "pid": os.getpid(), "at": time.time(), **fields}
        os.write(self.file, json.dumps(line).encode() + b"\n")

    def lines(self) -> list[dict[str, Any]]:
        """Return all lines so far."""
        return [json.loads(line) for line in self.path.read_text("utf-8").splitlines()]


def worker(log: Log, *, busy: bool) -> None:
    """Call until SIGTERM, or once; note tables, and spans of calls that are alike."""
    stop = False

    def end(*_: object) -> None:
        nonlocal stop
        stop = True

    signal.signal(signal.SIGTERM, end)

    @contract(str)
    @pinned(ROUTE)
    def ask(text: str, *, model: Model = INJECTED) -> str:
        return str(model.complete(text).text)

    ROUTER.on_change(
        lambda table: log.add("table", rev=table.rev, stale=table.stale, busy=busy)
    )
    span: dict[str, Any] | None = None
    number = 0
    while not stop:
        if busy or not number:
            number += 1
            begun = time.time()
            with capture() as outcomes, call_context(key=f"user-{number % 997}"):
                ask("hello")
            outcome = outcomes[0]
            seen = {"pin": outcome.pin, "rev": outcome.revision, "arm": outcome.arm}
            if span is None or seen != {name: span[name] for name in seen}:
                if span is not None:
                    log.add("calls", **span)
                span = {**seen, "first": begun, "last": begun, "n": 0}
            span["last"], span["n"] = begun, span["n"] + 1
        time.sleep(GAP)
    if span is not None:
        log.add("calls", **span)
    log.add("end", n=number)


def move(store: Store, pin: str, action: Action, *, weight: int | None = None) -> int:
    """Append one move; return its revision."""
    entry = NewEntry(
        env="prod",
        route=ROUTE,
        pin=pin,
        action=action,
        weight=weight,
        base_rev=store.ledger.route_state("prod", ROUTE).rev,
        actor="bench",
    )
    return store.ledger.append(entry).rev


def wait_for(log: Log, workers: int) -> None:
    """Wait until every worker has its first table."""
    while len({o["pid"] for o in log.lines() if o["kind"] == "table"}) < workers:
        time.sleep(0.05)


def campaign(
    store: Store, log: Log, pins: list[str], rounds: int, chance: random.Random
) -> dict[int, float]:
    """Promote a version and roll it back, again and again; return when, by revision."""
    durable: dict[int, float] = {}
    good, bad = pins
    move(store, good, Action.PROMOTE)
    move(store, bad, Action.CANDIDATE)
    for _ in range(rounds):
        move(store, bad, Action.CANARY, weight=3_000)
        time.sleep(0.5 + chance.random())
        move(store, bad, Action.PROMOTE)
        time.sleep(0.5 + chance.random())
        rev = move(store, good, Action.ROLLBACK)
        durable[rev] = time.time()
        log.add("rollback", rev=rev)
        time.sleep(1.2 + chance.random())
        move(store, bad, Action.RESUME)
    return durable


def take_away(path: Path) -> None:
    """Hide the file, put it back, lock it, let go: under the load of the workers."""
    hidden = path.with_name("hidden.db")
    path.rename(hidden)
    time.sleep(2.5)
    hidden.rename(path)
    time.sleep(1.5)
    other = sqlite3.connect(path, isolation_level=None, timeout=10)
    other.execute("BEGIN EXCLUSIVE")
    time.sleep(2.5)
    other.rollback()
    other.close()
    time.sleep(1.0)


def report(
    log: Log, durable: dict[int, float], pins: list[str], workers: int
) -> dict[str, Any]:
    """Say how long each worker took for each rollback, and what went wrong."""
    lines = log.lines()
    tables = [line for line in lines if line["kind"] == "table"]
    calls = [line for line in lines if line["kind"] == "calls"]
    lags: dict[bool, list[float]] = {True: [], False: []}
    for rev, at in durable.items():
        for pid in {line["pid"] for line in tables}:
            seen = [o for o in tables if o["pid"] == pid and o["rev"] >= rev]
            if seen:
                lags[seen[0]["busy"]].append(max(0.0, seen[0]["at"] - at))
    late = [
        max(0.0, line["last"] - at)
        for rev, at in durable.items()
        for line in calls
        if line["rev"] < rev
    ]
    everything = lags[True] + lags[False]
    return {
        "workers": workers,
        "rollbacks": len(durable),
        "seen": len(everything),
        "worst_s": max(everything, default=None),
        "median_s": statistics.median(everything) if everything else None,
        "worst_idle_s": max(lags[False], default=None),
        "last_call_by_an_old_table_s": max(late, default=None),
        "calls": sum(line["n"] for line in calls),
        "calls_to_other_pins": sum(o["n"] for o in calls if o["pin"] not in pins),
        "calls_by_a_stale_table": any(line["stale"] for line in tables),
        "ended": sum(line["kind"] == "end" for line in lines),
    }


def main() -> None:
    """Run it, and print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--outage", type=float, default=0.0)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rounds = 2 if given.quick else given.rounds
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["LLMGUARD_STORE"] = given.store or f"{folder}/store.db"
        lock, models = Lock(), [FakeModel(name, name=name) for name in ("v1", "v2")]
        pins = [model.pin(ROUTE) for model in models]
        for pin in pins:
            lock = lock.with_pin(pin)
        Path("models.lock").write_text(to_text(lock), encoding="utf-8")
        log, ids = Log(Path(folder, "log")), [pin.id for pin in pins]
        children: list[int] = []
        for number in range(given.workers):
            child = os.fork()
            if not child:
                worker(log, busy=number % 2 == 0)
                KEEPER.stop()
                os._exit(0)
            children.append(child)
        store = open_store()
        try:
            wait_for(log, given.workers)
            durable = campaign(store, log, ids, rounds, random.Random(1))
            if given.store is None:
                take_away(Path(folder, "store.db"))
            elif given.outage:
                sys.stdout.write("outage\n")
                sys.stdout.flush()
                time.sleep(given.outage)
        finally:
            for child in children:
                os.kill(child, signal.SIGTERM)
        codes = [os.waitpid(child, 0)[1] for child in children]
        found = {**report(log, durable, ids, given.workers), "codes": sorted({*codes})}
        store.close()
        os.chdir("/")
    text = json.dumps(found, indent=2)
    if given.json:
        given.json.write_text(text, encoding="utf-8")
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
