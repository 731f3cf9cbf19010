"""What a gate lets through, what it refuses, and in which words."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from llmguard.errors import ConfigError, LockError
from llmguard.promotion import (
    GatesNotPassedError,
    PromotionError,
    QuarantinedError,
    rules_for,
)
from llmguard.store import Action, LedgerConflictError, LedgerMoveError, Stage

DAY = 86_400.0
Project = Any  # of conftest.py
Told = Callable[[pytest.ExceptionInfo[Any], str], str]


def test_the_first_promotion_adopts_what_the_lock_made_active(
    project: Project,
) -> None:
    """OLD is written down as serving, then NEW takes over."""
    digest = project.evidence(project.new)
    moved = project.promote(project.new)
    rows = [(e.pin, e.action, e.reason) for e in moved.entries]
    assert rows == [
        (project.old.id, Action.PROMOTE, "adopted from models.lock"),
        (project.new.id, Action.CANDIDATE, ""),
        (project.new.id, Action.PROMOTE, ""),
    ]
    assert project.new.id == moved.serves == project.state().active
    assert (digest,) == moved.entries[-1].evidence
    assert project.lock.digest == moved.entries[-1].lock_digest
    assert ["promotion.promoted"] == project.kinds()


def test_adopting_asks_no_gate(project: Project) -> None:
    """What serves already may be written down without evidence."""
    moved = project.promote(project.old)
    assert [project.old.id] == [e.pin for e in moved.entries]
    assert not project.promote(project.old).changed


def test_missing_evidence_is_unknown_and_names_the_command(
    project: Project, refuses: Told
) -> None:
    """Nothing known blocks, and the command that would tell is printed."""
    with pytest.raises(GatesNotPassedError) as caught:
        project.promote(project.new, "canary")
    told = refuses(caught, "suite")
    assert told.startswith("unknown: suite `shop` has said nothing")
    assert f"llmguard suite run shop --candidate {project.new.id}" in told
    assert "owner: desk" in str(caught.value)
    assert 0 == project.store.ledger.ledger_rev()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"verdict": "BLOCK"}, "fail: suite `shop` says BLOCK"),
        ({"verdict": "UNDECIDED"}, "unknown: suite `shop` says UNDECIDED"),
        ({"at": -31 * DAY}, "unknown: stale evidence"),
        ({"suite_digest": "sha256:1"}, "unknown: foreign evidence"),
        ({"incumbent_pin": "p-x", "incumbent_digest": "0"}, "unknown: foreign"),
    ],
)
def test_evidence_that_does_not_count(
    project: Project, refuses: Told, fields: dict[str, Any], words: str
) -> None:
    """Each way has a message of its own."""
    if "at" in fields:
        fields = fields | {"at": project.clock.time() + fields["at"]}
    project.evidence(project.new, **fields)
    with pytest.raises(GatesNotPassedError) as caught:
        project.promote(project.new)
    assert words in refuses(caught, "suite")


def test_evidence_of_another_pin_does_not_count(
    project: Project, refuses: Told
) -> None:
    """A PROMOTE for OLD says nothing about project.new."""
    project.evidence(project.old)
    with pytest.raises(GatesNotPassedError) as caught:
        project.promote(project.new)
    assert "has said nothing about" in refuses(caught, "suite")


def test_tampered_evidence_has_its_own_words(project: Project, refuses: Told) -> None:
    """A BLOCK that somebody turned into PROMOTE is told as tampering."""
    project.evidence(project.new, "BLOCK")
    project.store.close()
    connection = sqlite3.connect(project.folder / "s.db")
    connection.execute(
        "UPDATE evidence SET verdict = 'PROMOTE', "
        "body = replace(body, 'BLOCK', 'PROMOTE')"
    )
    connection.commit()
    connection.close()
    project.store = type(project.store)(project.folder / "s.db", clock=project.clock)
    with pytest.raises(GatesNotPassedError) as caught:
        project.promote(project.new)
    assert "unknown: tampered evidence" in refuses(caught, "suite")


def test_a_repeated_draw_is_no_proof(project: Project, refuses: Told) -> None:
    """PROMOTE after BLOCK fails, unless the gate tolerates one."""
    project.evidence(project.new, "BLOCK", at=project.clock.time() - 60)
    project.evidence(project.new, "PROMOTE")
    with pytest.raises(GatesNotPassedError) as caught:
        project.promote(project.new)
    assert "repeated draw" in refuses(caught, "suite")
    project.gates("[tool.llmguard.gates]\nsuite = { after_blocks = 1 }")
    assert project.promote(project.new).changed


def test_a_new_owner_voids_no_evidence(project: Project) -> None:
    """Evidence is about what behaves, not about who decides."""
    project.evidence(project.new)
    project.allow(replace(project.new, owner="somebody else"))
    assert project.promote(project.new).changed


def test_without_a_suite_it_is_unknown(project: Project, refuses: Told) -> None:
    """A route that nobody tests is not waved through."""
    project.gates("")
    (project.folder / "pyproject.toml").write_text("[tool.llmguard]\n")
    from llmguard import config

    config.reset()
    with pytest.raises(GatesNotPassedError) as caught:
        project.promote(project.new)
    told = refuses(caught, "suite")
    assert "unknown: no suite is declared" in told
    assert "[tool.llmguard.gates.active] suite = false" in told
    project.gates("[tool.llmguard.gates]\nsuite = false")
    assert project.promote(project.new).changed


def test_a_tampered_row_of_the_ledger(project: Project, refuses: Told) -> None:
    """Nothing is promoted on a history that was changed."""
    project.promote(project.old)
    project.store.close()
    connection = sqlite3.connect(project.folder / "s.db")
    connection.execute("DROP TRIGGER ledger_never_changes")
    connection.execute("UPDATE ledger SET actor = 'nobody'")
    connection.commit()
    connection.close()
    project.store = type(project.store)(project.folder / "s.db", clock=project.clock)
    project.evidence(project.new)
    with pytest.raises(GatesNotPassedError) as caught:
        project.promote(project.new)
    told = refuses(caught, "ledger")
    assert "fail: the ledger was tampered with: row 1 was changed" in told


def test_a_tampered_lock(project: Project) -> None:
    """An edit by hand is refused with its line before any gate is asked."""
    path = project.folder / "models.lock"
    path.write_text(
        path.read_text().replace("gpt-5.2-2025-12-08", "gpt-5.2-2025-12-99")
    )
    from llmguard import pins

    pins.forget()
    with pytest.raises(LockError, match="does not match its hash"):
        project.promote(project.new)


def test_a_model_that_ends_soon(project: Project, refuses: Told) -> None:
    """Within the horizon it fails; a longer life passes."""
    soon = replace(project.new, lifecycle={"shutdown": "2026-10-01"})
    project.allow(soon)
    project.evidence(project.new)
    with pytest.raises(GatesNotPassedError) as caught:
        project.promote(project.new)
    assert "shuts down on 2026-10-01" in refuses(caught, "horizon")
    project.gates("[tool.llmguard.gates]\nhorizon = 1")
    assert project.promote(project.new).changed


def test_force_goes_past_what_the_gate_allows(project: Project) -> None:
    """Canaries may be forced, and the ledger says past what and why."""
    project.evidence(project.new, "BLOCK")
    moved = project.promote(project.new, "canary", force="the tail is a known bug")
    last = moved.entries[-1]
    assert "forced past suite: the tail is a known bug" == last.reason
    assert (project.new.id, 500) == project.state().canary
    forced = [gate.gate for gate in moved.gates if gate.forced]
    assert ["suite"] == forced


def test_force_is_refused_where_it_is_not_allowed(project: Project) -> None:
    """No force into active by default."""
    project.evidence(project.new, "BLOCK")
    with pytest.raises(GatesNotPassedError, match="may go past these here: none"):
        project.promote(project.new, force="hurry")
    project.gates('[tool.llmguard.gates.active]\nforce = ["suite"]')
    assert project.promote(project.new, force="hurry").changed


def test_a_quarantined_pin_cannot_be_forced(project: Project) -> None:
    """Neither evidence nor force brings it back; the message says what does."""
    project.evidence(project.new)
    project.promote(project.new)
    from llmguard.promotion import resume, rollback

    rollback(store=project.store, route="triage", env="prod", actor="ann")
    with pytest.raises(QuarantinedError, match="llmguard resume"):
        project.promote(project.new, "canary", force="please")
    with pytest.raises(PromotionError, match="--reason"):
        resume(
            store=project.store,
            route="triage",
            pin=project.new.id,
            env="prod",
            actor="ann",
            reason=" ",
        )
    resume(
        store=project.store,
        route="triage",
        pin=project.new.id,
        env="prod",
        actor="ann",
        reason="a bad deploy, not the model",
    )
    assert Stage.CANDIDATE is project.state().stages[project.new.id]


def test_pins_the_lock_does_not_allow(project: Project) -> None:
    """The lock decides what may run at all."""
    with pytest.raises(PromotionError, match="does not allow pin"):
        project.promote(project.third)


def test_compare_and_set(project: Project) -> None:
    """A decision that rests on an older revision is refused."""
    project.evidence(project.new)
    project.promote(project.old)
    with pytest.raises(LedgerConflictError):
        project.promote(project.new, base_rev=0)
    assert project.promote(project.new, base_rev=1).changed


def test_one_canary_at_a_time(project: Project) -> None:
    """A second canary is an illegal move."""
    project.allow(project.third)
    project.evidence(project.new)
    project.evidence(project.third)
    project.promote(project.new, "canary")
    assert not project.promote(project.new, "canary").changed
    assert project.promote(project.new, "canary", weight=1000).changed
    with pytest.raises(LedgerMoveError, match="one at a time"):
        project.promote(project.third, "canary")


@pytest.mark.parametrize("actor", ["llmguard", " "])
def test_only_people_promote(project: Project, actor: str) -> None:
    """The library's own name promotes nothing."""
    project.evidence(project.new)
    with pytest.raises(ConfigError, match="no person"):
        project.promote(project.new, actor=actor)


