"""A rollback by the monitor of one process, seen by all others of the fleet."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from store_backends import make_store

from llmguard.store import Store

from . import test_monitor_wiring as wiring
from .project import broken

told, world = wiring.told, wiring.world
WORKER = Path(__file__).parents[1] / "support" / "fleet_worker.py"
WORKERS = 3


def _lines(log: Path) -> list[dict[str, Any]]:
    if not log.exists():
        return []
    return [json.loads(line) for line in log.read_text("utf-8").splitlines()]


def _until(done: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "nothing happened in time"
        time.sleep(0.02)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the fleet's store is: a file, or a schema of a real server."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return str(tmp_path / "store.db")


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """Open the store in the process whose monitor sees the change."""
    made = make_store(url, durable=False)
    yield made
    made.close()


@pytest.mark.slow
def test_every_process_goes_back_with_the_one_that_saw_it(
    world: Callable[..., wiring.World],
    url: str,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """Three spawned processes on the store; how late each was is recorded."""
    w = world(v2=broken(0.6))
    w.upgrade()
    log = tmp_path / "fleet.jsonl"
    env = {**os.environ, "LLMGUARD_STORE": url}
    workers = [
        subprocess.Popen([sys.executable, str(WORKER), str(log)], cwd=tmp_path, env=env)
        for _ in range(WORKERS)
    ]
    try:
        _until(lambda: len({o["pid"] for o in _lines(log)}) == WORKERS)
        w.calls(60)
        assert w.watched.active == w.watched.old.id
        rev = w.store.ledger.ledger_rev()
        entry = w.store.ledger.entries(env="prod", route="triage")[-1]

        def seen() -> list[dict[str, Any]]:
            return [o for o in _lines(log) if o["kind"] == "table" and o["rev"] >= rev]

        def spans(pin: str) -> list[dict[str, Any]]:
            return [o for o in _lines(log) if o["kind"] == "calls" and o["pin"] == pin]

        _until(lambda: len({o["pid"] for o in seen()}) == WORKERS)
        late = [o["at"] - entry.at for o in seen()]
        record_property("late", late)
        sys.stdout.write(f"seconds after the rollback: {sorted(late)}\n")
        # A span of calls is noted when the next one goes by another table.
        _until(lambda: len({o["pid"] for o in spans(w.watched.new.id)}) == WORKERS)
    finally:
        for process in workers:
            process.send_signal(signal.SIGTERM)
        codes = [process.wait(30) for process in workers]
    assert [0] * WORKERS == codes
    last: dict[int, dict[str, Any]] = {}
    for line in _lines(log):
        if line["kind"] == "calls":
            last[line["pid"]] = line
    assert {w.watched.old.id} == {line["pin"] for line in last.values()}
    assert WORKERS == len(last)
