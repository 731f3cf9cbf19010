"""The verbs: what they print, what they do, how they exit."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from llmguard.cli import cli
from llmguard.cli._promotion import Moment, Weight
from llmguard.cli._wait import Span

Project = Any  # of conftest.py
Run = Callable[..., Result]
QUIET = "[tool.llmguard.gates]\nsuite = false\n"


@pytest.fixture
def run(project: Project, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command on the project's store, as ann."""
    monkeypatch.setenv("LLMGUARD_ACTOR", "ann@example.com")

    def call(*words: str, code: int = 0) -> Result:
        where = [] if words[0] == "check" else ["--store", str(project.folder / "s.db")]
        result = CliRunner().invoke(cli, [*words, *where])
        assert code == result.exit_code, result.output
        return result

    return call


def test_a_gate_that_blocks_exits_with_3(project: Project, run: Run) -> None:
    """The report names every gate, the owner and the command that would clear it."""
    out = run("promote", "triage", "--to", "canary", code=3).output
    assert "(owner: desk) may not become canary" in out
    assert f"-> llmguard suite run shop --candidate {project.new.id}" in out
    found = run("promote", "triage", "--json", code=3).stdout
    assert ["pass", "unknown", "pass"] == [
        g["state"] for g in json.loads(found)["gates"]
    ]


def test_the_whole_story(project: Project, run: Run) -> None:
    """Plan, block, force at 5 %, which, roll back, history, notes."""
    project.evidence(project.new, "BLOCK")
    new, old = project.new.id, project.old.id
    assert f"+ {new}" in run("plan", code=3).output
    run("promote", "triage", "--to", "canary", "--weight", "5%", code=3)
    out = run("promote", "triage", "--to", "canary", "--force", "benchmark").output
    assert f"{new} is the canary" in out
    assert "forced   suite" in out
    out = run("which", "triage").output
    assert f"declared  {old} (gpt-5.2-2025-12-07), 5% of the calls {new}" in out
    assert "gap       applied: no process" in out
    out = run("rollback", "triage", "--reason", "legal threats").output
    assert f"{new} is out" in out
    assert "owner desk" in out
    assert "3" == str(run("promote", new, "--force", "again", code=3).exit_code)
    out = run("history", "triage", "--verify").output
    assert "forced past suite: benchmark" in out
    assert "the chain holds: 4 entries" in out
    assert (
        f"| `triage` | gpt-5.2-2025-12-07 (openai, versioned) | `{old}`"
        in run("notes").output
    )
    out = run("quarantine", new, code=1).output
    assert "legal moves for it: `resume`" in out
    run("resume", new, code=1)
    assert "candidate again" in run("resume", new, "--reason", "wrong alarm").output


def test_rollback_needs_nothing_else(project: Project, run: Run) -> None:
    """A route, a pin, the beginning of one; without a lock too."""
    project.gates(QUIET)
    project.promote(project.new)
    (project.folder / "models.lock").unlink()
    from llmguard import pins

    pins.forget()
    out = run("rollback", "triage").output
    assert f"{project.old.id} serves again" in out
    assert "nothing changed" in run("rollback", project.new.id[:8]).output
    out = run("rollback", "nothing", code=1).output
    assert "(routes: triage)" in out
    out = run("rollback", "triage", "--env", "dev", code=1).output
    assert "in environment 'prod' it is one: `--env prod`" in out


def test_rollback_by_the_name_of_a_function(project: Project, run: Run) -> None:
    """Heartbeats say which route a function uses."""
    project.gates(QUIET)
    project.promote(project.new)
    tiers = [{"tier": "primary", "pin": project.new.id}]
    project.store.beat("host:1", {"functions": {"myapp.llm.classify": tiers}})
    assert f"{project.old.id} serves again" in run("rollback", "classify").output


@pytest.mark.parametrize("form", ["md", "json", "k8s", "env"])
def test_notes_in_every_format(project: Project, run: Run, form: str) -> None:
    """Each names the pin, and the proof that the record was not rewritten."""
    project.gates(QUIET)
    project.promote(project.new)
    out = run("notes", "--format", form).output
    head = project.store.ledger.verify().head
    assert project.new.id in out
    if form != "env":
        assert head in out
    if form == "json":
        assert project.old.id == json.loads(out)["routes"][0]["rollback_to"]
    if form == "k8s":
        import yaml

        found = yaml.safe_load(out)["metadata"]["annotations"]
        assert project.new.id == found["llmguard/triage.pin"]
    if form == "env":
        assert f"LLM_TRIAGE_PIN={project.new.id}" in out


def test_notes_of_an_unknown_route(run: Run) -> None:
    """The known ones are listed."""
    assert "(known: triage)" in run("notes", "nothing", code=1).output


