"""Plans are declared, checked, bounded, and off unless started."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from llmguard import chaos, config
from llmguard.cli._main import cli
from llmguard.errors import ConfigError
from llmguard.guard._runtime import default_runtime
from llmguard.testing import VirtualClock

FAULT = chaos.Fault(do="empty")
PLAN = """
seed = 7
duration = 900
reason = "game day"

[[fault]]
do = "hang"
rate = 0.05
tier = "triage"

[[fault]]
do = "delay"
seconds = 1.5
labels = { tenant = "acme" }
"""


@pytest.fixture(autouse=True)
def _over(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LLMGUARD_ENV", "rehearsal")
    config.reset()
    yield
    chaos.stop()
    config.reset()


def test_nothing_runs_unless_started() -> None:
    """And nothing is left behind afterwards."""
    assert (False, None, None) == (chaos.active(), chaos.report(), chaos.stop())
    with chaos.running(chaos.Plan(faults=(FAULT,))):
        assert chaos.active()
        assert default_runtime().chaos is not None
    assert None is default_runtime().chaos


def test_one_plan_at_a_time() -> None:
    """Two would blur each other."""
    chaos.start(chaos.Plan(faults=(FAULT,)))
    with pytest.raises(ConfigError, match="runs already"):
        chaos.start(chaos.Plan(faults=(FAULT,)))
    assert (0, (0,)) == ((found := chaos.stop()) and found.seen, found and found.hits)


def test_it_is_over_by_itself() -> None:
    """After its duration nobody is hit, and another may start."""
    clock = VirtualClock()
    chaos.start(chaos.Plan(faults=(FAULT,), duration=60), clock=clock)
    clock.advance(61)
    assert not chaos.active()
    chaos.start(chaos.Plan(faults=(FAULT,)), clock=clock)
    assert chaos.active()


@pytest.mark.parametrize("env", ["prod", "production", "live"])
def test_production_has_to_be_meant(env: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once by the plan is not enough."""
    monkeypatch.setenv("LLMGUARD_ENV", env)
    config.reset()
    with pytest.raises(ConfigError, match="LLMGUARD_CHAOS_IN_PRODUCTION"):
        chaos.start(chaos.Plan(faults=(FAULT,)))
    assert not chaos.active()
    chaos.start(chaos.Plan(faults=(FAULT,)), allow_production=True)
    chaos.stop()
    monkeypatch.setenv("LLMGUARD_CHAOS_IN_PRODUCTION", "1")
    chaos.start(chaos.Plan(faults=(FAULT,)))


def test_a_file_is_a_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Named by a variable, started by the application, said in the log."""
    assert not chaos.start_from_settings()
    file = tmp_path / "plan.toml"
    file.write_text(PLAN)
    monkeypatch.setenv("LLMGUARD_CHAOS_PLAN", str(file))
    with caplog.at_level(logging.WARNING, "llmguard.chaos"):
        assert chaos.start_from_settings()
    assert "2 faults for 900 s in environment 'rehearsal': game day" in caplog.text
    found = chaos.report()
    assert found is not None
    assert ("hang", 0.05, "triage") == (
        found.plan.faults[0].do,
        found.plan.faults[0].rate,
        found.plan.faults[0].tier,
    )
    got = CliRunner().invoke(cli, ["chaos", "check", str(file)])
    assert "900 s, seed 7: game day" in got.output
    assert "5.0%    hang   tier=triage  no answer" in got.output
    listed = CliRunner().invoke(cli, ["chaos", "list", "--json"])
    assert "wrong_model" in listed.output


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[fault]]\ndo = 'explode'", "fault 1: `do='explode'` is no fault"),
        ("[[fault]]\ndo = 'empty'\nrat = 1", "unknown key `rat`"),
        ("[[fault]]\ndo = 'empty'\nrate = 2", "from 0 to 1"),
        ("[[fault]]\ndo = 'delay'", "needs `seconds`"),
        ("[[fault]]\ndo = 'change'", "`change` is a function"),
        ("[[fault]]\ndo = 'cut'\nchunks = -1", "chunks=-1"),
        ("[[fault]]\nrate = 1", "do"),
        ("fault = 3", r"\[\[fault\]\]"),
        ("seed = 1", "without `faults`"),
        ("duration = 0\n[[fault]]\ndo = 'empty'", "duration=0"),
        ("dur = 1\n[[fault]]\ndo = 'empty'", "unknown key `dur`"),
        ("[[fault", "cannot be read"),
    ],
)
def test_a_bad_plan_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """The file, the place, the repair."""
    file = tmp_path / "plan.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=said) as error:
        chaos.load_plan(file)
    assert "plan.toml" in str(error.value)


def test_a_missing_plan_is_refused(tmp_path: Path) -> None:
    """It would otherwise be a quiet day."""
    with pytest.raises(ConfigError, match="cannot be read"):
        chaos.load_plan(tmp_path / "none.toml")


def test_a_fault_uses_what_it_is_given() -> None:
    """`change` belongs to one kind only."""
    given: Any = str.upper
    with pytest.raises(ConfigError, match="`change` is a function"):
        chaos.Fault(do="empty", change=given)
