"""Random reviewers, lost leases and ticking clocks against a plain model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from store_backends import make_store

from llmguard.errors import QueueError
from llmguard.store import (
    NewTicket,
    TicketRecord,
)
from llmguard.testing import VirtualClock

MAX_LOSSES = 3
REVIEWERS = st.sampled_from(["ann", "bob", "cyd"])


@dataclass
class _Model:
    """What one ticket should be."""

    id: str
    key: str
    content: str
    priority: int
    expires_at: float | None
    state: str = "open"
    holder: str = ""
    token: str = ""
    until: float = 0.0
    losses: int = 0
    answer: object = None
    events: list[str] = field(default_factory=lambda: ["enqueued"])

    def step(self, event: str, state: str) -> None:
        self.events.append(event)
        self.state = state

    def lapse(self, now: float) -> None:
        """Apply what time does, as a sweep would."""
        if self.state == "claimed" and self.until <= now:
            self.losses += 1
            self.holder = ""
            dead = self.losses == MAX_LOSSES
            self.step("dead" if dead else "lease_lost", "dead" if dead else "open")
        expired = self.expires_at is not None and self.expires_at <= now
        if self.state == "open" and expired:
            self.step("expired", "expired")


class TicketMachine(RuleBasedStateMachine):
    """Every step is done to the store and to the model, and must end alike."""

    tickets = Bundle("tickets")
    tokens = Bundle("tokens")

    def __init__(self, new_url: Callable[[], str]) -> None:
        super().__init__()
        self.clock = VirtualClock(epoch=1000.0)
        self.store = make_store(
            new_url(), clock=self.clock, max_losses=MAX_LOSSES, durable=False
        )
        self.queue = self.store.tickets
        self.models: dict[str, _Model] = {}

    def teardown(self) -> None:
        self.store.close()

    def _sweep(self) -> None:
        for model in self.models.values():
            model.lapse(self.clock.time())

    def _claimed(self, record: TicketRecord, reviewer: str, lease: float) -> str:
        model = self.models[record.id]
        model.step("claimed", "claimed")
        model.holder, model.token = reviewer, record.lease_token
        model.until = self.clock.time() + lease
        return record.lease_token

    @rule(
        target=tickets,
        key=st.integers(0, 8).map(str),
        content=st.sampled_from("xyz"),
        priority=st.integers(0, 2),
        expires=st.none() | st.floats(1, 40),
    )
    def enqueue(
        self, key: str, content: str, priority: int, expires: float | None
    ) -> str:
        number = len(self.models)
        expires_at = None if expires is None else self.clock.time() + expires
        new = NewTicket(
            id=f"t{number:04}",
            queue="q",
            key=key,
            fingerprint=content,
            inputs={},
            priority=priority,
            expires_at=expires_at,
            coalesce=False,
        )
        known = [one for one in self.models.values() if one.key == key]
        if known and known[0].content != content:
            self._refused(lambda: self.queue.enqueue(new))
            return known[0].id
        done = self.queue.enqueue(new)
        assert done.created == (not known)
        if known:
            assert done.ticket.id == known[0].id
            return known[0].id
        self.models[new.id] = _Model(new.id, key, content, priority, expires_at)
        return new.id

    @rule(target=tokens, reviewer=REVIEWERS, lease=st.sampled_from([1.0, 10.0, 100.0]))
    def claim(self, reviewer: str, lease: float) -> tuple[str, str]:
        self._sweep()
        open_ = [one for one in self.models.values() if one.state == "open"]
        record = self.queue.claim(reviewer=reviewer, lease=lease)
        if not open_:
            assert record is None
            return "", ""
        assert record is not None
        assert record.id == min(open_, key=lambda one: (-one.priority, one.id)).id
        return record.id, self._claimed(record, reviewer, lease)

    @rule(lease=tokens, value=st.integers(0, 2), reviewer=REVIEWERS)
    def answer_with_token(
        self, lease: tuple[str, str], value: int, reviewer: str
    ) -> None:
        ticket_id, token = lease
        if not ticket_id:
            return
        model = self.models[ticket_id]
        current = token == model.token
        if current and model.state in {"answered", "delivered"}:
            if model.answer == value:
                self.queue.answer(ticket_id, value, reviewer=reviewer, token=token)
            else:
                self._refuse_answer(model, value, reviewer, token)
        elif current and model.state in {"open", "claimed"}:
            self.queue.answer(ticket_id, value, reviewer=reviewer, token=token)
            model.answer = value
            model.step("answered", "answered")
        else:
            if not current:
                model.lapse(self.clock.time())
            self._refuse_answer(model, value, reviewer, token)

    def _refuse_answer(
        self, model: _Model, value: int, reviewer: str, token: str | None
    ) -> None:
        self._refused(
            lambda: self.queue.answer(model.id, value, reviewer=reviewer, token=token)
        )
        model.events.append("refused")

    @rule(ticket=tickets, reviewer=REVIEWERS, reject=st.booleans())
    def settle_directly(self, ticket: str, reviewer: str, reject: bool) -> None:
        model = self.models[ticket]
        model.lapse(self.clock.time())
        if model.state != "open":
            self._refuse_answer(model, 9, reviewer, None)
            return
        if reject:
            self.queue.reject(ticket, reviewer=reviewer, reason="no")
        else:
            self.queue.answer(ticket, 9, reviewer=reviewer)
            model.answer = 9
        model.token = self.queue.get(ticket).lease_token
        model.step("claimed", "claimed")
        end = "rejected" if reject else "answered"
        model.step(end, end)

    @rule(lease=tokens)
    def extend(self, lease: tuple[str, str]) -> None:
        ticket_id, token = lease
        if not ticket_id:
            return
        model = self.models[ticket_id]
        if model.state == "claimed" and token == model.token:
            model.until = self.queue.extend(ticket_id, token, lease=5.0)
        else:
            self._refused(lambda: self.queue.extend(ticket_id, token))

    @rule(lease=tokens, force=st.booleans())
    def release(self, lease: tuple[str, str], force: bool) -> None:
        ticket_id, token = lease
        if not ticket_id:
            return
        model = self.models[ticket_id]
        given = {"reason": "mine now"} if force else {"token": token}
        if model.state == "claimed" and (force or token == model.token):
            self.queue.release(ticket_id, actor="bob", **given)
            model.holder = model.token = ""
            model.step("released", "open")
        else:
            self._refused(lambda: self.queue.release(ticket_id, actor="bob", **given))

    @rule(ticket=tickets, deliver=st.booleans())
    def deliver_or_cancel(self, ticket: str, deliver: bool) -> None:
        model = self.models[ticket]
        if deliver and model.state == "answered":
            assert self.queue.deliver(ticket).answer == model.answer
            model.step("delivered", "delivered")
        elif deliver and model.state == "delivered":
            assert self.queue.deliver(ticket).answer == model.answer
        elif not deliver and model.state in {"open", "claimed"}:
            self.queue.cancel(ticket, actor="app", reason="done")
            model.step("cancelled", "cancelled")
        elif deliver:
            self._refused(lambda: self.queue.deliver(ticket))
        else:
            self._refused(lambda: self.queue.cancel(ticket, actor="app", reason="x"))

    @rule(seconds=st.floats(0.1, 60))
    def tick(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def sweep(self) -> None:
        now = self.clock.time()
        lapsed = [one for one in self.models if self.queue.get(one).lapsed(now)]
        assert self.queue.sweep() == len(lapsed)
        self._sweep()

    def _refused(self, step: Callable[[], object]) -> None:
        try:
            step()
        except QueueError:
            return
        raise AssertionError("the store allowed what the model refuses")

    @invariant()
    def the_store_is_as_the_model(self) -> None:
        for model in self.models.values():
            record = self.queue.get(model.id)
            assert (record.state, record.losses) == (model.state, model.losses)
            assert record.answer == model.answer
            if record.state == "claimed":
                assert (record.claimed_by, record.lease_until) == (
                    model.holder,
                    model.until,
                )

    @invariant()
    def events_tell_the_same_story(self) -> None:
        for model in self.models.values():
            events = self.queue.events(model.id)
            assert [one.event for one in events] == model.events
            left = [one.from_state for one in events[1:]]
            assert left == [one.to_state for one in events[:-1]]
            assert model.events.count("answered") <= 1

    @invariant()
    def kept_counts_are_true(self) -> None:
        counted = Counter(one.state for one in self.models.values())
        assert dict(self.queue.counts().get("q", {})) == dict(counted)


def test_random_reviewers_are_as_the_model_has_them(new_url: Callable[[], str]) -> None:
    """On both backends."""
    run_state_machine_as_test(
        partial(TicketMachine, new_url),
        settings=settings(max_examples=15, stateful_step_count=40, deadline=None),
    )
