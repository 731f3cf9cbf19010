"""What a chain hands to people, and what it makes of their answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from llmguard import capture, contract, fallback_chain
from llmguard.contract import Contract
from llmguard.errors import ConfigError, Deferred
from llmguard.guard.tiers import TierContext
from llmguard.reply import Reply
from llmguard.store import Agreement, Expiry, Store, TicketState
from llmguard.testing import VirtualClock
from llmguard_fallbacks import get_ticket, human

Call = Callable[..., TierContext]
RIGHT = {"category": "billing", "order_id": None}


def _guarded(triage: type, tier: Any, answer: object) -> Callable[[str], object]:
    @fallback_chain(tier)
    @contract(triage)
    def ask(text: str) -> Any:
        return answer

    return ask


def _ask(triage: type, store: Store, answer: object, **options: Any) -> str:
    ask = _guarded(triage, human("q", store=store, **options), answer)
    with pytest.raises(Deferred) as caught:
        ask("I was charged twice, 4929")
    return caught.value.ticket_id


def test_people_see_what_was_proposed(triage: type, store: Store) -> None:
    """As JSON where it can be read, with the reason it was not taken."""
    ticket = _ask(triage, store, '{"category": "refund", "order_id": null}')
    (said,) = store.tickets.get(ticket).outputs
    assert said == {
        "attempt": 0,
        "tier": said["tier"],
        "pin": "",
        "kind": "schema",
        "confidence": None,
        "value": {"category": "refund", "order_id": None},
    }
    store.tickets.answer(ticket, RIGHT, reviewer="ann")
    (label,) = store.feedback.labels()
    assert (label.agrees, label.differs) == (False, ("/category",))
    (case,) = store.feedback.cases()
    assert case.inputs == {"text": "I was charged twice, 4929"}


def test_text_that_is_no_json_is_shown_as_text(triage: type, store: Store) -> None:
    ticket = _ask(triage, store, "I would say billing.")
    (said,) = store.tickets.get(ticket).outputs
    assert said["text"] == "I would say billing."


def test_unsure_answers_keep_their_confidence(triage: type, store: Store) -> None:
    """The value is there, so that a person can agree with one key."""
    value = triage(category="billing", order_id=None)
    reply = Reply(value=value, has_value=True, confidence=0.4)

    @fallback_chain(human("q", store=store), min_confidence=0.9)
    @contract(triage)
    def ask(text: str) -> Any:
        return reply

    with pytest.raises(Deferred) as caught:
        ask("x")
    ticket = caught.value.ticket_id
    (said,) = store.tickets.get(ticket).outputs
    assert (said["kind"], said["confidence"]) == ("low_confidence", 0.4)
    assert said["value"] == RIGHT
    store.tickets.answer(ticket, RIGHT, reviewer="ann")
    (label,) = store.feedback.labels()
    assert (label.agrees, label.confidence) == (True, 0.4)
    assert [] == list(store.feedback.cases())


def test_redaction_hides_proposals_too(triage: type, store: Store) -> None:
    """Unless they are redacted themselves."""
    wrong = '{"category": "4929", "order_id": null}'

    def redact(inputs: dict[str, Any]) -> dict[str, Any]:
        inputs["text"] = inputs["text"].replace("4929", "#")
        return inputs

    ticket = store.tickets.get(_ask(triage, store, wrong, redact=redact))
    assert ticket.redacted
    assert "4929" not in repr(ticket)

    def redact_output(said: Any) -> Any:
        return {**said, "category": "#"}

    more = {"redact": redact, "redact_output": redact_output, "coalesce": False}
    ticket = store.tickets.get(_ask(triage, store, wrong, **more))
    assert ticket.outputs[0]["value"]["category"] == "#"
    assert "4929" not in repr(ticket)

    def broken(said: Any) -> Any:
        raise ValueError(said)

    more["redact_output"] = broken
    ticket = store.tickets.get(_ask(triage, store, wrong, **more))
    assert "value" not in ticket.outputs[0]
    assert "4929" not in repr(ticket)


def test_two_people_have_to_agree(triage: type, store: Store) -> None:
    """The caller gets what they agreed on."""
    ticket = _ask(triage, store, "?", reviewers=2, agree="/category")
    held = get_ticket(ticket, store=store)
    held.answer(RIGHT, reviewer="ann")
    assert held.state is TicketState.OPEN
    held.answer({**RIGHT, "order_id": "A"}, reviewer="bob")
    assert held.wait(1) == RIGHT


def test_nobody_answers_and_the_declared_value_counts(
    triage: type, store: Store, clock: VirtualClock
) -> None:
    """The outcome says that no person gave it."""
    tier = human(
        "q",
        store=store,
        wait=5.0,
        expires=0.05,
        on_expiry=Expiry(do="answer", value=RIGHT),
    )
    ask = _guarded(triage, tier, "?")
    with capture() as outcomes:
        assert ask("x") == triage(**RIGHT)
    assert outcomes[-1].attempts[-1].rule == "expired"


def test_declared_values_have_to_fit(contract: Contract) -> None:
    inner = Expiry(do="answer", value={"category": "refund"})
    policy = Expiry(do="escalate", role="lead", seconds=60, then=inner)
    tier = human("q", expires=60, on_expiry=policy)
    with pytest.raises(ConfigError, match="`on_expiry`"):
        tier.check(contract)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"reviewers": 0}, "`reviewers`"),
        ({"on_expiry": Expiry(do="answer", value=1)}, "needs `expires="),
        ({"agree": ["category"]}, "slash"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        human("q", **options)


def test_an_agreement_travels_through_the_spill(
    triage: type, store: Store, tmp_path: object
) -> None:
    """Policies are the same once the store is back."""
    from pathlib import Path

    from llmguard.store import NewTicket
    from llmguard_fallbacks.queue._spill import replay, spill

    folder = Path(str(tmp_path)) / "spill"
    rule = Agreement(on=("/category",), adjudicator="lead")
    policy = Expiry(do="escalate", role="x", then=Expiry(do="answer", value=[1]))
    new = NewTicket(
        id="t9",
        queue="q",
        key="k9",
        fingerprint="f9",
        inputs={},
        reviewers=2,
        agreement=rule,
        expiry=policy,
        callback="https://example.org/",
    )
    spill(folder, new)
    assert replay(store, folder) == 1
    found = store.tickets.get("t9")
    assert (found.agreement, found.expiry, found.callbacks) == (rule, policy, 1)


def test_a_ticket_that_was_purged_says_so(store: Store, triage: type) -> None:
    ticket = _ask(triage, store, "?")
    held = get_ticket(ticket, store=store)
    held.answer(RIGHT, reviewer="ann")
    store.tickets.purge(closed_before=4e9, actor="lead")
    with pytest.raises(Exception, match="purged"):
        held.wait(0)
