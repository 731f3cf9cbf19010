"""`llmguard drill`, `status` and `doctor` on what drills and exercises found."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from llmguard.cli import cli
from llmguard.cli._drill_inputs import load_guard
from llmguard.cli._fit_checks import fit_checks, known_fitness
from llmguard.cli.drill import progress_on
from llmguard.errors import ConfigError
from llmguard.guard import fitness
from llmguard.guard._fitness import fitness_of
from llmguard.guard.tiers import TierContext, TierOptions
from llmguard.store import open_store
from llmguard.store.tickets import NewTicket

APP = """
from typing import Literal
from pydantic import BaseModel
from llmguard import INJECTED, Model, contract, fallback_chain, on_pin, pinned, static
from llmguard.testing import FakeModel
from llmguard_fallbacks import human, rules

class Answer(BaseModel):
    category: Literal["billing", "other"]
    urgent: bool

def said(request):
    text = str(request.messages[-1].content)
    return {"category": "billing" if "bill" in text else "other", "urgent": False}

def lower(request):
    text = str(request.messages[-1].content)
    if "odd" in text:
        return "no json"
    return {"category": "other", "urgent": False}

TOP = FakeModel(said, name="top-1")
LOW = FakeModel(lower, name="low-1")

def by_hand(ticket):
    return {"category": "billing", "urgent": False}

@fallback_chain(
    on_pin(LOW.pin("low")),
    rules(by_hand, default={"category": "other", "urgent": True}),
    human("desk"),
    exercise=1,
)
@contract(Answer)
@pinned(TOP.pin("top"))
def triage(ticket: str, note: str = "", *, model: Model = INJECTED) -> Answer:
    return model.complete(ticket)

class Desk:
    @fallback_chain(static({"category": "other", "urgent": True}))
    @contract(Answer)
    def sort(self, ticket: str) -> Answer:
        return Answer(category="other", urgent=False)

def plain(ticket: str) -> str:
    return ticket
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store_path: Path) -> str:
    """Write an application of this test's own; return its module's name."""
    assert store_path
    name = f"drill_app_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(APP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return name


def _inputs(tmp_path: Path, *tickets: str) -> str:
    path = tmp_path / "tickets.jsonl"
    lines = [json.dumps({"ticket": ticket}) for ticket in tickets]
    path.write_text("\n".join([*lines, "", ""]))
    return str(path)


def _run(*command: str) -> Result:
    return CliRunner().invoke(cli, list(command))


def _tiers(shown: Result) -> dict[str, Any]:
    return {row["tier"]: row for row in json.loads(shown.output)["tiers"]}


def test_a_drill_says_what_each_tier_is_worth(app: str, tmp_path: Path) -> None:
    """Valid share with its interval, agreement whole and by field, kinds, latency."""
    inputs = _inputs(tmp_path, "bill one", "bill two", "else", "odd")
    shown = _run("drill", f"{app}:triage", "--inputs", inputs, "--json")
    found = _tiers(shown)
    assert ["top", "low", "rules"] == list(found)
    assert (4, 4) == (found["top"]["valid"]["good"], found["rules"]["valid"]["good"])
    low = found["low"]
    assert {"bad_json": 1} == low["kinds"]
    assert (0.75, 0.194, 0.994) == (
        low["valid"]["rate"],
        round(low["valid"]["low"], 3),
        round(low["valid"]["high"], 3),
    )
    assert (1, 3) == (low["agrees"]["good"], low["agrees"]["n"])
    assert {"category": 1, "urgent": 3} == {
        name: share["good"] for name, share in low["fields"].items()
    }
    assert 0 < low["p50"] <= low["p95"]
    assert ["low"] == json.loads(shown.output)["below"]
    assert 1 == shown.exit_code


