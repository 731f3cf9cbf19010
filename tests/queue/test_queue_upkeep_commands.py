"""`llmguard queue`: tickets among people, upkeep, and what answers teach."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from llmguard.clock import SYSTEM_CLOCK
from llmguard.store import NewTicket, SqliteStore, TicketState
from llmguard.suite._cases import read_cases
from llmguard_fallbacks.cli_queue import queue

Run = Callable[..., Result]
RIGHT = {"category": "billing"}


@pytest.fixture
def run(file_store: SqliteStore) -> Run:
    """Run a command as ann unless told otherwise."""

    def call(*args: str, code: int = 0, given: str = "") -> Result:
        result = CliRunner(env={"USER": "ann"}).invoke(
            queue, ["--store", file_store.url, *args], input=given
        )
        assert code == result.exit_code, result.output
        return result

    return call


@pytest.fixture
def ask(file_store: SqliteStore) -> Callable[..., str]:
    numbers = iter(range(1, 1000))

    def make(**fields: Any) -> str:
        number = next(numbers)
        given: dict[str, Any] = {
            "id": f"t{number:03}",
            "queue": "q",
            "key": f"k{number}",
            "fingerprint": f"f{number}",
            "inputs": {"text": f"text {number}"},
            "function": "app.f",
        }
        return file_store.tickets.enqueue(NewTicket(**{**given, **fields})).ticket.id

    return make


Ask = Callable[..., str]


def test_among_people(run: Run, ask: Ask, file_store: SqliteStore) -> None:
    """Kept for somebody, stolen, renewed, passed over."""
    ticket = ask()
    assert "kept for bob" in run("assign", ticket, "--to", "bob").output
    refused = run("claim", ticket, "--reviewer", "ann", code=1).output
    assert f"llmguard queue steal {ticket} --reason WHY" in refused
    assert ticket in run("list", "--assignee", "bob").output
    assert "kept for  bob" in run("show", ticket).output
    stolen = run(
        "steal", ticket, "--reason", "urgent", "--reviewer", "ann", "--json"
    ).output
    token = json.loads(stolen)["lease_token"]
    assert (
        "yours for 1h"
        in run("renew", ticket, "--token", token, "--lease", "3600").output
    )
    run("skip", ticket, "--token", token, "--reason", "no idea", "--reviewer", "ann")
    events = [one.event for one in file_store.tickets.events(ticket)]
    assert events == ["enqueued", "assigned", "stolen", "skipped"]
    assert (
        "nothing is dead" not in run("revive", ticket, "--reason", "x", code=1).output
    )


def test_independent_answers(run: Run, ask: Ask) -> None:
    ticket = ask(reviewers=2)
    run("answer", ticket, "--value", '{"a": 1}', "--reviewer", "ann")
    assert "1 of 2 independent answers" in run("show", ticket).output
    done = run("answer", ticket, "--value", '{"a": 1}', "--reviewer", "bob").output
    assert "answered by bob" in done


def test_purging_asks_first(run: Run, ask: Ask, file_store: SqliteStore) -> None:
    ticket = ask()
    file_store.tickets.answer(ticket, RIGHT, reviewer="ann")
    assert "Aborted" in run("purge", "--older-than", "0s", given="n\n", code=1).output
    run("purge", "--older-than", "soon", "--yes", code=2)
    assert "0 tickets purged" in run("purge", "--older-than", "1d", "--yes").output
    done = run("purge", "--older-than", "0s", "--yes", "--json").output
    assert json.loads(done) == {"purged": 1}
    assert file_store.tickets.get(ticket).purged_at is not None


def test_callbacks_are_shown_and_need_a_secret(
    run: Run, ask: Ask, file_store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LLMGUARD_CALLBACK_SECRET", raising=False)
    assert "no callbacks wait" in run("callbacks").output
    ticket = ask(callback="https://example.org/hook")
    file_store.tickets.cancel(ticket, actor="app", reason="x")
    assert "https://example.org/hook  not tried yet" in run("callbacks").output
    assert "lease_token" not in run("callbacks", "--json").output
    assert "LLMGUARD_CALLBACK_SECRET" in run("callbacks", "--send", code=2).output
    assert "CALLBACKS DUE" in run("stats").output


def test_watching_what_happened(run: Run, ask: Ask, file_store: SqliteStore) -> None:
    """From an event on, only one queue, as lines or as JSON."""
    ask(queue="other")
    ticket = ask()
    file_store.tickets.cancel(ticket, actor="app", reason="x")
    shown = run("watch", "--after", "0", "--queue", "q", "--count", "2").output
    assert [line.split()[3] for line in shown.splitlines()] == [ticket, ticket]
    first = run("watch", "--after", "0", "--count", "1", "--json").output
    assert json.loads(first)["event"] == "enqueued"


def _reviewed(ask: Ask, store: SqliteStore, said: object, confidence: float) -> str:
    output = {
        "tier": "m",
        "pin": "p-1",
        "kind": "low_confidence",
        "confidence": confidence,
        "value": said,
    }
    ticket = ask(outputs=(output,))
    store.tickets.answer(ticket, RIGHT, reviewer="bob")
    return ticket


def test_cases_become_a_file(
    run: Run, ask: Ask, file_store: SqliteStore, tmp_path: Path
) -> None:
    """Accepted ones once, in the suite's own format; dismissed ones never."""
    wrong = {"category": "shipping"}
    kept, gone = (_reviewed(ask, file_store, wrong, 0.4) for _ in range(2))
    hidden = ask(redacted=True)
    file_store.tickets.answer(hidden, RIGHT, reviewer="bob")
    assert kept in run("cases", "list").output
    run("cases", "accept", kept, "--note", "typical")
    run("cases", "dismiss", gone)
    assert "redacted" in run("cases", "accept", hidden).output
    path = tmp_path / "cases.jsonl"
    path.write_text('{"id": "old", "inputs": {"text": "x"}}')
    shown = run("cases", "export", str(path)).output
    assert "1 case added" in shown
    assert f"accept {hidden} --inputs FILE" in shown
    assert "0 cases added" in run("cases", "export", str(path)).output
    invented = tmp_path / "inputs.json"
    invented.write_text('{"text": "invented"}')
    run("cases", "accept", hidden, "--inputs", str(invented))
    run("cases", "export", str(path), "--json")
    cases = read_cases(path)
    assert [one.id for one in cases] == ["old", f"ticket-{kept}", f"ticket-{hidden}"]
    assert cases[1].expected == RIGHT
    assert cases[2].inputs == {"text": "invented"}
    assert "no proposed cases" in run("cases", "list").output
    run("cases", "export", str(tmp_path / "cases.csv"), code=2)