def test_which_at_a_time(project: Project, run: Run) -> None:
    """What ran then, and what nobody can know."""
    project.gates(QUIET)
    project.promote(project.new)
    project.clock.advance(100.0)
    project.promote(project.old)
    at = int(project.clock.time() - 50)
    out = run("which", "triage", "--at", str(at)).output
    assert f"declared  {project.new.id}" in out
    assert "by ann@example.com" in out
    out = run("which", "triage", "--at", "2020-01-01", code=1).output
    assert "the ledger knows the route since 2026-09-21T" in out
    found = json.loads(run("which", "triage", "--json").stdout)
    assert (project.old.id, "ledger") == (found["pin"], found["source"])


def test_which_before_any_entry(project: Project, run: Run) -> None:
    """The lock decides, and it is said so."""
    out = run("which", "triage").output
    assert f"declared  {project.old.id}" in out
    assert "by models.lock; the ledger has no entry" in out


def test_history_of_nothing_and_tampering(project: Project, run: Run) -> None:
    """An empty history is said; a changed one is an error."""
    assert "the lock alone decides" in run("history", "triage").output
    project.promote(project.old)
    import sqlite3

    connection = sqlite3.connect(project.folder / "s.db")
    connection.execute("DROP TRIGGER ledger_never_changes")
    connection.execute("UPDATE ledger SET reason = 'nothing to see'")
    connection.commit()
    connection.close()
    out = run("history", "--verify", code=1).output
    assert "row 1 was changed after it was written" in out
    assert "tampered with" in run("plan", code=3).output


def test_promote_waits_and_names_who_lags(project: Project, run: Run) -> None:
    """Who does not go by the new revision is named, and the exit code is 1."""
    project.gates(QUIET)
    assert "nobody to wait for" in run("promote", "triage", "--wait", "0s").output
    from llmguard.store import SqliteStore

    clocked = SqliteStore(project.folder / "s.db")  # heartbeats by the real time
    clocked.beat("quick:1", {"routing": {"env": "prod", "rev": 99}})
    clocked.beat("slow:2", {"routing": {"env": "prod", "rev": 1}})
    clocked.beat("other:3", {"routing": {"env": "dev", "rev": 0}})
    clocked.close()
    out = run("promote", project.old.id, "--wait", "0s", code=1).output
    assert "1 of 2 processes do not go by" in out
    assert "slow:2 (at r1)" in out
    out = run("rollback", "triage", "--wait", "0s", code=1).output
    assert "slow:2" in out


def test_several_pins_could_be_meant(project: Project, run: Run) -> None:
    """They are listed with models and owners; what the lock names active wins."""
    project.gates(QUIET)
    project.allow(project.third)
    out = run("promote", "triage", code=1).output
    assert f"{project.third.id}  gpt-5.2-2025-12-09  new  desk" in out
    project.promote(project.old)
    project.allow(project.third, activate=True)
    assert f"{project.third.id} is active" in run("promote", "triage").output
    run("promote", project.new.id)
    assert "no pin waits there" in run("promote", "triage", code=1).output


