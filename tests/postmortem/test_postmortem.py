"""What is written about upgrades, from the record alone."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from llmguard.cli import cli
from llmguard.errors import ConfigError
from llmguard.monitor.postmortem import (
    gather,
    to_html,
    to_markdown,
    upgrades_of,
)
from llmguard.monitor.postmortem._gather import route_of
from llmguard.monitor.postmortem._measures import newcombe
from llmguard.store import Action, ShadowPair, ShadowRun

Story = Any
"""The store of `conftest.py` and its clock."""


def test_upgrades_and_how_they_ended(story: Story) -> None:
    """The first version is no upgrade; the others are numbered as users met them."""
    story.tell()
    smooth, bad = upgrades_of(story.store, "prod", "triage")
    assert (smooth.number, smooth.pin, smooth.incumbent) == (
        1,
        story.second.id,
        story.first.id,
    )
    assert (smooth.end, smooth.smooth, smooth.automatic) == ("replaced", True, False)
    assert (bad.number, bad.pin, bad.incumbent) == (2, story.third.id, story.second.id)
    assert (bad.end, bad.smooth, bad.automatic) == ("rolled back", False, True)
    assert bad.exposed < (bad.ended or 0.0)


def test_a_canary_that_never_served(story: Story) -> None:
    """A quarantined canary is an upgrade; tried again, it is another."""
    story.move(story.first, Action.PROMOTE)
    story.move(story.second, Action.CANDIDATE)
    story.move(story.second, Action.SHADOW)
    assert upgrades_of(story.store, "prod", "triage") == []
    story.move(story.second, Action.CANARY, weight=100)
    [one] = upgrades_of(story.store, "prod", "triage")
    assert (one.end, one.ended) == ("canary", None)
    story.clock.advance(10)
    story.move(story.second, Action.QUARANTINE)
    story.move(story.second, Action.RESUME)
    story.clock.advance(10)
    story.move(story.second, Action.CANARY, weight=100)
    story.move(story.second, Action.PROMOTE)
    first, again = upgrades_of(story.store, "prod", "triage")
    assert (first.end, again.end) == ("quarantined", "serving")
    assert [entry.action for entry in again.entries] == [
        Action.RESUME,
        Action.CANARY,
        Action.PROMOTE,
    ]


def test_before_and_after(story: Story) -> None:
    """Shares with intervals of both versions, and whether the change is one."""
    story.tell()
    found = gather(story.store, "prod", "triage", 1, now=story.now, lock=story.lock)
    broken = found.measures[0]
    assert (broken.before, broken.after) == ((10, 1000), (0, 2000))
    assert broken.verdict == "better"
    bad = gather(story.store, "prod", "triage", 2, now=story.now, lock=story.lock)
    verdicts = {one.name: one.verdict for one in bad.measures}
    assert verdicts["first answers that are refusals"] == "worse"
    assert verdicts["first answers that break the schema"] == "no difference seen"
    assert verdicts["calls that the first tier did not answer"] == "worse"


def test_newcombe_is_newcombe() -> None:
    """The paper's first example: 56 of 70 against 48 of 80 gives 0.0524 to 0.3339."""
    assert newcombe(48, 80, 56, 70) == pytest.approx((0.0524, 0.3339), abs=1e-4)
    assert newcombe(0, 0, 1, 2) is None


@given(st.data())
def test_the_interval_holds_the_difference(data: st.DataObject) -> None:
    """Whatever the counts: inside -1 to 1, around the difference, turned by a swap."""
    n_a, n_b = data.draw(st.integers(1, 500)), data.draw(st.integers(1, 500))
    a, b = data.draw(st.integers(0, n_a)), data.draw(st.integers(0, n_b))
    low, high = newcombe(a, n_a, b, n_b) or (0.0, 0.0)
    assert -1 - 1e-9 <= low <= b / n_b - a / n_a <= high <= 1 + 1e-9
    assert newcombe(b, n_b, a, n_a) == pytest.approx((-high, -low))


def test_the_timeline_and_the_first_sign(story: Story) -> None:
    """Ledger, evidence and events in order; the rollback is told once."""
    story.tell()
    found = gather(story.store, "prod", "triage", 2, now=story.now, lock=story.lock)
    kinds = [one.kind for one in found.moments]
    assert kinds == ["ledger"] * 2 + ["evidence", "ledger", "alarm.drift", "ledger"]
    assert found.detected is not None
    assert found.detected.kind == "alarm.drift"
    assert "words 40.0 -> 11.0" in found.detected.text
    assert "other inputs may explain it" in found.detected.text
    assert found.seconds_to_end == pytest.approx(2.0)
    assert (found.calls, found.calls_to_detection) == (100, 100)
    assert found.slices == ("legal",)


