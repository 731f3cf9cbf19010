"""`llmguard shadow start | status | report | export | stop`, as a person types them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import pytest
from click.testing import CliRunner, Result
from pydantic import BaseModel

from llmguard import INJECTED, Model, call_context, contract, pinned
from llmguard.cli import cli
from llmguard.errors import LockError
from llmguard.pins import load_lock, to_text
from llmguard.shadow import Ladder, compare_files, shadow
from llmguard.shadow.live._fold import fold
from llmguard.testing import HttpError

Project = Any
"""The fixture `project`, which its conftest defines."""


class Answer(BaseModel):
    category: Literal["legal", "bug"]
    human: bool


def _triage() -> Callable[[str], Any]:
    @contract(Answer)
    @pinned("triage")
    def triage(ticket: str, *, model: Model = INJECTED) -> Answer:
        return model.complete(ticket)

    return triage


def _llmguard(*words: object, code: int = 0) -> Result:
    done = CliRunner().invoke(cli, ["shadow", *map(str, words)])
    assert code == done.exit_code, done.output
    return done


def _json(*words: object, code: int = 0) -> Any:
    return json.loads(_llmguard(*words, "--json", code=code).stdout)


def _run(project: Project, *options: object, requests: int = 40) -> None:
    _llmguard("start", "triage", project.b.id, "--share", 1, *options)
    triage = _triage()
    project.tick(0)
    for number in range(requests):
        with call_context(request_id=f"r{number}", intent="ab"[number % 2]):
            triage(f"ticket {number} of ann@example.com")
        project.join()
    project.tick()


def test_from_start_to_stop(project: Project) -> None:
    """What a person types, and what they read."""
    project.clock.advance(0)
    _run(project, "--double", 1, "--by", "intent", "--reason", "the new one")
    shown = _llmguard("status").output
    assert "calls seen  40; sampled 40" in shown
    assert "40; drawn twice 40" in shown
    assert "drawn twice show 3% beyond a floor of 9%" in shown
    (status,) = _json("status", "triage")
    assert 300 <= status["plan"]["needed"]
    assert (40, 40, 120) == (status["compared"], status["doubled"], status["calls"])
    assert {"ok": 40} == status["challenger"]
    assert {"intent=a": 20, "intent=b": 20} == {
        name: row["sampled"] for name, row in status["strata"].items()
    }
    report = _json("report", "triage")
    assert ("live", 40) == (report["source"], report["requests"])
    assert 1.0 == report["main"]["raw"]["value"]
    top = report["transitions"][0]
    assert ("/human", "true", "false") == (top["path"], top["before"], top["after"])
    assert project.b.id == report["challenger"]["pin"]
    assert "new-1" == report["challenger"]["name"]
    assert [] == report["examples"]
    assert any("texts were not kept" in note for note in report["notes"])
    assert "has stopped" in _llmguard("stop", "triage").output
    assert "nothing runs in shadow" in _llmguard("status").output
    assert "stopped" in _llmguard("status", "--all").output
    again = _llmguard("stop", "triage", code=1)
    assert "nothing runs in shadow" in again.output


def test_texts_are_kept_redacted_and_exported_for_compare(
    project: Project, tmp_path: Path
) -> None:
    """The report shows examples; the files give the same rates; no address is left."""
    _run(project, "--content", "--double", 1)
    report = _json("report", "triage")
    example = report["examples"][0]
    assert "of [email]" in example["input"]
    assert "true" in example["incumbent"]
    files = [path.read_bytes() for path in tmp_path.glob("store.db*")]
    assert not any(b"ann@example.com" in content for content in files)
    made = _json("export", "triage", tmp_path / "out")
    assert (40, 40) == (made["pairs"], made["contents"])
    out = tmp_path / "out"
    texts = [path.read_text() for path in sorted(out.iterdir())]
    assert not any("ann@example.com" in text for text in texts)
    lines = (out / "incumbent.jsonl").read_text().splitlines()
    assert 80 == len(lines)
    found = compare_files(
        out / "incumbent.jsonl", out / "challenger.jsonl", ladder=Ladder()
    )
    assert report["requests"] == found.tally.requests == 40
    assert "40 pairs" in _llmguard("export", "triage", out).output


def test_a_parquet_table_holds_the_metadata_of_every_pair(
    project: Project, tmp_path: Path
) -> None:
    """Read back by pyarrow: the rows, their columns, and nothing of the content."""
    _run(project, requests=3)
    _llmguard("export", "triage", tmp_path / "out", "--parquet")
    parquet: Any = import_module("pyarrow.parquet")
    table = parquet.read_table(tmp_path / "out/pairs.parquet")
    assert 3 == table.num_rows
    assert {"/human: true -> false"} == set(table["direction"].to_pylist())
    assert b"ann@example.com" not in (tmp_path / "out/pairs.parquet").read_bytes()


def test_parquet_needs_pyarrow_and_says_so(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is written."""
    _run(project, requests=3)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    done = _llmguard("export", "triage", tmp_path / "out", "--parquet", code=1)
    assert "llmguard-toolkit[parquet]" in done.output
    assert not (tmp_path / "out/pairs.parquet").exists()


def test_a_report_is_evidence_and_a_page(project: Project, tmp_path: Path) -> None:
    """Gates read it from the store; an alarm is exit code 3."""
    pytest.importorskip("jinja2")
    project.replies = [{"category": "legal", "human": True}]
    _run(project, "--content")
    page = tmp_path / "report.html"
    _llmguard("report", "triage", "--evidence", "--html", page)
    assert "<html" in page.read_text()
    (row,) = project.store.list_evidence()
    assert ("shadow", "UNDECIDED", project.b.identity) == (
        row.kind,
        row.verdict,
        row.pin_digest,
    )
    _llmguard("report", "triage", "--gate", code=3)