def test_a_lost_race_in_the_words_of_the_command(
    project: Project, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who was faster, with what, and where to look."""
    from llmguard.store import Action, NewEntry, open_store

    project.gates(QUIET)
    project.promote(project.old)
    store = open_store(project.folder / "s.db")
    real = store.ledger.append

    def late(entry: Any) -> Any:
        bob = {"env": "prod", "route": "triage", "actor": "bob", "base_rev": 1}
        real(NewEntry(pin=project.new.id, action=Action.QUARANTINE, **bob))
        return real(entry)

    with monkeypatch.context() as patched:
        patched.setattr(store.ledger, "append", late)
        out = run("promote", "triage", code=1).output
    assert f"{project.new.id} is quarantined (was new), by bob" in out
    assert "Look at `llmguard history triage`" in out
    assert (
        "the decision rests on 1"
        in run("promote", project.old.id, "--base-rev", "1", code=1).output
    )
    run("promote", project.new.id, code=3)


@pytest.mark.usefixtures("ssh_keygen")
def test_asking_and_approving(project: Project, run: Run) -> None:
    """A request goes out as a file; the approval comes back as one."""
    project.gates(QUIET + "[tool.llmguard.gates.active]\napprovals = { need = 1 }\n")
    key = project.person("bob")
    out = run("promote", "triage", code=3).output
    assert f"-> llmguard approve {project.new.id} --to active" in out
    assert (
        "llmguard approve ask.json"
        in run("promote", "triage", "--request", "ask.json").output
    )
    assert "desk" == json.loads((project.folder / "ask.json").read_text())["owner"]
    done = run("approve", "ask.json", "--no-store", "--key", str(key), "--json")
    assert "bob@example.com" == json.loads(done.stdout)["approver"]
    out = run("approve", "triage", "--key", str(key)).output
    assert "bob@example.com approves" in out
    assert "owner desk" in out
    run("approve", "triage", "--no-store", code=2)
    assert f"{project.new.id} is active" in run("promote", "triage").output
    assert "approved by bob@example.com" in run("history", "triage").output
    assert "approved by bob@example.com" in run("notes", "triage").output


@pytest.mark.parametrize(
    ("text", "points"), [("5%", 500), ("0.05", 500), ("500bp", 500), ("100%", 10_000)]
)
def test_shares(text: str, points: int) -> None:
    """Three ways to write one."""
    assert points == Weight().convert(text, None, None)


@pytest.mark.parametrize("text", ["5", "101%", "x", "0.001%", "-1%"])
def test_shares_that_are_none(run: Run, text: str) -> None:
    """Five could be 5 % or five times everything."""
    run("promote", "triage", "--to", "canary", "--weight", text, code=2)


def test_moments(run: Run) -> None:
    """ISO with and without a zone, epoch, and spans."""
    read = Moment().convert
    assert 1_767_225_600.0 == read("2026-01-01", None, None)
    assert read("2026-01-01T01:00+01:00", None, None) == read("1767225600", None, None)
    assert 7_200 == pytest.approx(
        read("0s", None, None) - read("2h ago", None, None), abs=5
    )
    run("which", "triage", "--at", "yesterday", code=2)
    assert 120.0 == Span().convert("2m", None, None)
    run("promote", "triage", "--wait", "soon", code=2)


def test_which_tells_what_processes_applied_and_providers_served(
    project: Project, run: Run
) -> None:
    """Then as now: who went by which revision, what was echoed, what is not known."""
    from llmguard.store.traffic import AppliedRow, ServedRow

    project.gates(QUIET)
    project.promote(project.new)
    at = project.clock.time()
    late = {"process": "b:2", "env": "prod", "at": at - 9, "last_at": at + 60}
    good = late | {"process": "a:1", "at": at}
    project.store.traffic.add_applied(
        [AppliedRow(**good, rev=3), AppliedRow(**late, rev=1, stale=True)]
    )
    served = {"env": "prod", "route": "triage", "fingerprint": "", "last_at": at + 1}
    project.store.traffic.add_served(
        [
            ServedRow(process=p, pin=pin, model=m, verdict=v, n=n, **served)
            for p, pin, m, v, n in [
                ("a:1", project.new.id, "gpt-5.2-2025-12-08", "match", 7),
                ("b:2", project.new.id, "gpt-5.2-2025-12-08", "match", 2),
                ("b:2", project.old.id, "gpt-4o", "mismatch", 1),
                ("a:1", project.new.id, "", "unavailable", 1),
            ]
        ]
    )
    out = run("which", "triage", "--at", str(at + 2)).output
    assert "applied   r3    a:1" in out
    assert f"served    {project.new.id}  9 answers, echo gpt-5.2-2025-12-08" in out
    assert "gap       applied: b:2 could not reach the store" in out
    assert f"gap       served: 1 answers of {project.old.id} came from 'gpt-4o'" in out
    assert "1 answers of" in out
    assert f"{project.old.id} answered, which was not declared" in out
    project.clock.advance(900.0)
    out = run("which", "triage", "--at", str(at + 800)).output
    assert "no process of this environment told of itself then" in out
    assert "no answer of this route was recorded" in out


def test_status_shows_versions_and_ends(project: Project, run: Run) -> None:
    """What serves, whose it is, what moved last; a model that ends is to do."""
    from dataclasses import replace
    from datetime import UTC, datetime, timedelta

    assert "by models.lock" in run("status").output
    project.gates(QUIET)
    project.promote(project.new)
    project.store.close()
    run("rollback", "triage")
    out = run("status").output
    assert "ago by ann@example.com: rolled back to" in out
    assert f"quarantined: {project.new.id}" in out
    assert f"{project.old.id} gpt-5.2-2025-12-07  desk" in out
    end = (datetime.now(UTC) + timedelta(days=5)).date().isoformat()
    project.allow(replace(project.new, lifecycle={"shutdown": end}))
    found = json.loads(run("status", "--json", code=1).stdout)
    assert any(f"shuts down on {end}" in line for line in found["todo"])
    assert [project.new.id] == found["versions"][0]["quarantined"]


def test_the_doctor_looks_at_gates(project: Project) -> None:
    """A misspelt key, and approvals that nobody can give."""

    def doctor() -> str:
        return CliRunner().invoke(cli, ["doctor"]).output

    assert "as shipped, of 'prod'" in doctor()
    project.gates("[tool.llmguard.gates.active]\napprovals = { need = 2 }")
    assert "no file of allowed signers at 'allowed_signers'" in doctor()
    project.gates("[tool.llmguard.gates.active]\naprovals = true")
    assert "did you mean `approvals`" in doctor()


def test_the_end_of_a_model_is_a_metric(project: Project, run: Run) -> None:
    """Days that are left, per pin of the lock whose end is announced."""
    from dataclasses import replace
    from datetime import UTC, datetime, timedelta

    end = (datetime.now(UTC) + timedelta(days=40)).date().isoformat()
    project.allow(replace(project.new, lifecycle={"shutdown": end}))
    out = run("metrics").output
    (line,) = [one for one in out.splitlines() if one.startswith("llmguard_pin_shut")]
    assert f'pin="{project.new.id}"' in line
    assert line.endswith((" 40", " 40.0"))