def test_a_drill_proves_tiers_and_touches_nothing_else(
    app: str, tmp_path: Path
) -> None:
    """`status` shows what was drilled, and no live call."""
    inputs = _inputs(tmp_path, "bill", "else")
    shown = _run("drill", f"{app}:triage", "--inputs", inputs, "--n", "1")
    assert 0 == shown.exit_code, shown.output
    assert "Every lower tier answered at least 90% validly" in shown.output
    assert "low agrees on: category 0.0%, urgent 100.0%" in shown.output
    status = json.loads(_run("status", "--json").output)
    assert {} == status["calls"]
    assert {"low", "rules", "top"} == {line["tier"] for line in status["tiers"]}
    assert [(True, "drill", 1, 0)] * 3 == [
        (line["proven"], line["source"], line["clean"], line["answered"])
        for line in status["tiers"]
    ]
    text = _run("status").output
    assert "PROVEN  <= 95.0%" in text
    assert "(drill)" in text
    assert ["low", "rules", "top"] == [each.tier for each in fitness() if each.proven]


def test_a_dry_run_writes_nothing(app: str, tmp_path: Path, store_path: Path) -> None:
    """Not even a store."""
    inputs = _inputs(tmp_path, "odd")
    shown = _run("drill", f"{app}:triage", "--inputs", inputs, "--dry-run")
    assert 1 == shown.exit_code
    assert "Below 90% valid, or never tried: low (nothing was written)" in shown.output
    assert "low bad_json: " in shown.output
    assert not store_path.exists()


def test_single_tiers_without_the_reference(app: str, tmp_path: Path) -> None:
    """The first tier costs money; it can be left out."""
    inputs = _inputs(tmp_path, "else")
    shown = _run(
        *("drill", f"{app}:triage", "--inputs", inputs),
        *("--tier", "low", "--no-reference", "--json"),
    )
    found = _tiers(shown)
    assert ["low"] == list(found)
    assert found["low"]["agrees"] is None


def test_inputs_come_from_tickets(app: str, tmp_path: Path) -> None:
    """What people were asked before is what the tiers are tried on."""
    assert tmp_path
    target = f"{app}:triage"
    refused = _run("drill", target)
    assert isinstance(refused.exception, ConfigError)
    assert '{"ticket": "..."}' in str(refused.exception)

    def ticket(key: str, inputs: dict[str, object]) -> NewTicket:
        return NewTicket(
            id=key,
            queue="desk",
            key=key,
            fingerprint=key,
            function=f"{app}.triage",
            inputs=inputs,
        )

    tickets = open_store().tickets
    tickets.enqueue(ticket("a", {"ticket": "else"}))
    tickets.enqueue(ticket("b", {"another": "signature"}))
    shown = _run("drill", target, "--json")
    assert 1 == json.loads(shown.output)["inputs"]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("{app}", "write `module:function`"),
        ("{app}:none", "has no `none`"),
        ("no_such_module_here:f", "cannot be imported (ModuleNotFoundError"),
        ("broken_a:f", "cannot be imported (ZeroDivisionError"),
        ("broken_b:f", "needs its tiers"),
        ("{app}:plain", "is not guarded"),
        ("{app}:Desk.sort", "is a method"),
    ],
)
def test_what_cannot_be_drilled_is_explained(
    target: str, message: str, app: str, tmp_path: Path
) -> None:
    """Each wrong target says what to write."""
    (tmp_path / "broken_a.py").write_text("1 / 0")
    (tmp_path / "broken_b.py").write_text(
        "from llmguard import fallback_chain\nfallback_chain()"
    )
    refused = _run("drill", target.format(app=app))
    assert message in str(refused.exception)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "tickets.jsonl:1 is no JSON"),
        ("[1]", "write an object"),
        ('{"text": "x"}', 'Write {"ticket": "..."}'),
        ("", "holds no inputs"),
    ],
)
def test_wrong_inputs_are_explained(
    line: str, message: str, app: str, tmp_path: Path
) -> None:
    """The line is named, and what would fit."""
    path = tmp_path / "tickets.jsonl"
    path.write_text(line)
    refused = _run("drill", f"{app}:triage", "--inputs", str(path))
    assert message in str(refused.exception)


@pytest.mark.parametrize(
    ("tier", "message"),
    [("desk", "is no tier of"), ("human:desk", "by a person or a constant")],
)
def test_people_are_not_drilled(
    tier: str, message: str, app: str, tmp_path: Path
) -> None:
    """A wrong tier names those that can be drilled."""
    inputs = _inputs(tmp_path, "else")
    refused = _run("drill", f"{app}:triage", "--inputs", inputs, "--tier", tier)
    assert message in str(refused.exception)
    assert "['top', 'low', 'rules']" in str(refused.exception)


