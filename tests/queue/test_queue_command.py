"""`llmguard queue`, as somebody types it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from llmguard.errors import Deferred
from llmguard.guard.tiers import TierContext
from llmguard.store import SqliteStore
from llmguard_fallbacks import human
from llmguard_fallbacks.cli_queue import queue

Run = Callable[..., Result]


@pytest.fixture
def run(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("LOGNAME", "ann")

    def command(*arguments: str, **options: object) -> Result:
        line = ["--store", store.url, *arguments]
        return CliRunner().invoke(queue, line, **options)  # type: ignore[arg-type]  # click's own keywords

    return command


@pytest.fixture
def ask(store: SqliteStore, call: Callable[..., TierContext]) -> Callable[..., str]:
    """Make a ticket and return its id."""

    def make(text: str = "I was charged twice", **options: object) -> str:
        tier = human("triage", store=store, **options)  # type: ignore[arg-type]  # free keywords
        with pytest.raises(Deferred) as caught:
            tier.run(call(text, inputs={"ticket": text}))
        return caught.value.ticket_id

    return make


Ask = Callable[..., str]


def test_list(run: Run, ask: Ask, store: SqliteStore) -> None:
    """One aligned line per waiting ticket; closed ones on demand."""
    first, second = ask(), ask("where is my parcel\n\x1b[31mred", sla=3600, priority=1)
    store.tickets.claim(reviewer="bob", ticket_id=first)
    lines = run("list").output.splitlines()
    assert lines[0].split() == [
        "ID",
        "STATE",
        "PRI",
        "DUE",
        "AGE",
        "QUEUE",
        "WITH",
        "WHY",
        "WHAT",
    ]
    assert lines[1].startswith(f"{second}  open     1    in 1h")
    why = "remote: timeout, rules: schema"
    assert lines[1].endswith(f"{why}  where is my parcel \\x1b[31mred")
    assert lines[2].startswith(f"{first}  claimed  0    -")
    assert "bob" in lines[2]
    store.tickets.cancel(second, actor="app", reason="test")
    assert [one["id"] for one in json.loads(run("list", "--json").output)] == [first]
    assert len(json.loads(run("list", "--all", "--json").output)) == 2
    found = run("list", "--state", "cancelled", "--json").output
    assert [one["id"] for one in json.loads(found)] == [second]
    assert run("list", "--queue", "other").output == "no tickets in queue 'other'\n"


def test_no_store_yet(tmp_path: Path) -> None:
    """Looking makes no store, and says what would."""
    done = CliRunner().invoke(queue, ["--store", str(tmp_path / "x.db"), "list"])
    assert done.exit_code == 1
    assert "the first guarded call or ticket makes it" in done.output
    assert list(tmp_path.iterdir()) == []


def test_show(run: Run, ask: Ask, store: SqliteStore) -> None:
    """A part of the id is enough; everything a reviewer needs is there."""
    ticket_id = ask(
        sla=600, expires=9000, instructions="Read it.", role="lead", title="T"
    )
    output = run("show", ticket_id[-6:]).output
    for wanted in (
        f"ticket    {ticket_id}",
        "role lead",
        "due       ",
        "expires   ",
        "1. remote on p-1: timeout, no answer in 1 s",
        "     /category: is 'refund'",
        "  Read it.",
        "  ticket: I was charged twice",
        '  category  "billing" | "shipping"',
        "  order_id  string or null",
        "enqueued by app.triage",
        f"llmguard queue claim {ticket_id}",
    ):
        assert wanted in output, wanted
    shown = json.loads(run("show", ticket_id, "--json").output)
    assert shown["inputs"] == {"ticket": "I was charged twice"}
    assert [one["event"] for one in shown["events"]] == ["enqueued"]
    assert "lease_token" not in shown


def test_show_unknown_and_unclear(run: Run, ask: Ask) -> None:
    """A wrong or short id is refused with what to do."""
    one, two = ask("a"), ask("b")
    assert one[:5] == two[:5]
    unclear = run("show", one[:5])
    assert (unclear.exit_code, "fits several tickets" in unclear.output) == (1, True)
    for part in ("zzzzzz", "zz"):
        unknown = run("show", part)
        assert (unknown.exit_code, "no ticket" in unknown.output) == (1, True)


def test_claim_then_answer(run: Run, ask: Ask, store: SqliteStore) -> None:
    """`claim` prints the command that answers, and it works."""
    ticket_id = ask()
    done = run("claim")
    token = store.tickets.get(ticket_id).lease_token
    assert "held by   ann until" in done.output
    answer = (
        f"llmguard queue answer {ticket_id} --token {token} "
        "--field category=billing --field order_id=..."
    )
    assert answer in done.output
    given = answer.split()[2:-1]
    assert run(*given, "order_id=17").output == f"answered by ann: {ticket_id}\n"
    record = store.tickets.get(ticket_id)
    assert record.answer == {"category": "billing", "order_id": "17"}
    assert run("claim").exit_code == 1
    assert "nothing is open" in run("claim", "--queue", "triage").output
    shown = run("show", ticket_id).output
    assert "Answer\n  category: billing" in shown
    assert "Next" not in shown
    assert "closed    " in shown


def test_holder_sees_the_token_again(run: Run, ask: Ask) -> None:
    """Whoever claimed finds the token in `show`; others do not."""
    ticket_id = ask()
    token = json.loads(run("claim", ticket_id[-6:], "--json").output)["lease_token"]
    assert f"--token {token}" in run("show", ticket_id).output
    assert token not in run("show", ticket_id, "--reviewer", "bob").output


def test_answer_by_json(run: Run, ask: Ask, store: SqliteStore, tmp_path: Path) -> None:
    """`--value`, a file and standard input are three ways to give the whole answer."""
    answer = {"category": "shipping", "order_id": None}
    file = tmp_path / "answer.json"
    file.write_text(json.dumps(answer))
    ids = [ask("a"), ask("b"), ask("c")]
    run("answer", ids[0], "--value", json.dumps(answer))
    run("answer", ids[1], "--json-file", str(file))
    run("answer", ids[2], "--json-file", "-", input=json.dumps(answer))
    assert [store.tickets.get(one).answer for one in ids] == [answer] * 3


def test_wrong_answer_names_the_fields(run: Run, ask: Ask) -> None:
    """A refused answer says per field what is wrong, and exits 1."""
    done = run("answer", ask(), "--field", "category=refund")
    assert done.exit_code == 1
    assert '/category: is "refund", but must be one of "billing"' in done.output
    assert "'order_id' is a required property" in done.output


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--value", "1", "--field", "a=1"],
        ["--field", "category"],
        ["--field", "category=billing", "--field", "category.x=1"],
        ["--json-file", "/nonexistent"],
    ],
)
def test_usage_errors(run: Run, ask: Ask, arguments: list[str]) -> None:
    """What cannot be meant is a usage error, exit 2."""
    assert run("answer", ask(), *arguments).exit_code == 2


def test_held_by_somebody_else(run: Run, ask: Ask, store: SqliteStore) -> None:
    """A colleague's ticket is refused, then taken over for a reason."""
    ticket_id = ask()
    store.tickets.claim(reviewer="bob")
    given = ["answer", ticket_id, "--value", '{"category":"billing","order_id":null}']
    refused = run(*given)
    assert (refused.exit_code, "claimed by 'bob'" in refused.output) == (1, True)
    assert run("release", ticket_id).exit_code == 1
    freed = run("release", ticket_id, "--reason", "bob is away")
    assert freed.output == f"open: {ticket_id}\n"
    assert json.loads(run(*given, "--json").output)["state"] == "answered"


