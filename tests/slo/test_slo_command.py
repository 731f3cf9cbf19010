"""`llmguard slo`, on what another process has counted; killed or not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from llmguard.cli import cli

APP = """
import itertools, sys, time
from typing import Literal
from llmguard import INJECTED, Model, contract, fallback_chain, pinned, slo, static
from llmguard.guard._keeper import KEEPER
from llmguard.testing import FakeModel

turns = itertools.count()

def said(request):
    return "no json" if next(turns) % 4 == 3 else {"kind": "a"}

MODEL = FakeModel(said, name="top-1")
SCHEMA = {
    "type": "object",
    "properties": {"kind": {"enum": ["a", "b"]}},
    "required": ["kind"],
    "additionalProperties": False,
}

@fallback_chain(static({"kind": "b"}), attempts=1)
@contract(SCHEMA, slos=[slo.schema_valid(0.9, owner="ml"), slo.degraded(0.3)])
@pinned(MODEL.pin("top"))
def sort(text: str, *, model: Model = INJECTED) -> object:
    return model.complete(text)

def work(calls):
    for number in range(calls):
        sort(f"t{number}")

if __name__ == "__main__":
    if "endless" in sys.argv:
        for total in itertools.count(20, 20):
            work(20)
            KEEPER.exchange()
            print(total, flush=True)
    work(20)
"""


def _env(store: Path) -> dict[str, str]:
    return {**os.environ, "LLMGUARD_STORE": str(store)}


def _start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    (folder / "sorter.py").write_text(APP, "utf-8")
    return subprocess.Popen(
        [sys.executable, "sorter.py", *arguments],
        cwd=folder,
        env=_env(folder / "store.db"),
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that a program wrote: 20 calls, every fourth answer broken."""
    folder = tmp_path_factory.mktemp("app")
    process = _start(folder)
    process.communicate(timeout=60)
    assert process.returncode == 0
    return folder / "store.db"


def _slo(*arguments: str, store: Path) -> Result:
    return CliRunner().invoke(cli, ["slo", *arguments, "--store", str(store)])


def _json(*arguments: str, store: Path) -> Any:
    return json.loads(_slo(*arguments, "--json", store=store).output)


def test_list(store: Path) -> None:
    """What a program declared is known to the command."""
    shown = _slo("list", store=store)
    assert "90 % of first answers fit the schema, over 30 days" in shown.output
    found = _json("list", store=store)
    assert [(one["name"], one["owner"]) for one in found] == [
        ("degraded", ""),
        ("schema_valid", "ml"),
    ]


def test_status(store: Path) -> None:
    """5 of 20 first answers broke; the exit code says that a rule fires."""
    shown = _slo("status", "sort", store=store)
    assert shown.exit_code == 1
    assert "schema_valid: FIRING" in shown.output
    assert "15 / 20" in shown.output
    degraded, valid = _json("status", store=store)
    assert (valid["overall"]["good"], valid["overall"]["total"]) == (15, 20)
    assert valid["versions"][0]["firing"]["windows"] == "6h + 3d"
    assert degraded["state"] == "ok"
    assert _slo("status", "unknown", store=store).exit_code == 0


def test_report(store: Path) -> None:
    """The week as Markdown and JSON."""
    shown = _slo("report", "--weekly", store=store)
    assert shown.exit_code == 0
    assert "schema_valid (MISSED)" in shown.output
    assert "| bad_json | 5 |" in shown.output
    assert _json("report", "--weekly", store=store)[1]["total"] == 20
    assert _slo("report", store=store).exit_code == 2


def test_export(store: Path) -> None:
    """Both forms are YAML, or JSON."""
    shown = _slo("export", "--openslo", store=store)
    documents = list(yaml.safe_load_all(shown.output))
    assert [one["kind"] for one in documents] == ["SLO", "SLO"]
    assert documents == _json("export", "--openslo", store=store)
    rules = yaml.safe_load(_slo("export", "--prometheus", store=store).output)
    assert rules == _json("export", "--prometheus", store=store)
    assert len(rules["groups"]) == 2
    assert _slo("export", store=store).exit_code == 2


def test_export_of_a_module(store: Path) -> None:
    """A program that never ran is enough for its rules."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "llmguard", "slo", "export"),
            *("--prometheus", "--module", "sorter"),
        ],
        cwd=store.parent,
        env=_env(store),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "sorter.sort" in done.stdout


def test_watch_once(store: Path) -> None:
    """What fires is told once, and is the exit code."""
    shown = _slo("watch", "--once", store=store)
    assert shown.exit_code == 1
    assert shown.output.startswith("WARNING slo.schema_valid: p-")
    assert "5 of 20 events were bad" in shown.output
    [found] = _json("watch", "--once", store=store)
    assert found["signal"] == "slo.schema_valid"


def test_forget(tmp_path: Path) -> None:
    """An objective that nobody declares any more can go."""
    process = _start(tmp_path)
    process.communicate(timeout=60)
    store = tmp_path / "store.db"
    assert _slo("forget", "__main__.sort", "degraded", store=store).exit_code == 0
    assert _slo("forget", "__main__.sort", "degraded", store=store).exit_code == 1
    assert len(_json("list", store=store)) == 1


def test_no_store(tmp_path: Path) -> None:
    """A missing store is said, not made."""
    shown = _slo("status", store=tmp_path / "none.db")
    assert shown.exit_code == 1
    assert "no store" in shown.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 here")
def test_kill_9_takes_back_nothing_reported(tmp_path: Path) -> None:
    """What was reported once is never lost: the count after is at least that."""
    store = tmp_path / "store.db"
    told = 0
    for _ in range(3):
        process = _start(tmp_path, "endless")
        assert process.stdout is not None
        here = 0
        for _ in range(7):
            here = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        told += here
        valid = _json("status", store=store)[1]["overall"]
        total = valid["total"]
        assert told <= total
        told = total
        assert total - valid["good"] == total // 4
