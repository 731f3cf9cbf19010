"""Nothing acknowledged is lost and nothing is answered twice, whoever is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from postgres_server import PostgresServer

SCRIPT = Path(__file__).with_name("kill_campaign.py")


pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked")
WRONG = {
    "lost": 0,
    "answered_twice": 0,
    "acked_twice": 0,
    "told_twice": 0,
    "stuck": 0,
    "integrity": "ok",
}
Record = Callable[[str, object], None]


def _run(folder: Path, url: str, *numbers: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), url, *map(str, numbers)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.mark.parametrize(
    ("kills", "freezes"), [(15, 1), pytest.param(250, 25, marks=pytest.mark.slow)]
)
def test_killed_and_frozen_workers(
    tmp_path: Path, store_url: str, kills: int, freezes: int, record_property: Record
) -> None:
    """SIGKILL and SIGSTOP at random moments, then every acknowledgement is checked."""
    report = _run(tmp_path, store_url, kills, kills, 4, 0, freezes)
    record_property("killed", report)
    print(json.dumps({"kills": kills, "freezes": freezes, **report}))  # noqa: T201 - the figures
    assert report["asked"] > kills
    assert report["answered"] > 0
    assert WRONG == {name: report[name] for name in WRONG}


@pytest.mark.parametrize(
    ("kills", "crashes"), [(10, 1), pytest.param(60, 6, marks=pytest.mark.slow)]
)
def test_killed_sessions_of_the_server(
    tmp_path: Path,
    postgres_url: str,
    kills: int,
    crashes: int,
    record_property: Record,
) -> None:
    """The server recovers from each crash, and workers die meanwhile."""
    report = _run(tmp_path, postgres_url, kills, 5, 4, crashes)
    record_property("crashed", report)
    assert report["answered"] > 0
    assert WRONG == {name: report[name] for name in WRONG}


@pytest.mark.slow
def test_restarts_of_the_server(
    tmp_path: Path,
    postgres_url: str,
    postgres_server: PostgresServer,
    record_property: Record,
) -> None:
    """Stopped in order and as if the power went, five times, under load."""
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(_run, tmp_path, postgres_url, 80, 6)
        for number in range(5):
            time.sleep(2.0)
            postgres_server.restart(signal.SIGQUIT if number % 2 else signal.SIGINT)
        report = running.result()
    record_property("restarted", report)
    assert report["answered"] > 0
    assert WRONG == {name: report[name] for name in WRONG}