def test_exercises_of_another_process_prove_its_tiers(app: str, tmp_path: Path) -> None:
    """Live calls, exercises and the heartbeat meet in `status` and `doctor`."""
    code = (
        f"from {app} import triage\n"
        "from llmguard.guard import EXERCISER\n"
        "for _ in range(3): triage('else'); EXERCISER.join()\n"
    )
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=env, check=True, timeout=60)
    status = json.loads(_run("status", "--json").output)
    mine = [t for t in status["tiers"] if t["function"] == f"{app}.triage"]
    lines = {line["tier"]: line for line in mine}
    assert ["low", "rules", "top"] == sorted(lines)
    assert (3, "live") == (lines["top"]["clean"], lines["top"]["source"])
    low = lines["low"]
    assert (True, "exercise", 3, 0, {}) == (
        *(low["proven"], low["source"], low["clean"], low["answered"], low["failed"]),
    )
    assert (False, "", None) == (
        *(lines["rules"][name] for name in ("proven", "source", "bound")),
    )
    assert 3 == status["calls"][f"{app}.triage"]["calls"]
    assert f"unproven: `llmguard drill {app}:triage`" in _run("status").output
    # Fake pins are numbered per process: a fresh one numbers them alike.
    main = "import sys; from llmguard.cli import main; main()"
    command = [sys.executable, "-c", main, "doctor", app, "--json"]
    done = subprocess.run(
        command, env=env, check=True, timeout=60, capture_output=True, text=True
    )
    found = {row["what"]: row for row in json.loads(done.stdout)}
    assert "PROVEN by exercise" in found[f"{app}.triage fallback low"]["detail"]
    assert "UNPROVEN" in found[f"{app}.triage fallback rules"]["detail"]


def test_slow_and_unreachable_fallbacks_are_told(
    app: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is slower than its reserve is; a function of a function has no repair."""
    inputs = _inputs(tmp_path, "else")
    guard = load_guard(f"{app}:triage")

    def never(call: TierContext) -> bool:
        return not call.function

    tier = dataclasses.replace(guard.steps[1].options, when=never)
    monkeypatch.setattr(guard.steps[1], "options", tier)
    monkeypatch.setattr(guard.steps[2], "options", TierOptions(reserve=0.0))
    shown = _run("drill", f"{app}:triage", "--inputs", inputs)
    assert 1 == shown.exit_code
    assert "Below 90% valid, or never tried: low" in shown.output
    assert "1 skipped" in shown.output
    assert "than the 0 s that upper tiers always leave it" in shown.output


class _Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Return that it is one."""
        return True


def test_progress_is_shown_on_terminals_only() -> None:
    """One line per tier, written over until it is done."""
    assert progress_on(io.StringIO()) is None
    screen = _Terminal()
    show = progress_on(screen)
    assert show is not None
    show("low", 1, 2)
    show("low", 2, 2)
    assert "\rlow: 1/2  \rlow: 2/2  \n" == screen.getvalue()


def test_doctor_without_a_usable_store_calls_every_fallback_unproven(
    app: str, store_path: Path
) -> None:
    """The store's own finding says what is wrong with it; methods name no repair."""
    store_path.write_bytes(b"this is no database" * 100)
    assert {} == known_fitness()
    guard = load_guard(f"{app}:triage")
    (low, rules) = fit_checks(guard, {})
    assert ("warn", f"llmguard drill {app}:triage --tier low") == (low[0], low[3])
    assert "UNPROVEN" in rules[2]
    row = {"function": guard.name, "tier": "rules", "pin": "", "kind": "ok", "n": 9}
    (fit,) = fitness_of([{**row, "last_at": time.time()}], now=time.time())
    (_, rules) = fit_checks(guard, {(guard.name, "rules", ""): fit})
    said = "PROVEN by live 0s ago: 0 of 9 failed, failure rate <= 28.3%"
    assert ("ok", said, "") == (rules[0], *rules[2:])
