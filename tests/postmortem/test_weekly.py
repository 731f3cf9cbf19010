"""The weekly review, from the record."""

from __future__ import annotations

import json
from typing import Any

from click.testing import CliRunner, Result

from llmguard import slo
from llmguard.cli import cli
from llmguard.monitor.postmortem import weekly, weekly_markdown
from llmguard.store import BreakerRow

Story = Any
"""The store of `conftest.py` and its clock."""


def _run(story: Story, *arguments: str) -> Result:
    store = str(story.store.path)
    return CliRunner().invoke(cli, [*arguments, "--store", store])


def _weekly(story: Story) -> Any:
    return weekly(story.store, "prod", now=story.now, lock=story.lock)


def test_the_week(story: Story) -> None:
    """Versions, owners, upgrades, objectives, alerts, breakers: on one page."""
    story.tell()
    body = json.dumps(slo.refused(0.02, owner="desk").document())
    key = ("app.triage", "refusals")
    story.store.counts.put_objectives("prod", {key: body}, at=story.now)
    story.event(
        "alert.page",
        story.third,
        signal="slo.refusals",
        evidence="30 of 90",
        function="f",
    )
    row = BreakerRow(
        key=f"app.triage|{story.third.id}", state="quarantined", reason="bad"
    )
    story.store.put_breaker(row)
    call = {"function": "app.triage", "tier": "", "pin": "", "kind": "ok", "n": 4}
    row = {**call, "process": "p", "last_at": story.now, "total_elapsed": 1.0}
    story.store.add_activity([row])
    for _ in range(30):
        story.event("alert.warning", story.third, signal="x", evidence="more")
    text = weekly_markdown(_weekly(story), ["app.triage local: proven"])
    assert "- app.triage: 4 calls: 4 ok (100.0%)" in text
    assert "and 1 earlier ones" in text
    for line in (
        f"| triage | gpt-5.2-2025-12-08 | {story.second.id} |",
        "rolled back by itself: `llmguard postmortem triage --upgrade 2`",
        "### app.triage: refusals (met)",
        "- app.triage local: proven",
        "warning x ",
        f"- app.triage|{story.third.id} is quarantined (bad)",
        "| desk |",
    ):
        assert line in text
    assert json.loads(json.dumps(_weekly(story).document()))["env"] == "prod"


def test_an_empty_week(story: Story) -> None:
    """Nothing is said plainly."""
    text = weekly_markdown(_weekly(story))
    assert "No version was moved" in text
    assert "No call was recorded." in text
    assert "No objective is declared" in text


def test_the_weekly_command(story: Story) -> None:
    """Markdown or JSON; the period is said."""
    story.tell()
    assert _run(story, "report", "--weekly").output.startswith("# Week to ")
    assert "tiers" in json.loads(_run(story, "report", "--weekly", "--json").output)
    assert _run(story, "report").exit_code == 2
