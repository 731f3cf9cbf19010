"""The tier that asks a person."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from llmguard.contract import Contract
from llmguard.errors import ConfigError, Deferred, StoreError, TierFailedError
from llmguard.guard.tiers import AsyncTier, Tier, TierContext
from llmguard.outcome import Kind
from llmguard.reply import Reply
from llmguard.store import (
    IdempotencyError,
    SqliteStore,
    TicketState,
)
from llmguard.testing import VirtualClock, no_leaks
from llmguard_fallbacks import get_ticket, human

Call = Callable[..., TierContext]
ANSWER = {"category": "billing", "order_id": None}


def _deferred(tier: Tier, call: TierContext) -> str:
    with pytest.raises(Deferred) as caught:
        tier.run(call)
    return caught.value.ticket_id


class _Answering:
    """Answers every ticket of a store as soon as it is committed."""

    def __init__(self, store: SqliteStore, how: Callable[[str], object]) -> None:
        self._new = threading.Event()
        self._stop = store.listen(self._new.set)
        self._store = store
        self._how = how
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while self._new.wait(30):
            self._new.clear()
            found = self._store.tickets.list()
            for ticket in found:
                self._how(ticket.id)
            if found:
                return

    def join(self) -> None:
        self._thread.join()
        self._stop()


def test_is_a_terminal_tier() -> None:
    """The guard sees a tier that cannot fail and may wait, sync and async."""
    tier = human("triage")
    assert isinstance(tier, AsyncTier)
    assert (tier.name, tier.terminal, tier.inline, tier.options.reserve) == (
        "human:triage",
        True,
        False,
        0.5,
    )
    named = human("triage", name="people", when=lambda call: False, reserve=1.0)
    assert (named.name, named.options.reserve) == ("people", 1.0)
    assert named.options.when is not None


def test_ticket_holds_the_call(
    store: SqliteStore, call: Call, contract: Contract, clock: VirtualClock
) -> None:
    """A reviewer finds input, schema, reasons and times on the ticket."""
    tier = human(
        "triage",
        store=store,
        priority=2,
        sla=60.0,
        expires=600.0,
        role="lead",
        title="Triage",
        instructions="Read it.",
        clock=clock,
    )
    record = store.tickets.get(_deferred(tier, call(labels={"stakes": "high"})))
    assert record.inputs == {"ticket": "I was charged twice"}
    assert record.schema == contract.value_schema
    assert (record.schema_digest, record.contract) == (contract.digest, "triage")
    assert (record.function, record.call_id, record.pin) == ("app.triage", "c1", "p-1")
    assert (record.priority, record.role) == (2, "lead")
    assert (record.due_at, record.expires_at) == (1_000_060.0, 1_000_600.0)
    assert (record.title, record.instructions) == ("Triage", "Read it.")
    assert record.labels == {"stakes": "high"}
    assert list(record.reasons) == [
        {
            "tier": "remote",
            "kind": "timeout",
            "pin": "p-1",
            "detail": "no answer in 1 s",
            "violations": [],
        },
        {
            "tier": "rules",
            "kind": "schema",
            "pin": "",
            "detail": "",
            "violations": [
                {"path": "/category", "check": "enum", "message": "is 'refund'"}
            ],
        },
    ]


def test_call_without_contract_or_attempts(store: SqliteStore, call: Call) -> None:
    """Any answer will do where nothing was declared."""
    ticket_id = _deferred(human("q", store=store), call(contract=None, attempts=()))
    get_ticket(ticket_id, store=store).answer("anything", reviewer="ann")
    assert get_ticket(ticket_id, store=store).wait(0) == "anything"


def test_answer_in_time_is_returned(
    store: SqliteStore, call: Call, triage: type
) -> None:
    """The waiting caller gets the contract's own type, with the ticket's id."""
    answering = _Answering(
        store, lambda one: store.tickets.answer(one, ANSWER, reviewer="ann")
    )
    reply = human("q", store=store, wait=30.0).run(call(remaining=lambda: 60.0))
    answering.join()
    assert isinstance(reply, Reply)
    assert reply.value == triage(category="billing", order_id=None)
    assert store.tickets.get(reply.ticket_id).state == TicketState.DELIVERED


def test_answer_in_time_async(store: SqliteStore, call: Call, triage: type) -> None:
    """The same on an event loop, which stays free meanwhile."""
    answering = _Answering(
        store, lambda one: store.tickets.answer(one, ANSWER, reviewer="ann")
    )
    tier = human("q", store=store, wait=30.0)
    reply = asyncio.run(tier.arun(call(remaining=lambda: 60.0)))
    answering.join()
    assert isinstance(reply, Reply)
    assert reply.value == triage(category="billing", order_id=None)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_waiting_ends_before_the_deadline(
    store: SqliteStore, call: Call, clock: VirtualClock, mode: str
) -> None:
    """The ticket is handed out while the caller can still take it."""
    tier = human("q", store=store, wait=600.0, clock=clock)
    asked = call(remaining=lambda: 3.0)
    start = clock.monotonic()
    with pytest.raises(Deferred):
        tier.run(asked) if mode == "sync" else asyncio.run(tier.arun(asked))
    waited = clock.monotonic() - start
    assert 2.7 <= waited <= 2.9


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_rejection_fails_the_call(store: SqliteStore, call: Call, mode: str) -> None:
    """A person's no ends the call with the reason, not with a time-out."""
    answering = _Answering(
        store,
        lambda one: store.tickets.reject(one, reviewer="ann", reason="unreadable"),
    )
    tier = human("q", store=store, wait=30.0)
    asked = call(remaining=lambda: 60.0)
    with pytest.raises(TierFailedError, match="rejected by ann: unreadable") as caught:
        tier.run(asked) if mode == "sync" else asyncio.run(tier.arun(asked))
    answering.join()
    assert caught.value.kind == Kind.REFUSAL