def test_a_challenger_that_fails_is_told_apart(project: Project) -> None:
    """Its failures are no divergence, and the report says how many there were."""
    project.replies = [HttpError(500)] * 2 + [{"category": "legal", "human": True}]
    _run(project, "--double", 0, requests=8)
    report = _json("report", "triage")
    assert (6, 0.0) == (report["requests"], report["main"]["raw"]["value"])
    assert {"transport": 2} == report["challenger"]["lost"]
    assert any("gave nothing on 2 of 8" in note for note in report["notes"])


def test_what_is_wrong_is_one_message(project: Project) -> None:
    """Exit codes: 1 for what cannot be, 2 for what cannot be meant, 4 for the lock."""
    assert "no shadow of 'triage'" in _llmguard("report", "triage", code=1).output
    _llmguard("start", "triage", "p-none", code=1)
    _llmguard("start", "triage", project.b.id, "--share", 2, code=2)
    _llmguard("start", "triage", project.b.id, "--stratum", "x", code=2)
    done = _llmguard("start", "triage", project.b.id, "--max-cost", 1, code=1)
    assert "needs `prices=`" in done.output
    unknown = CliRunner().invoke(cli, ["shadow", "start", "nowhere", project.b.id])
    assert isinstance(unknown.exception, LockError)  # which `main` maps to 4
    _run(project, requests=0)
    assert "compared nothing yet" in _llmguard("report", "triage", code=1).output


def test_the_pages_of_help_start(project: Project) -> None:
    """Every verb explains itself."""
    for verb in ("start", "stop", "status", "report", "export"):
        assert verb in _llmguard(verb, "--help").output


def test_workers_that_restart_leave_one_tally_behind(project: Project) -> None:
    """Folded rows say the same as all of them did."""
    _llmguard("start", "triage", project.b.id, "--share", 1, "--double", 0)
    triage = _triage()
    for _ in range(12):
        project.use(project.process())
        project.tick()
        triage("a")
        project.join()
        project.tick()
    (run,) = project.store.shadow.runs()
    assert 12 == len(project.store.shadow.tallies(run.id))
    before = _json("report", "triage")
    assert 0 == fold(project.store, run.id, now=project.clock.time())
    assert 11 == fold(project.store, run.id, now=project.clock.time() + 4_000)
    assert 1 == len(project.store.shadow.tallies(run.id))
    after = _json("report", "triage")
    assert before["content_digest"] == after["content_digest"]
    assert 12 == after["requests"]
    project.clock.advance(3_000)  # the last worker rested: it begins another tally
    triage("b")
    project.join()
    project.tick()
    assert 2 == len(project.store.shadow.tallies(run.id))
    assert 13 == _json("report", "triage")["requests"]


def test_a_process_that_cannot_take_part_says_why_in_the_status(
    project: Project,
) -> None:
    """A function that redacts and is not there, a pin that left the lock."""
    _llmguard(
        "start", "triage", project.b.id, "--content", "--redact", "no_module:clean"
    )
    _triage()
    triage = _triage()
    project.tick(0)
    project.tick(0)
    assert triage("a")
    (status,) = _json("status")
    (problem,) = status["apart"]
    assert "`redact='no_module:clean'`" in problem
    assert 1 == status["apart"][problem]
    _llmguard("stop", "triage")
    _llmguard("start", "triage", project.b.id)
    Path("models.lock").write_text(to_text(load_lock().without(project.b.id)))
    project.tick(0)
    (status,) = _json("status")
    assert any(project.b.id in problem for problem in status["apart"])


def test_pairs_are_deleted_when_they_are_old(project: Project) -> None:
    """After `keep_days`, by whichever process exchanges, stopped or not."""
    project.runtime.clock = project.clock
    _llmguard("start", "triage", project.b.id, "--share", 1, "--keep-days", 1)
    triage = _triage()
    project.tick(0)
    triage("a")
    project.join()
    project.tick()
    (run,) = project.store.shadow.runs()
    assert 1 == len(project.store.shadow.pairs(run.id))
    project.tick(2 * 86_400)
    triage("b")
    project.join()
    project.tick(3_601)
    assert 1 == len(project.store.shadow.pairs(run.id))
    _llmguard("stop", "triage")
    project.tick(2 * 86_400)
    assert [] == list(project.store.shadow.pairs(run.id))


def test_a_functions_own_redaction_holds_for_shadows_of_others(
    project: Project,
) -> None:
    """It comes before what the command says, whoever started the shadow."""

    @shadow(redact=lambda text: text.replace("Ann Lee", "[name]"))
    @contract(Answer)
    @pinned("triage")
    def triage(ticket: str, *, model: Model = INJECTED) -> Answer:
        return model.complete(ticket)

    _llmguard("start", "triage", project.b.id, "--share", 1, "--content")
    project.tick(0)
    triage("Ann Lee, ann@example.com, writes")
    project.join()
    project.tick()
    (run,) = project.store.shadow.runs()
    (pair,) = project.store.shadow.pairs(run.id)
    assert "[name], [email], writes" == json.loads(pair.body)["pair"]["input"]
    (example, *_) = _json("report", "triage")["examples"]
    assert "[name], [email], writes" == example["input"]