def test_reject(run: Run, ask: Ask, store: SqliteStore) -> None:
    """A rejection needs a reason."""
    ticket_id = ask()
    assert run("reject", ticket_id).exit_code == 2
    done = run("reject", ticket_id, "--reason", "unreadable")
    assert done.output == f"rejected by ann: {ticket_id}\n"
    assert "state     rejected: unreadable" in run("show", ticket_id).output


def test_roles(run: Run, ask: Ask) -> None:
    """A ticket for a role is taken by those who name it."""
    ticket_id = ask(role="lead")
    assert run("claim").exit_code == 1
    assert run("claim", ticket_id).exit_code == 1
    assert run("claim", "--role", "lead").exit_code == 0


def test_stats(run: Run, ask: Ask) -> None:
    """Counts and ages per queue, for people and for programs."""
    assert run("stats").output == "no tickets yet\n"
    assert json.loads(run("stats", "--json").output) == []
    ask()
    head, row = run("stats").output.splitlines()
    assert head.split()[:3] == ["QUEUE", "OPEN", "CLAIMED"]
    assert row.split()[:3] == ["triage", "1", "0"]
    (found,) = json.loads(run("stats", "--json").output)
    assert (found["queue"], found["counts"], found["late"]) == (
        "triage",
        {"open": 1},
        0,
    )


def test_spilled_tickets_appear(file_store: SqliteStore) -> None:
    """Looking at the queue brings in what was kept while the store was down."""
    from llmguard.store import NewTicket, spill_folder
    from llmguard_fallbacks.queue._spill import spill, spilled

    new = NewTicket(id="t9", queue="q", key="k", fingerprint="f", inputs={})
    folder = spill_folder(file_store.path)
    spill(folder, new)
    assert spilled(folder, "t9")
    line = ["--store", str(file_store.path), "list", "--json"]
    found = CliRunner().invoke(queue, line)
    assert [one["id"] for one in json.loads(found.output)] == ["t9"]
    assert not spilled(folder, "t9")


def test_wrong_store_is_a_usage_error() -> None:
    """A URL of no store is wrong usage, exit 2."""
    done = CliRunner().invoke(queue, ["--store", "redis://x", "list"])
    assert done.exit_code == 2


def test_every_command_helps() -> None:
    """Each command has a sentence and its options."""
    assert isinstance(queue, click.Group)
    for name in queue.commands:
        done = CliRunner().invoke(queue, [name, "--help"])
        assert (done.exit_code, "Options:" in done.output) == (0, True)