def test_retried_call_is_one_ticket(store: SqliteStore, call: Call) -> None:
    """The call's id is the key, unless the caller labelled its own."""
    tier = human("q", store=store)
    first = _deferred(tier, call("c1"))
    assert _deferred(tier, call("c1")) == first
    mine = call("c2", labels={"idempotency_key": "order-7"}, inputs={"n": 1})
    again = call("c3", labels={"idempotency_key": "order-7"}, inputs={"n": 1})
    assert _deferred(tier, mine) == _deferred(tier, again)
    other = call("c4", labels={"idempotency_key": "order-7"}, inputs={"n": 2})
    with pytest.raises(IdempotencyError):
        tier.run(other)


def test_same_question_is_asked_once(store: SqliteStore, call: Call) -> None:
    """Equal inputs share a ticket; inputs that JSON cannot tell apart do not."""
    tier = human("q", store=store)
    assert _deferred(tier, call("c1")) == _deferred(tier, call("c2"))
    assert _deferred(human("q", store=store, coalesce=False), call("c3")) != (
        _deferred(tier, call("c4"))
    )
    opaque = [_deferred(tier, call(one, inputs={"x": object()})) for one in "56"]
    assert opaque[0] != opaque[1]


def test_full_queue_answers_the_last_resort(store: SqliteStore, call: Call) -> None:
    """A value is copied, a function gets the call."""
    value = {"category": "billing", "order_id": None}
    tier = human("q", store=store, max_open=1, on_full=value)
    _deferred(tier, call("c1"))
    reply = tier.run(call("c2", inputs={"ticket": "other"}))
    assert isinstance(reply, Reply)
    assert reply.value == value
    assert reply.value is not value
    by_call = human("q", store=store, max_open=1, on_full=lambda one: one.call_id)
    assert by_call.run(call("c3", inputs={"ticket": "third"})) == "c3"
    assert asyncio.run(by_call.arun(call("c4", inputs={"ticket": "4"}))) == "c4"


def test_wrong_last_resort_is_refused_at_decoration(contract: Contract) -> None:
    """`check` judges a constant, leaves functions and absent ones alone."""
    with pytest.raises(ConfigError, match="`on_full` of `human"):
        human("q", max_open=1, on_full={"category": "?"}).check(contract)
    human("q", max_open=1, on_full={"category": "?"}).check(None)
    human("q", max_open=1, on_full=ANSWER).check(contract)
    human("q", max_open=1, on_full=lambda call: None).check(contract)
    human("q").check(contract)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"queue": ""}, "`queue` is ''"),
        ({"queue": "a b"}, "`queue` is 'a b'"),
        ({"wait": -1.0}, "`wait` of"),
        ({"wait": float("nan")}, "`wait` of"),
        ({"sla": 0.0}, "`sla` of"),
        ({"expires": -5.0}, "`expires` of"),
        ({"max_open": 0, "on_full": 1}, "`max_open` of"),
        ({"max_open": 5}, "add the last resort"),
    ],
)
def test_misuse_is_refused(options: dict[str, object], says: str) -> None:
    """A wrong option is named with what it should be."""
    with pytest.raises(ConfigError, match=says):
        human(**{"queue": "q", **options})  # type: ignore[arg-type]  # wrong on purpose


def test_redaction(store: SqliteStore, call: Call) -> None:
    """A reviewer sees what the redactor leaves, and no free text around it."""
    tier = human("q", store=store, redact=lambda one: {"ticket": len(str(one))})
    record = store.tickets.get(_deferred(tier, call()))
    assert record.inputs == {"ticket": 33}
    assert [one["detail"] for one in record.reasons] == ["", ""]
    assert record.reasons[1]["violations"] == [
        {"path": "/category", "check": "enum", "message": ""}
    ]


def test_labels_are_redacted_where_texts_are(store: SqliteStore, call: Call) -> None:
    """By form, and only then; the key that finds the ticket again is as it was."""
    labels = {
        "request_type": "refund",
        "customer": "ann@example.org, card 4111 1111 1111 1111",
        "idempotency_key": "POST /refund ann@example.org",
    }
    tier = human("q", store=store, redact=lambda one: {})
    record = store.tickets.get(_deferred(tier, call(labels=labels)))
    assert record.labels == {
        "request_type": "refund",
        "customer": "[email], card [card]",
        "idempotency_key": "POST /refund [email]",
    }
    assert record.id == _deferred(tier, call("c2", labels=labels))
    plain = human("plain", store=store)
    labels = {"customer": "ann@example.org"}
    found = store.tickets.get(_deferred(plain, call("c3", labels=labels)))
    assert found.labels == labels


