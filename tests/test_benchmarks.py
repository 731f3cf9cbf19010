"""The benchmarks run; what they measure is judged by people, never by a test."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


def _run(name: str, *options: object) -> str:
    words = [sys.executable, FOLDER / name, *options]
    done = subprocess.run(
        list(map(str, words)), capture_output=True, text=True, timeout=240, check=False
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        pytest.param("guard_bench.py", {"overhead_us", "threads"}, id="guard"),
        pytest.param(
            "openai_bench.py",
            {"failover_s", "ratios"},
            id="openai",
            marks=pytest.mark.slow,
        ),
        pytest.param("import_bench.py", {"import"}, id="import"),
        pytest.param("shadow_live_bench.py", {"latency", "cpu_us"}, id="shadow"),
        pytest.param("slo_bench.py", {"load"}, id="slo"),
        pytest.param("otel_bench.py", {"overhead", "scrape"}, id="otel"),
        pytest.param("calls_bench.py", {"overhead", "keeping"}, id="calls"),
        pytest.param("console_pages_bench.py", {"pages"}, id="console-pages"),
        pytest.param(
            "shadow_bench.py",
            {"comparisons"},
            id="shadow",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "web_bench.py", {"load", "outage"}, id="web", marks=pytest.mark.slow
        ),
        pytest.param(
            "peers.py", {"peers", "weight"}, id="peers", marks=pytest.mark.slow
        ),
    ],
)
def test_a_quick_run_prints_and_writes_its_figures(
    name: str, parts: set[str], tmp_path: Path
) -> None:
    """`--quick` measures little, and says on what machine; `--json` keeps it."""
    file = tmp_path / "figures.json"
    printed = _run(name, "--quick", "--json", file)
    figures = json.loads(file.read_text())
    assert parts | {"machine"} == figures.keys()
    assert "load" in printed


def test_peers_that_are_absent_are_skipped_with_the_command_that_adds_them(
    tmp_path: Path,
) -> None:
    """A copy of the scripts elsewhere has no environments, and says so."""
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    for name in ("peers.py", "_measure.py", "_stub.py"):
        (folder / name).write_text((FOLDER / name).read_text())
    done = subprocess.run(
        [sys.executable, folder / "peers.py", "--quick"],
        capture_output=True,
        text=True,
        check=True,
    )
    for peer in ("instructor", "pydantic-ai", "litellm"):
        assert (
            f"{peer}: skipped: no environment; run `python benchmarks/peers.py "
            "--install`"
        ) in done.stdout


def test_every_script_can_be_run() -> None:
    """`nox -s bench` runs each file of the folder; helpers must not wait for input."""
    for helper in sorted(FOLDER.glob("_*.py")):
        assert "" == _run(helper.name)


def _runner() -> Any:
    spec = importlib.util.spec_from_file_location("run_all", FOLDER / "run_all.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_published_figure_has_its_command() -> None:
    """A page names scripts that are there, and the page of results what was kept."""
    runner = _runner()
    known = {*runner.scripts(), "run_all"}
    for file, names in runner.sources():
        assert known >= set(names), file.name
    page = runner.PAGE.read_text(encoding="utf-8")
    kept = sorted(runner.RESULTS.glob("*.json"))
    assert kept
    for file in kept:
        one = json.loads(file.read_text())
        assert one["script"] in known
        assert one["printed"].strip() in page


def test_one_benchmark_of_the_suite() -> None:
    """A quick run says what became of it, and keeps nothing."""
    before = {file: file.stat().st_mtime for file in FOLDER.glob("results/*")}
    assert "import_bench: done" in _run("run_all.py", "import_bench", "--quick")
    assert before == {file: file.stat().st_mtime for file in FOLDER.glob("results/*")}
