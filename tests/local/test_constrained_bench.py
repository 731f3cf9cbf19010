"""The comparison of constrained decoders: its children, its judge, a quick run."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.gguf

FOLDER = pathlib.Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch, runtime: None) -> Any:
    """Return the modules of the benchmark, which lies outside of any package."""
    import importlib

    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"text": '{"at": "2024-02-01"}'}, "valid"),
        ({"text": '{"at": "soon"}'}, "formats only"),
        ({"text": '{"at": 3}'}, "invalid"),
        ({"text": '{"at": "2024'}, "not JSON"),
        ({"text": '{"at": "2024', "finish": "length"}, "truncated"),
        ({"finish": "truncated"}, "truncated"),
        ({"finish": "schema"}, "no answer"),
        ({"end": "refused"}, "no answer"),
        ({"end": "crashed"}, "crashed"),
        ({"end": "timed out"}, "timed out"),
    ],
)
def test_an_answer_is_judged_by_the_original_schema(
    parts: Any, found: Any, expected: str
) -> None:
    """Formats are counted apart: in JSON Schema they are notes by default."""
    schema = {"properties": {"at": {"type": "string", "format": "date"}}}
    judge = parts("_constrained_survey").judge
    assert expected == judge({"end": "ok", **found}, schema)


def test_a_child_that_hangs_or_dies_is_counted_and_replaced(
    parts: Any, mini_gguf: pathlib.Path
) -> None:
    """Each of the two costs its own task, not the one after it."""
    child = parts("_constrained_child").Child("llmguard", mini_gguf, poll=0.01)
    task = {"do": "free", "prompt": "x", "max_tokens": 2}
    assert "ok" == child.ask(task, limit=60)["end"]
    text = {"type": "string", "minLength": 1500, "maxLength": 1500}
    endless = {"do": "generate", "schema": text, "prompt": "x"}
    assert "timed out" == child.ask(endless, limit=0.05)["end"]
    assert "ok" == child.ask(task, limit=60)["end"]
    os.kill(child._process.pid, signal.SIGKILL)
    found = child.ask(task, limit=60)
    assert ("crashed", True) == (found["end"], "exit code -9" in found["why"])
    assert 2 == child.ask(task, limit=60)["tokens"]
    child.close()


def test_what_an_engine_refuses_is_said_in_its_words(
    parts: Any, mini_gguf: pathlib.Path
) -> None:
    """A refusal is an answer; an engine that cannot start is skipped."""
    module = parts("_constrained_child")
    child = module.Child("llmguard", mini_gguf)
    found = child.ask({"do": "compile", "schema": False}, limit=60)
    assert ("refused", True) == (found["end"], "nothing satisfies" in found["why"])
    child.close()
    with pytest.raises(module.Skipped, match="nothing-such"):
        module.Child("nothing-such", mini_gguf)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_quick_run_prints_and_writes_its_figures(tmp_path: pathlib.Path) -> None:
    """Every engine is measured or skipped with a reason; ours holds its promise."""
    file = tmp_path / "figures.json"
    words = [sys.executable, FOLDER / "constrained_bench.py", "--quick", "--json", file]
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stderr
    for engine in ("llmguard", "outlines_core", "llama.cpp grammar", "xgrammar"):
        assert f"\n{engine}" in done.stdout
    figures = json.loads(file.read_text())
    assert {"models", "machine"} == figures.keys()
    (found,) = figures["models"].values()
    assert "2/2" == found["ticket"]["objects"]["llmguard"]["valid"]
    answers = found.get("coverage", {}).get("llmguard", {}).get("answers", {})
    for end in ("invalid", "not JSON", "truncated", "crashed", "timed out"):
        assert 0 == answers.get(end, 0)
