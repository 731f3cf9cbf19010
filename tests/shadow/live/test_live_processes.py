"""Real processes: an application that only serves, forks, and ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from llmguard import config
from llmguard.pins import Lock, Pin, forget, load_lock, to_text
from llmguard.shadow.live import ShadowOptions
from llmguard.shadow.live._manage import start_shadow
from llmguard.store import SqliteStore

APP = """
import os, sys
from llmguard import INJECTED, Model, contract, pinned
from llmguard.guard._keeper import KEEPER

@contract({"type": "object"})
@pinned("triage")
def triage(prompt_id: str, *, model: Model = INJECTED) -> object:
    return model.complete(prompt_id)

assert "llmguard.shadow" not in sys.modules
"""
SERVE = """
for number in range(5):
    triage(f"p{number}")
"""
FORK = """

triage("p0")
children = []
for _ in range(2):
    child = os.fork()
    if child == 0:
        for number in range(3):
            triage(f"p{number}")
        KEEPER.stop()
        from llmguard.shadow.live import SHADOWS
        SHADOWS.close()
        KEEPER.exchange()
        os._exit(0)
    children.append(child)
for child in children:
    assert os.waitpid(child, 0)[1] == 0
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with a lock of two recordings and a store."""
    monkeypatch.chdir(tmp_path)
    config.reset()
    forget()
    pins: list[Pin] = []
    for name, human in (("old", True), ("new", False)):
        lines = [
            {"prompt_id": f"p{n}", "output": json.dumps({"needs_human": human})}
            for n in range(5)
        ]
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        pins.append(
            Pin(
                route="triage",
                provider="replay",
                model=path.name,
                version_class="immutable",
                expect_echo=("*",),
            )
        )
    lock = Lock().with_pin(pins[0]).with_pin(pins[1])
    (tmp_path / "models.lock").write_text(to_text(lock))
    return tmp_path


def _run(folder: Path, code: str) -> None:
    env = {**os.environ, "LLMGUARD_STORE": str(folder / "store.db")}
    subprocess.run(
        [sys.executable, "-W", "error", "-c", APP + code],
        env=env,
        cwd=folder,
        check=True,
        timeout=60,
    )


def _counted(folder: Path, options: ShadowOptions, code: str) -> Counter[str]:
    store = SqliteStore(folder / "store.db")
    (pin,) = [pin for pin in load_lock().pins.values() if pin.model == "new.jsonl"]
    run = start_shadow(store, "triage", pin.id, options, actor="ann")
    _run(folder, code)
    found: Counter[str] = Counter()
    for row in store.shadow.counts(run.id):
        found[row.name] += row.n
    store.close()
    return found


def test_an_application_that_only_serves_takes_part(folder: Path) -> None:
    """It imported nothing of shadows; draining ends what waits before it exits."""
    options = ShadowOptions(share=1, double=0, on_exit="drain", drain_seconds=30)
    counts = _counted(folder, options, SERVE)
    assert (5, 5) == (counts["sampled"], counts["challenger: ok"])


def test_what_waits_at_the_end_is_counted_where_it_is_dropped(folder: Path) -> None:
    """Every sampled request is drawn or counted as dropped."""
    counts = _counted(folder, ShadowOptions(share=1, double=0), SERVE)
    done = counts["challenger: ok"] + counts["dropped: the process ended"]
    assert 4 <= done <= 5 == counts["sampled"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_forked_workers_have_shadows_of_their_own(folder: Path) -> None:
    """Threads, queues and budgets of the parent stay there; nothing counts twice."""
    options = ShadowOptions(share=1, double=0, on_exit="drain", drain_seconds=30)
    counts = _counted(folder, options, FORK)
    assert (7, 7) == (counts["sampled"], counts["challenger: ok"])
