"""The recipes for CI: the shell script is run, the workflow is read."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from llmguard.pins import Pin

CI = Path(__file__).parents[3] / "examples" / "ci_gate"
GOOD, BAD = {"kind": "refund"}, {"odd": 1}


def gate(folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the recipe as a pipeline does."""
    commands = os.pathsep.join((str(folder / "bin"), os.environ["PATH"]))
    return subprocess.run(
        ["sh", str(CI / "generic.sh")],
        cwd=folder,
        env={**os.environ, "GATE_BASE": "main", "PATH": commands, **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def command(folder: Path, body: str) -> None:
    """Put a command `llmguard` on the path."""
    (folder / "bin").mkdir()
    path = folder / "bin" / "llmguard"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def real(folder: Path) -> None:
    """Put the command on the path that belongs to this interpreter."""
    command(folder, f'exec {shlex.quote(sys.executable)} -m llmguard "$@"')


@pytest.mark.parametrize(
    ("answer", "code", "verdict"), [(GOOD, 0, "PROMOTE"), (BAD, 1, "BLOCK")]
)
def test_the_gate_opens_for_a_good_version_and_holds_a_bad_one(
    *,
    repository: Path,
    add: Callable[..., Pin],
    commit: Callable[[], None],
    answer: object,
    code: int,
    verdict: str,
) -> None:
    """From a commit that changes the lock to the exit code, with every report."""
    pin = add("next", answer, activate=True)
    commit()
    real(repository)
    done = gate(repository)
    assert code == done.returncode, done.stdout + done.stderr
    assert f"{verdict}: suite shop on {pin.id}" in done.stdout
    out = repository / "llmguard-gate"
    assert (out / "comment.md").read_text().startswith(f"## {verdict}: `shop` on ")
    assert verdict in (out / f"shop-{pin.id}.html").read_text()
    written = ET.parse(out / f"shop-{pin.id}.xml")  # noqa: S314 - our own file
    suite = written.getroot()[0]
    assert str(code) == suite.get("failures")
    assert "llmguard_journal" in (out / f"shop-{pin.id}.jsonl").read_text()


def test_an_unchanged_lock_opens_the_gate_without_a_call(repository: Path) -> None:
    """Nothing is run, and the comment is empty."""
    real(repository)
    done = gate(repository)
    assert (0, "no pin changed since main: nothing to gate\n") == (
        done.returncode,
        done.stdout,
    )


def test_a_wrong_base_is_an_error(repository: Path) -> None:
    """A gate that cannot tell what changed is shut."""
    real(repository)
    assert 3 == gate(repository, GATE_BASE="absent").returncode


STUB = """
if [ "$2" = changed ]; then printf '%s\\n' {plan}; exit 0; fi
echo "$@" >>asked
for word in "$@"; do
  case $word in *.md) printf '## %s\\n' "{body}" >"$word" ;; esac
done
exit "$3"
"""


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ("0 0", 0),
        ("0 2", 2),
        ("2 3 0", 3),
        ("2 1 3", 1),
        ("137", 3),
    ],
)
def test_the_worst_of_several_runs_decides(
    tmp_path: Path, codes: str, expected: int
) -> None:
    """BLOCK before ERROR before UNDECIDED; whatever else happens is an ERROR."""
    plan = " ".join(f"'{code} p-1 p-0'" for code in codes.split())
    command(tmp_path, STUB.format(plan=plan, body="report"))
    done = gate(tmp_path, GATE_MAX_CALLS="7")
    assert expected == done.returncode, done.stderr
    asked = (tmp_path / "asked").read_text().splitlines()
    assert len(codes.split()) == len(asked)
    assert "--candidate p-1 --incumbent p-0 --max-calls 7 " in asked[0]


def test_comments_stay_within_what_a_comment_may_hold(tmp_path: Path) -> None:
    """The first reports in full, those without room by name."""
    plan = "'0 p-1' '2 p-2' '0 p-3'"
    command(tmp_path, STUB.format(plan=plan, body="x" * 40_000))
    assert 2 == gate(tmp_path).returncode
    text = (tmp_path / "llmguard-gate" / "comment.md").read_text()
    assert len(text) < 60_000
    assert "## UNDECIDED: `2` on `p-2`" in text
    assert "The report is in `0-p-3.html`." in text


def test_the_workflow_is_valid_and_holds_no_secret() -> None:
    """It parses, runs the script of the recipe, and trusts no fork."""
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    text = (CI / "github-actions.yml").read_text()
    found = yaml.safe_load(text)
    assert ["pull_request"] == [*found[True]]  # YAML 1.1 reads `on` so
    assert {"contents": "read", "pull-requests": "write"} == found["permissions"]
    steps = found["jobs"]["suites"]["steps"]
    assert 0 == steps[0]["with"]["fetch-depth"]
    (run,) = (one for one in steps if "llmguard-gate.sh" in one.get("run", ""))
    assert "origin/${{ github.base_ref }}" == run["env"]["GATE_BASE"]
    for name, value in run["env"].items():
        assert value.startswith("${{ secrets.") or "KEY" not in name
    assert all("${{" not in one.get("run", "") for one in steps)
    late = [one for one in steps if steps.index(one) > steps.index(run)]
    assert ["always()"] * 3 == [one["if"] for one in late]
    assert "llmguard-gate/" == late[-1]["with"]["path"]