def test_what_changed(story: Story) -> None:
    """The pins' entries, field by field; an owner is who decides."""
    story.tell()
    found = gather(story.store, "prod", "triage", 2, now=story.now, lock=story.lock)
    assert found.owner == "llm team"
    assert found.changes is not None
    changed = {one.name: (one.before, one.after) for one in found.changes}
    assert changed["params.temperature"] == ("", "0.7")
    assert changed["model"] == ('"gpt-5.2-2025-12-08"', '"gpt-5.2-2025-12-09"')
    lost = gather(
        story.store, "prod", "triage", 2, now=story.now, lock=type(story.lock)()
    )
    assert lost.changes is None
    assert "no longer has both versions" in to_markdown(lost)


def test_markdown(story: Story) -> None:
    """One document; the slice is named, the last section is for people."""
    story.tell()
    text = to_markdown(
        gather(story.store, "prod", "triage", 2, now=story.now, lock=story.lock)
    )
    assert text.startswith("# Post-mortem: triage in prod, upgrade 2\n")
    assert "was rolled back by itself" in text
    assert "The evidence names: legal." in text
    assert "worst in 'legal'" in text
    assert r"(forced \| &lt;b>)" in text
    assert text.count("_(to be written)_") == 3
    smooth = to_markdown(
        gather(story.store, "prod", "triage", 1, now=story.now, lock=story.lock)
    )
    assert smooth.startswith("# Upgrade review: ")
    assert "by itself" not in smooth


class _Page(HTMLParser):
    """Collects tags and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [v or "" for k, v in attrs if k in {"src", "href"}]


def test_html(story: Story) -> None:
    """The page opens offline, and what people or models wrote is no markup."""
    story.tell()
    page = to_html(
        gather(story.store, "prod", "triage", 2, now=story.now, lock=story.lock)
    )
    seen = _Page()
    seen.feed(page)
    assert seen.links == []
    assert not {"b", "script", "img"} & set(seen.tags)
    assert "forced | &lt;b&gt;" in page
    assert not re.search(r"https?://", page)
    assert "class='worse'" in page


def test_examples_of_a_shadow(story: Story) -> None:
    """Captured pairs are shown, the most severe first; others say what parted."""
    story.tell()
    run = ShadowRun(
        id="run",
        env="prod",
        subject="triage",
        pin=story.third.id,
        origin="ledger",
        options="{}",
        started_at=story.now,
    )
    story.store.shadow.start(run)
    pairs = [
        ShadowPair(
            id=f"pair-{rung}",
            run="run",
            function="app.triage",
            incumbent=story.second.id,
            stratum="legal",
            at=story.now,
            rung=rung,
            direction="ok to refusal",
            content=content,
            body=json.dumps({"pair": {"input": "sue | `you`"}} if content else {}),
        )
        for rung, content in ((3, False), (1, True))
    ]
    story.store.shadow.add("run", pairs=pairs)
    found = gather(story.store, "prod", "triage", 2, now=story.now, lock=story.lock)
    assert [one.rung for one in found.examples] == [1, 3]
    text = to_markdown(found)
    assert r"sue \| `you`" in text
    assert "ok to refusal (rung 3)" in text
    assert "sue | `you`" in to_html(found)
    assert json.loads(json.dumps(found.document()))["slices"] == ["legal"]


def test_an_upgrade_that_is_none(story: Story) -> None:
    """The numbers that there are, and where to look."""
    story.move(story.first, Action.PROMOTE)
    with pytest.raises(ConfigError, match="llmguard history triage"):
        gather(story.store, "prod", "triage", 1, now=story.now, lock=story.lock)


def test_names(story: Story) -> None:
    """A route, a version, or a function that a live program has."""
    story.tell()
    assert route_of(story.store, "prod", "triage") == "triage"
    assert route_of(story.store, "prod", story.third.id) == "triage"
    with pytest.raises(ConfigError, match="routes: triage"):
        route_of(story.store, "prod", "unknown")


def _run(story: Story, *arguments: str) -> Result:
    store = str(story.store.path)
    return CliRunner().invoke(cli, [*arguments, "--store", store])


def test_the_command(story: Story, tmp_path: Path) -> None:
    """It lists, writes one, and writes all without touching what people wrote."""
    story.tell()
    listed = _run(story, "postmortem", "triage")
    assert "rolled back, by itself" in listed.output
    assert len(json.loads(_run(story, "postmortem", "triage", "--json").output)) == 2
    shown = _run(story, "postmortem", "triage", "--upgrade", "-1")
    assert shown.output.startswith("# Post-mortem: triage")
    document = json.loads(
        _run(story, "postmortem", "triage", "--upgrade", "2", "--json").output
    )
    assert document["end"] == "rolled back"
    page = tmp_path / "page.html"
    options = ("--upgrade", "2", "--format", "html", "--output", str(page))
    assert _run(story, "postmortem", "triage", *options).exit_code == 0
    assert page.read_text("utf-8").startswith("<!doctype html>")
    folder = tmp_path / "reviews"
    assert "2 written" in _run(story, "postmortem", "--all", str(folder)).output
    mine = folder / "triage-2.md"
    mine.write_text("learnt", "utf-8")
    assert "0 written, 2 were there" in (
        _run(story, "postmortem", "triage", "--all", str(folder)).output
    )
    assert mine.read_text("utf-8") == "learnt"
    assert _run(story, "postmortem").exit_code == 2
    unknown = _run(story, "postmortem", "triage", "--upgrade", "9")
    assert isinstance(unknown.exception, ConfigError)


def test_a_version_that_was_retired(story: Story) -> None:
    """Retiring a canary that met users ends its upgrade; one that met none is none."""
    story.move(story.first, Action.PROMOTE)
    story.move(story.second, Action.CANDIDATE)
    story.move(story.second, Action.RETIRE)
    story.move(story.third, Action.CANDIDATE)
    story.move(story.third, Action.CANARY, weight=100)
    story.move(story.third, Action.RETIRE)
    [one] = upgrades_of(story.store, "prod", "triage")
    assert (one.pin, one.end, one.smooth) == (story.third.id, "retired", True)
    assert one.revisions == "r4 to r6"


def test_quarantine_of_a_version_long_gone(story: Story) -> None:
    """What is quarantined after it was replaced is no new upgrade."""
    story.move(story.first, Action.PROMOTE)
    story.move(story.second, Action.CANDIDATE)
    story.move(story.second, Action.PROMOTE)
    story.clock.advance(10)
    story.move(story.first, Action.QUARANTINE)
    [one] = upgrades_of(story.store, "prod", "triage")
    assert (one.pin, one.end) == (story.second.id, "serving")


def test_evidence_is_told(story: Story) -> None:
    """A suite's reason, a document that is gone, one that cannot be read."""
    story.move(story.first, Action.PROMOTE)
    story.move(story.second, Action.CANDIDATE)
    broken = story.evidence("suite", story.second, "PROMOTE", format=9)
    evidence = (broken, "sha256:gone")
    story.move(story.second, Action.PROMOTE, evidence=evidence)
    story.event("probe.paired", story.second, moves={"ok to refusal": 3}, p=0.001)
    story.event("echo.mismatch", story.second, served="x" * 600)
    found = gather(story.store, "prod", "triage", 1, now=story.now, lock=story.lock)
    texts = [one.text for one in found.moments]
    assert any("sha256:gone was evidence" in text for text in texts)
    assert any("suite PROMOTE: " in text for text in texts)
    assert 'moves {"ok to refusal": 3}, p 0.001' in texts
    assert max(map(len, texts)) == 400
    assert found.detected is not None
    assert found.measures == []
    assert "No call of either version was counted" in to_markdown(found)
    assert "No call of either version was counted" in to_html(found)
    assert "None were captured." in to_html(found)


