"""The benchmarks run; what they measure is judged by people, never by a test."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
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
        pytest.param("peers.py", {"peers"}, id="peers", marks=pytest.mark.slow),
        pytest.param(
            "failover_bench.py", {"failover"}, id="failover", marks=pytest.mark.slow
        ),
        pytest.param(
            "weight_bench.py",
            {"weight", "import"},
            id="weight",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "fault_peers.py", {"faults"}, id="fault-peers", marks=pytest.mark.slow
        ),
        pytest.param(
            "suite_peers.py", {"suites"}, id="suite-peers", marks=pytest.mark.slow
        ),
        pytest.param("exercise_bench.py", {"exercise", "counts"}, id="exercise"),
        pytest.param("breaker_bench.py", {"throughput", "cpu_us"}, id="breaker"),
        pytest.param("contract_bench.py", {"cpu_us"}, id="contract"),
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
    for name in ("peers.py", "_environments.py", "_measure.py", "_stub.py"):
        (folder / name).write_text((FOLDER / name).read_text())
    done = subprocess.run(
        [sys.executable, folder / "peers.py", "--quick"],
        capture_output=True,
        text=True,
        check=True,
    )
    for peer in ("instructor", "pydantic-ai", "litellm", "guardrails"):
        assert (
            f"{peer}: skipped: no environment; run `python benchmarks/peers.py "
            "--install`"
        ) in done.stdout


def test_every_script_can_be_run() -> None:
    """`nox -s bench` runs each file of the folder; helpers must not wait for input."""
    for helper in sorted(FOLDER.glob("_*.py")):
        assert "" == _run(helper.name)


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Any]]:
    """Give `run_all` and `_page`, and forget them afterwards."""
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module("run_all"), importlib.import_module("_page")
    for name in ("run_all", "_page", "_environments"):
        del sys.modules[name]


def test_every_published_figure_has_its_command(suite: tuple[Any, Any]) -> None:
    """A page names scripts that are there, and the page of results what was kept."""
    runner, results = suite
    known = {*runner.scripts(), "run_all"}
    for file, names in results.sources():
        assert known >= set(names), file.name
    page = results.PAGE.read_text(encoding="utf-8")
    kept = sorted(results.RESULTS.glob("*.json"))
    assert kept
    for file in kept:
        one = json.loads(file.read_text())
        assert one["script"] in known
        assert not one["exit"]
        printed = "\n".join(line.rstrip() for line in one["printed"].splitlines())
        assert printed.strip() in page
        assert one["command"] in page


def test_short_forms_are_of_scripts_that_are_there(suite: tuple[Any, Any]) -> None:
    """A renamed script would silently get its long form."""
    runner, _ = suite
    assert {*runner.SHORT, *runner.PEERS} <= {*runner.scripts()}


def test_one_benchmark_of_the_suite() -> None:
    """A quick run says what became of it, and keeps nothing."""
    before = {file: file.stat().st_mtime for file in FOLDER.glob("results/*")}
    assert "import_bench: done" in _run("run_all.py", "import_bench", "--quick")
    assert before == {file: file.stat().st_mtime for file in FOLDER.glob("results/*")}


def _copied(folder: Path, scripts: dict[str, str]) -> Path:
    """Return a suite of its own, with these scripts and a folder of docs."""
    place = folder / "benchmarks"
    place.mkdir()
    (folder / "docs").mkdir()
    for name in ("run_all.py", "_environments.py", "_page.py"):
        (place / name).write_text((FOLDER / name).read_text())
    for name, code in scripts.items():
        (place / f"{name}.py").write_text(f'"""What {name} does."""\n{code}\n')
    return place


def test_one_that_fails_or_hangs_costs_none_of_the_others(tmp_path: Path) -> None:
    """Its children end with it, the run says so, and what was done is kept."""
    hang = (
        "import subprocess, sys, threading\n"
        "child = subprocess.Popen([sys.executable, '-c', 'input()'],\n"
        "    stdin=subprocess.PIPE)\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\n"
        "threading.Event().wait()"
    )
    scripts = {"a_breaks": "1 / 0", "b_hangs": hang, "c_works": "print('42 us')"}
    place = _copied(tmp_path, scripts)
    done = subprocess.run(
        [sys.executable, place / "run_all.py", "--limit", "3", "--no-install"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert 1 == done.returncode
    assert "a_breaks: failed: ZeroDivisionError" in done.stdout
    assert "b_hangs: failed: not done after 3 s" in done.stdout
    assert "2 of 3 failed: a_breaks, b_hangs" in done.stdout
    assert ["c_works.json"] == [file.name for file in place.glob("results/*")]
    page = (tmp_path / "docs" / "benchmarks-results.md").read_text()
    assert "42 us" in page
    assert "What b_hangs does. | not in this set" in page
    assert not _alive(int((tmp_path / "pid").read_text()))


def _alive(pid: int) -> bool:
    """Say whether a process runs; one that ended and was not waited for does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("words", [["--only", "nobody"], ["nobody"]])
def test_a_name_that_is_not_there_is_wrong_usage(words: list[str]) -> None:
    """The message lists the names."""
    done = subprocess.run(
        [sys.executable, FOLDER / "run_all.py", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert 2 == done.returncode
    assert "no benchmark nobody; there are " in done.stderr
    assert "guard_bench" in done.stderr


def _tables(text: str) -> list[str]:
    found = re.finditer(r"(?m)^\|.*\n\|[-| :]+\n(?:\|.*\n?)+", text)
    return [each[0] for each in found]


@pytest.mark.parametrize("page", sorted((FOLDER.parent / "docs").glob("*.md")))
def test_a_page_with_a_table_of_measurements_names_a_command(page: Path) -> None:
    """Milliseconds, rates, memory and intervals come from something one can run."""
    text = page.read_text(encoding="utf-8")
    measured = [table for table in _tables(text) if len(_MEASURED.findall(table)) > 2]
    if measured:
        assert _COMMAND.search(text), measured[0]


_MEASURED = re.compile(r"\d ?(?:ms|us|MB|MiB)\b|\d/s\b|% \[|\b(?:p50|p99|CPU|ms|us)\b")
_COMMAND = re.compile(
    r"python benchmarks/\w+\.py|benchmarks/\w+\.py`|nox -s \w+|python tests/\w|"
    r"pytest tests/\w|llmguard (?:detectors|suite|shadow) \w+"
)
