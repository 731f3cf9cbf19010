"""The fixtures reach a user's suite through the entry point, and cost little."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SUITE = """
from llmguard import INJECTED, Model, Pin, fallback_chain, pinned, static
from llmguard.adapters import remote_calls
from llmguard.testing import fake_pin


def test_server(llmguard_fault_server):
    assert llmguard_fault_server.fault == "ok"
    llmguard_fault_server.fault = "500"


def test_clock(llmguard_clock):
    llmguard_clock.advance(5)
    assert llmguard_clock.monotonic() == 5


def test_refuse(llmguard_refuse_remote):
    assert remote_calls.refused()


def test_runtime(llmguard_runtime):
    @fallback_chain(static("low"))
    @pinned(fake_pin("high"))
    def ask(*, model: Model = INJECTED):
        return model.complete("?").text

    assert ask() == "high"
    assert len(list(llmguard_runtime.breakers.all())) == 1
"""


def test_the_fixtures_work_in_a_users_suite(tmp_path: Path) -> None:
    """A project of its own, loading the plugin by name."""
    (tmp_path / "test_mine.py").write_text(SUITE)
    done = subprocess.run(
        [
            sys.executable,
            *("-m", "pytest", "-q", "-p", "llmguard.testing.pytest_plugin"),
            *("-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", "."),
        ],
        cwd=tmp_path,
        # Whether or not this environment's own plugins include it already.
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "4 passed" in done.stdout, done.stdout + done.stderr


def test_loading_the_plugin_loads_no_heavy_package() -> None:
    """Every pytest run of every environment with llmguard in it pays for this."""
    code = (
        "import sys, llmguard.testing.pytest_plugin\n"
        "heavy = {'pydantic', 'openai', 'jsonschema', 'numpy', 'httpx', 'httpx2',"
        " 'click', 'jinja2', 'llmguard_fallbacks', 'llmguard_models'}\n"
        "print(sorted(heavy.intersection(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