def test_what_blocked_is_named(story: Story) -> None:
    """A suite's verdict on the version counts, whether or not the move rests on it."""
    story.move(story.first, Action.PROMOTE)
    story.move(story.second, Action.CANDIDATE)
    rows = [
        {"name": "stakes", "status": "blocked", "gating": True},
        {"name": "tone", "status": "blocked", "gating": False},
        {"name": "schema", "status": "accepted", "gating": True},
    ]
    story.evidence("suite", story.second, "BLOCK", assertions=rows, format=9)
    story.move(story.second, Action.CANARY, weight=500, reason="forced")
    story.move(story.second, Action.QUARANTINE)
    found = gather(story.store, "prod", "triage", 1, now=story.now, lock=story.lock)
    assert found.slices == ("stakes",)
    assert "The evidence names: stakes." in to_markdown(found)


def test_a_function_by_its_name(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A live program says which version its functions have, the lock its route."""
    story.tell()
    (tmp_path / "models.lock").write_text("", "utf-8")
    tiers = [{"pin": story.second.id, "tier": "triage"}]
    story.store.beat("host:1", {"functions": {"app.triage": tiers}})
    module = "llmguard.monitor.postmortem._gather"
    monkeypatch.setattr(f"{module}._lock", lambda: story.lock)
    assert route_of(story.store, "prod", "app.triage") == "triage"
    story.store.beat("host:2", {})
    with pytest.raises(ConfigError, match="no route"):
        route_of(story.store, "prod", "app.other")


def test_old_upgrades_are_compared_by_hours(story: Story) -> None:
    """Minutes are kept for days only; a year later the figures are the same."""
    story.tell()
    early = gather(story.store, "prod", "triage", 2, now=story.now, lock=story.lock)
    story.clock.advance(300 * 86_400)
    late = gather(story.store, "prod", "triage", 2, now=story.now, lock=story.lock)
    assert [one.after for one in late.measures] == [one.after for one in early.measures]


def test_only_one_side_has_events(story: Story) -> None:
    """No comparison is made up."""
    story.move(story.first, Action.PROMOTE)
    story.move(story.second, Action.CANDIDATE)
    story.move(story.second, Action.PROMOTE)
    story.count(story.second, 10, first="ok")
    found = gather(story.store, "prod", "triage", 1, now=story.now, lock=story.lock)
    assert {one.verdict for one in found.measures} == {"not comparable"}
    assert "no events" in to_markdown(found)