CUSTOM = """
from llmguard.promotion import failed, passed

def yes(request):
    return passed("yes", f"{request.pin.id} looks fine")

def no(request):
    return failed("no", "the budget is spent", "ask finance")

def crash(request):
    raise ZeroDivisionError("oops")

def nothing(request):
    return True
"""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no", "fail: the budget is spent -> ask finance"),
        ("crash", "unknown: it crashed before its verdict: ZeroDivisionError: oops"),
        ("nothing", "unknown: it returned True, which is no verdict"),
    ],
)
def test_gates_of_your_own(
    project: Project, refuses: Told, name: str, words: str
) -> None:
    """A verdict is obeyed; a crash or anything else is unknown, never a pass."""
    file = f"{project.module}_gates.py"
    (project.folder / file).write_text(CUSTOM)
    project.evidence(project.new)
    project.gates(f'[tool.llmguard.gates.active]\ncustom = ["{file}:{name}"]')
    with pytest.raises(GatesNotPassedError) as caught:
        project.promote(project.new)
    assert words in refuses(caught, f"custom:{file}:{name}")
    project.gates(f'[tool.llmguard.gates.active]\ncustom = ["{file}:yes"]')
    assert project.promote(project.new).changed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[tool.llmguard.gates]\nsuit = true", "did you mean `suite`"),
        ("[tool.llmguard.gates.activ]\nsuite = true", "did you mean `active`"),
        ("[tool.llmguard.gates.active]\nsuite = 3", "must be a table"),
        ("[tool.llmguard.gates.active]\nsuite = {dayz = 3}", "did you mean `days`"),
        ("[tool.llmguard.gates.active]\nhorizon = -1", "0 or more"),
        ("[tool.llmguard.gates.active]\nforce = ['all']", "unknown key `all`"),
        ("[tool.llmguard.gates.active]\nfallback = 1", "true or false"),
        ("[tool.llmguard.gates.env]\nprod = 1", "must be a table"),
        ("[tool.llmguard.gates.active]\napprovals = {need = 1.5}", "a number"),
        ("[tool.llmguard.gates.active]\napprovals = {folder = 1}", "must be text"),
        ("[tool.llmguard.gates.active]\nsuite = {days = nan}", "0 or more"),
        ("[tool.llmguard.gates.active]\ncanary = {max_worse = 2}", "a share"),
        ("[tool.llmguard.gates.active]\nshadow = {max_net = 5.0}", "a share"),
        ("[tool.llmguard.gates.active]\ncanary = {confidence = 99}", "between 0 and 1"),
        ("[tool.llmguard.gates.active]\ncanary = {confidence = 0}", "between 0 and 1"),
    ],
)
def test_wrong_settings(project: Project, text: str, words: str) -> None:
    """A typing error is an error, not a gate that is off."""
    project.gates(text)
    with pytest.raises(ConfigError, match=words):
        rules_for("prod", "triage", "active")


def test_tables_lie_over_each_other(project: Project) -> None:
    """The more special table wins, key by key."""
    project.gates(
        "[tool.llmguard.gates]\nhorizon = 1\n"
        "[tool.llmguard.gates.active]\nhorizon = 2\nfallback = true\n"
        "[tool.llmguard.gates.env.prod]\nhorizon = 3\n"
        "[tool.llmguard.gates.env.prod.active]\nhorizon = 4\n"
        "[tool.llmguard.gates.route.triage.active]\nhorizon = 5\n"
        "[tool.llmguard.gates.env.prod.route.triage.active]\nhorizon = 6\n"
    )
    found = [
        rules_for(env, route, stage).horizon
        for env, route, stage in [
            ("dev", "other", "canary"),
            ("dev", "other", "active"),
            ("prod", "other", "canary"),
            ("prod", "other", "active"),
            ("dev", "triage", "active"),
            ("prod", "triage", "active"),
        ]
    ]
    assert [1, 2, 3, 4, 5, 6] == found
    assert rules_for("prod", "triage", "active").fallback
