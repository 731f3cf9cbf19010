"""The Cases page: corrections become examples, by somebody who may decide."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from console_people import RIGHT, Person

from llmguard.store import CaseState, Store
from llmguard.testing import VirtualClock

Ask = Callable[..., str]
People = Callable[..., Person]
OTHER = {**RIGHT, "order_id": 4242}


@pytest.fixture
def corrected(ask: Ask, store: Store) -> Callable[..., str]:
    """Make a ticket whose answer is none of its proposals."""

    def make(**fields: object) -> str:
        ticket = ask(function="app.triage", contract="Triage", **fields)
        store.tickets.answer(ticket, OTHER, reviewer="rev", roles=("*",))
        return ticket

    return make


def states(store: Store) -> dict[str, str]:
    every: tuple[CaseState, ...] = ("proposed", "accepted", "dismissed")
    return {
        one.ticket_id: one.state
        for state in every
        for one in store.feedback.cases(state=state)
    }


def test_corrections_are_accepted_or_dismissed(
    person: People, corrected: Callable[..., str], store: Store, clock: VirtualClock
) -> None:
    """With the question, the right answer and what the tiers had said."""
    first, second = corrected(), corrected()
    owner = person("ann", "review", "approve")
    text = owner.get("/cases/").text
    for part in ("app.triage", "4242", "answered by rev", "text 1", "rules"):
        assert part in text
    found = owner.submit(f"/cases/{first}", decide="accepted", note="typical")
    assert (303, "/cases/?done=accepted&function=") == (
        found.status_code,
        found.headers["location"],
    )
    assert "Accepted." in owner.get(found.headers["location"]).text
    owner.submit(f"/cases/{second}", decide="dismissed")
    assert {first: "accepted", second: "dismissed"} == states(store)
    assert "typical" in owner.get("/cases/?state=accepted").text
    assert "No proposed cases" in owner.get("/cases/?function=app.triage").text
    rows = store.access.audited(action="case.decided")
    assert ["dismissed", "accepted"] == [one.detail for one in rows]


def test_deciding_needs_its_scope_and_role(
    person: People, corrected: Callable[..., str], store: Store
) -> None:
    """Reviewers see the cases of their roles, and decide none."""
    open_, law = corrected(), corrected(role="law")
    rev, owner = person("rev"), person("own", "review", "approve")
    text = rev.get("/cases/").text
    assert "Accept as a case" not in text
    assert law not in text
    assert 403 == rev.submit(f"/cases/{open_}", decide="accepted").status_code
    assert 403 == owner.submit(f"/cases/{law}", decide="accepted").status_code
    assert 404 == owner.submit("/cases/none", decide="accepted").status_code
    assert 422 == owner.submit(f"/cases/{open_}", decide="both").status_code
    assert {open_: "proposed", law: "proposed"} == states(store)


def test_other_roles_cases_hide_none_of_ones_own(
    person: People, corrected: Callable[..., str]
) -> None:
    """However many of them are older."""
    for _ in range(30):
        corrected(role="law")
    own = corrected()
    rev = person("rev")
    text = rev.get("/cases/").text
    assert own in text
    assert "oldest are shown" not in text
    (case,) = rev.get("/api/v1/queue/cases?limit=1").json()["cases"]
    assert own == case["ticket_id"]
    assert "oldest are shown" in person("all", roles=("*",)).get("/cases/").text


def test_hidden_arguments_are_replaced(
    person: People, corrected: Callable[..., str], store: Store
) -> None:
    """By a JSON object that somebody invents; what is none decides nothing."""
    ticket = corrected(redacted=True)
    owner = person("own", "review", "approve")
    assert "those that redaction hid" in owner.get("/cases/").text
    for wrong in ("{", "[]", "[" * 5000, '{"ticket": NaN}', '{"a": 1e400}'):
        found = owner.submit(f"/cases/{ticket}", decide="accepted", inputs=wrong)
        assert (422, True) == (found.status_code, "Nothing was decided" in found.text)
    given = '{"ticket": "two lamps"}'
    owner.submit(f"/cases/{ticket}", decide="accepted", inputs=given)
    (case,) = store.feedback.cases(state="accepted")
    assert ({"ticket": "two lamps"}, False) == (dict(case.inputs), case.redacted)
