"""Every example runs."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where string annotations are looked up
    spec.loader.exec_module(module)
    return module


def test_every_example_is_listed_and_tested() -> None:
    """The index names each file, and no file lacks a test here."""
    files = sorted(p.name for p in EXAMPLES.glob("*.py"))
    index = (EXAMPLES / "README.md").read_text()
    assert ["fastapi_app.py", "plain_function.py", "test_my_function.py"] == files
    assert [] == [name for name in files if f"]({name})" not in index]


def test_plain_function() -> None:
    """It prints the answers and the path of each call."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "plain_function.py")],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    lines = done.stdout.splitlines()
    assert "'What a day!': happy" == lines[0]
    assert "'Awful. Never again!': angry" == lines[1]
    assert "first tier  fake:ok" == lines[4]
    assert "degraded    fake:schema > rules:ok" == lines[5]


def test_own_tests() -> None:
    """The example's own tests pass."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", str(EXAMPLES / "test_my_function.py")],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=120,
    )
    assert 0 == done.returncode, done.stdout


def test_fastapi_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules answer at once; what they do not know becomes a ticket and an answer."""
    from fastapi.testclient import TestClient

    from llmguard import config

    monkeypatch.setenv("LLMGUARD_STORE", str(tmp_path / "store.db"))
    config.reset()
    app = _load("fastapi_app").app
    with TestClient(app) as client:
        known = client.post("/tickets", json={"text": "my parcel is late"})
        assert 200 == known.status_code
        assert "rules" == known.json()["tier"]
        later = client.post("/tickets", json={"text": "do you like cats?"})
        assert 202 == later.status_code
        waiting = client.get(later.headers["location"]).json()
        assert "open" == waiting["state"]
        from llmguard_fallbacks import get_ticket

        ticket = get_ticket(later.json()["ticket"])
        ticket.answer({"category": "other", "urgent": False}, reviewer="ada")
        done = client.get(later.headers["location"]).json()
        assert {"category": "other", "urgent": False} == done["answer"]
    config.reset()
