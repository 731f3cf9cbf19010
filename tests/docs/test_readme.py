"""The README's snippet, as it stands, on a lock that the command wrote."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner

from llmguard import Deferred, capture, config, warm_up
from llmguard.adapters import close_providers
from llmguard.cli import cli
from llmguard.pins import forget, resolve
from llmguard.testing import FaultServer, isolated

README = Path(__file__).parents[2] / "README.md"
GOOD = {"category": "billing", "needs_human": False}


def _add(*arguments: str) -> None:
    done = CliRunner().invoke(cli, ["pin", "add", *arguments])
    assert 0 == done.exit_code, done.output


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultServer]:
    """A provider, and a lock that pins both of the snippet's routes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLMGUARD_STORE", str(tmp_path / "store.db"))
    monkeypatch.setenv("LLMGUARD_LOCK", str(tmp_path / "models.lock"))
    config.reset()
    forget()
    with FaultServer("ok", answer=GOOD) as running:
        model = ("--model", "gpt-5.2-2025-12-11", "--accept-opaque", "loopback")
        where = ("--provider", "openai", "--endpoint", running.base_url)
        _add("triage", *where, *model)
        _add(
            "triage-local", "--provider", "llama.cpp", "--model", "embedded:triage-1.0"
        )
        yield running
    close_providers()
    config.reset()
    forget()


def _snippet() -> Any:
    """Run the first Python block of the README as a module and return it."""
    found = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert found is not None
    module = ModuleType("readme_snippet")
    sys.modules[module.__name__] = module  # where string annotations are looked up
    exec(found[1], module.__dict__)  # noqa: S102 - our own README
    return module


@pytest.mark.gguf
def test_the_snippet_answers_through_the_whole_chain(server: FaultServer) -> None:
    """The remote, then the local model, then rules or a person."""
    pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed")
    snippet = _snippet()
    warm_up(snippet.triage)
    with isolated(), capture() as outcomes:
        assert GOOD == snippet.triage("Charged twice!").model_dump()
        server.fault = "503"
        local = snippet.triage("My parcel is late.")
        assert isinstance(local, snippet.Triage)
    assert ["triage", "triage-local"] == [outcome.tier for outcome in outcomes]


def test_rules_and_a_person_are_the_last_tiers(server: FaultServer) -> None:
    """Without both models, what the rules do not know becomes a ticket."""
    snippet = _snippet()
    server.fault = "503"
    with isolated() as runtime:
        local = resolve("triage-local")
        down = runtime.breakers.get("readme_snippet.triage", local.id)
        down.force_open("drill", actor="tests")
        assert snippet.triage("I will call my lawyer.").needs_human
        with pytest.raises(Deferred):
            snippet.triage("Where is my parcel?")