def test_calibrating(run: Run, ask: Ask, file_store: SqliteStore) -> None:
    """Nothing known, too little known, and then a cut-off."""
    assert "--function" in run("calibrate", code=2).output
    for number in range(40):
        sure = 0.5004 + number / 100
        said = RIGHT if sure > 0.6 else {"category": "shipping"}
        _reviewed(ask, file_store, said, sure)
    shown = run("calibrate", "--target", "0.05", code=1).output
    assert "cannot tell: 40 reviewed answers have a confidence; 59" in shown
    shown = run("calibrate", "--target", "0.2", "--function", "app.f").output
    assert "<- holds" in shown
    (told,) = re.findall(r"set `min_confidence=([\d.]+)`", shown)
    assert "nobody reviewed answers outside 0.500 to 0.890" in shown
    found = json.loads(run("calibrate", "--target", "0.2", "--json").output)
    assert found["cutoff"]["bound"] <= 0.2
    # Rounded up: a little below it nothing was measured.
    assert found["cutoff"]["confidence"] <= float(told)


def test_watching_sees_time_pass(run: Run, ask: Ask, file_store: SqliteStore) -> None:
    """A ticket expires while nobody else does anything."""
    ticket = ask(expires_at=SYSTEM_CLOCK.time() + 1.5)
    shown = run("watch", "--after", "0", "--count", "2").output
    assert "expired" == shown.splitlines()[1].split()[4]
    assert TicketState.EXPIRED is file_store.tickets.get(ticket).state
