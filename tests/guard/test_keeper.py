"""What a managed process writes to its store, and what it reads from it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from llmguard.cli import cli

APP = """
import sys, time
from llmguard import INJECTED, Model, Pin, contract, fallback_chain, pinned, static
from llmguard.errors import CircuitOpenError
from llmguard.guard._keeper import KEEPER
from llmguard.testing import fake_pin

@fallback_chain(static("static"))
@contract(str)
@pinned(fake_pin("fine"))
def talk(text: str, *, model: Model = INJECTED) -> str:
    return model.complete(text)

for number in range(3):
    print(talk(f"t{number}"), flush=True)
if "hold" in sys.argv[1:]:
    time.sleep(60)
"""


def _run(store: Path, *replies: str) -> str:
    env = {**os.environ, "LLMGUARD_STORE": str(store)}
    done = subprocess.run(
        [sys.executable, "-c", APP, *replies],
        env=env,
        cwd=store.parent,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


def _json(store: Path, *command: str) -> dict[str, object]:
    shown = CliRunner().invoke(cli, [*command, "--store", str(store), "--json"])
    assert shown.output, shown.exception
    return json.loads(shown.output)


def test_calls_are_counted_and_shown(tmp_path: Path) -> None:
    """What happened in another process is in `llmguard status`."""
    store = tmp_path / "store.db"
    assert "fine\nfine\nfine\n" == _run(store)
    report = _json(store, "status")
    assert {"__main__.talk": {"calls": 3, "ok": 3, "degraded": 0}} == report["calls"]
    tiers = report["tiers"]
    assert isinstance(tiers, list)
    assert [("fake", 3, True)] == [
        (t["tier"], t["answered"], t["proven"]) for t in tiers
    ]
    assert 1 == len(report["processes"])  # type: ignore[arg-type] # JSON list


def test_quarantine_survives_kill_9(tmp_path: Path) -> None:
    """A version quarantined before a crash gets no traffic after it."""
    store = tmp_path / "store.db"
    app = APP.replace('["fine"]', '["fine"]').replace(
        "for number in range(3):\n",
        "from llmguard.guard import current_runtime\n"
        "for number in range(3):\n"
        "    for b in current_runtime().breakers.all():\n"
        "        b.quarantine('seen lying', actor='tests')\n",
    )
    env = {**os.environ, "LLMGUARD_STORE": str(store)}
    with subprocess.Popen(
        [sys.executable, "-c", app, "fine", "hold"],
        env=env,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        os.kill(process.pid, signal.SIGKILL)
    assert ["fine\n", "static\n", "static\n"] == lines
    assert "static\nstatic\nstatic\n" == _run(store)
    report = _json(store, "status")
    assert any("quarantined (seen lying)" in line for line in report["todo"])  # type: ignore[union-attr,attr-defined] # JSON list


def test_a_store_that_cannot_be_used_fails_no_call(tmp_path: Path) -> None:
    """A broken store is a local view and one warning."""
    store = tmp_path / "store.db"
    store.write_bytes(b"this is no database" * 100)
    assert "fine\nfine\nfine\n" == _run(store)


def test_status_without_a_store_says_where_it_looked(tmp_path: Path) -> None:
    """Nothing recorded yet is no error."""
    missing = tmp_path / "none.db"
    shown = CliRunner().invoke(cli, ["status", "--store", str(missing)])
    assert 0 == shown.exit_code
    assert str(missing) in shown.output
    assert "llmguard demo" in shown.output


def test_a_script_with_a_pin_in_code_leaves_no_files(tmp_path: Path) -> None:
    """Only projects with a lock, a store or a queue are written to."""
    env = {k: v for k, v in os.environ.items() if k != "LLMGUARD_STORE"}
    subprocess.run([sys.executable, "-c", APP], env=env, cwd=tmp_path, check=True)
    assert [] == list(tmp_path.iterdir())


def test_doctor_names_missing_things(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module that cannot be imported, and functions without a fallback."""
    (tmp_path / "shop_llm.py").write_text(
        "from llmguard import contract\n"
        "@contract(str)\n"
        "def bare(text: str) -> str:\n    return text\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    shown = CliRunner().invoke(cli, ["doctor", "shop_llm", "no_such_module", "--json"])
    found = {(f["what"], f["level"]) for f in json.loads(shown.output)}
    assert 1 == shown.exit_code
    assert ("module no_such_module", "fail") in found
    assert ("shop_llm.bare", "warn") in found