def test_failing_redaction_hides_everything(store: SqliteStore, call: Call) -> None:
    """A broken redactor leaks nothing."""
    tier = human("q", store=store, redact=lambda one: {"x": one["missing"]})
    record = store.tickets.get(_deferred(tier, call()))
    assert record.inputs == {
        "ticket": {"__redacted__": "hidden, because `redact` raised KeyError"}
    }


def test_redacted_questions_stay_apart(store: SqliteStore, call: Call) -> None:
    """Two questions that look alike once redacted are still two."""
    tier = human("q", store=store, redact=lambda one: {})
    one = _deferred(tier, call("c1", inputs={"ticket": "a"}))
    other = _deferred(tier, call("c2", inputs={"ticket": "b"}))
    assert one != other


def test_store_down_spills_and_replays(tmp_path: Path, call: Call) -> None:
    """While the store is broken tickets are kept beside it, then brought in."""
    path = tmp_path / "s.db"
    path.write_bytes(b"broken " * 999)
    tier = human("q", store=str(path))
    first = _deferred(tier, call("c1"))
    second = _deferred(tier, call("c2", inputs={"ticket": "other"}))
    folder = tmp_path / "s.db.spill"
    assert sorted(one.stem for one in folder.iterdir()) == sorted([first, second])
    path.unlink()
    third = _deferred(tier, call("c3", inputs={"ticket": "third"}))
    assert list(folder.iterdir()) == []
    for ticket_id in (first, second, third):
        assert get_ticket(ticket_id, store=str(path)).state == TicketState.OPEN
    assert get_ticket("c1", store=str(path)).id == first
    tier_store = get_ticket(first, store=str(path))._store
    tier_store.close()


def test_spilled_ticket_is_found_by_its_id(tmp_path: Path, call: Call) -> None:
    """Asking for a spilled ticket brings it in."""
    path = tmp_path / "s.db"
    path.write_bytes(b"broken " * 999)
    ticket_id = _deferred(human("q", store=str(path)), call())
    path.unlink()
    ticket = get_ticket(ticket_id, store=str(path))
    assert ticket.state == TicketState.OPEN
    ticket._store.close()


def test_stalled_store_spills_in_time(
    file_store: SqliteStore, call: Call, tmp_path: Path
) -> None:
    """A lock that does not come free costs the call its slice, not more."""
    from llmguard.store._filelock import FileLock

    tier = human("q", store=file_store, spill=tmp_path / "other")
    lock = FileLock(tmp_path / "s.db.lock")
    with lock:
        ticket_id = _deferred(tier, call(remaining=lambda: 0.3))
    lock.close()
    assert (tmp_path / "other" / f"{ticket_id}.json").exists()
    _deferred(tier, call("c2", inputs={"ticket": "next"}))
    assert file_store.tickets.get(ticket_id).call_id == "c1"


def test_nothing_takes_the_ticket(tmp_path: Path, call: Call) -> None:
    """With store and spill folder both broken the last resort answers, or an error."""
    path = tmp_path / "s.db"
    path.write_bytes(b"broken " * 999)
    (tmp_path / "s.db.spill").write_text("in the way")
    with pytest.raises(StoreError, match="no ticket was made"):
        human("q", store=str(path)).run(call())
    reply = human("q", store=str(path), on_full=ANSWER).run(call())
    assert isinstance(reply, Reply)
    assert reply.value == ANSWER


def test_refused_spill_file_does_not_block_others(
    file_store: SqliteStore, call: Call, tmp_path: Path
) -> None:
    """What the queue refuses is set aside."""
    folder = tmp_path / "s.db.spill"
    folder.mkdir()
    (folder / "a.json").write_text("{}")
    (folder / "b.json").write_text("not json")
    _deferred(human("q", store=file_store), call())
    assert sorted(one.name for one in folder.iterdir()) == ["a.refused", "b.refused"]


def test_replay_trouble_does_not_fail_a_safe_ticket(
    file_store: SqliteStore, call: Call, tmp_path: Path
) -> None:
    """A ticket that is in the store is handed out, whatever else waits."""
    folder = tmp_path / "s.db.spill"
    (folder / "x.json").mkdir(parents=True)
    ticket_id = _deferred(human("q", store=file_store), call())
    assert file_store.tickets.get(ticket_id).state == TicketState.OPEN


def test_waiting_leaves_nothing_behind(store: SqliteStore, call: Call) -> None:
    """No thread, task or listener outlives a wait."""
    tier = human("q", store=store, wait=0.05)
    _deferred(tier, call("warm", inputs={}))
    with no_leaks():
        _deferred(tier, call())
    assert getattr(store, "_bell", store._main)._listeners == ()
