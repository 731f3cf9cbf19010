"""Tickets over HTTP, on both backends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from llmguard.store import Agreement, Expiry, Store
from llmguard.testing import VirtualClock

Ask = Callable[..., str]
Program = Callable[..., TestClient]
RIGHT = {"category": "billing"}


def _problem(response: Any, status: int, code: str) -> dict[str, Any]:
    found: dict[str, Any] = response.json()
    assert (response.status_code, found["code"]) == (status, code), found
    assert response.headers["content-type"] == "application/problem+json"
    return found


def test_a_whole_life(program: Program, ask: Ask) -> None:
    """Listed, claimed, renewed, answered, fetched; each step is in the history."""
    ann, ticket = program(), ask()
    assert [ticket] == [
        one["id"] for one in ann.get("/queue/tickets").json()["tickets"]
    ]
    held = ann.post("/queue/claim", json={"queue": "triage"}).json()
    assert (held["id"], held["claimed_by"]) == (ticket, "ann")
    assert ann.get(f"/queue/tickets/{ticket}/result").status_code == 202
    until = ann.post(
        f"/queue/tickets/{ticket}/renew",
        json={"token": held["lease_token"], "lease": 5000},
    ).json()["lease_until"]
    assert until > held["lease_until"]
    done = ann.post(
        f"/queue/tickets/{ticket}/answer",
        json={"value": RIGHT, "token": held["lease_token"]},
    ).json()
    assert (done["state"], done["answer"]) == ("answered", RIGHT)
    assert ann.get(f"/queue/tickets/{ticket}/result").json() == {
        "status": "answered",
        "ticket": ticket,
        "value": RIGHT,
    }
    history = ann.get(f"/queue/tickets/{ticket}/events").json()["events"]
    assert [one["event"] for one in history] == [
        "enqueued",
        "claimed",
        "answered",
        "delivered",
    ]
    assert ann.post("/queue/claim", json={}).status_code == 204


def test_a_token_is_its_holders_alone(program: Program, ask: Ask) -> None:
    ticket = ask()
    ann, bob = program("ann"), program("bob")
    token = ann.post(f"/queue/tickets/{ticket}/claim", json={}).json()["lease_token"]
    assert ann.get(f"/queue/tickets/{ticket}").json()["lease_token"] == token
    assert "lease_token" not in bob.get(f"/queue/tickets/{ticket}").json()
    again = ann.post(f"/queue/tickets/{ticket}/claim", json={}).json()
    assert again["lease_token"] == token
    found = _problem(
        bob.post(f"/queue/tickets/{ticket}/claim", json={}), 409, "lease_lost"
    )
    assert found["holder"] == "ann"


def test_an_answer_may_be_repeated(program: Program, ask: Ask) -> None:
    """By the same person with the same value, with and without its token."""
    ticket = ask()
    ann, bob = program("ann"), program("bob")
    url = f"/queue/tickets/{ticket}/answer"
    for _ in range(3):
        assert ann.post(url, json={"value": RIGHT}).status_code == 200
    _problem(ann.post(url, json={"value": {"category": "shipping"}}), 409, "state")
    _problem(bob.post(url, json={"value": RIGHT}), 409, "state")


def test_a_lost_lease(
    program: Program, ask: Ask, store: Store, clock: VirtualClock
) -> None:
    """409 for whoever lost it, whatever they do."""
    ticket = ask()
    ann, bob = program("ann"), program("bob")
    one = f"/queue/tickets/{ticket}"
    token = ann.post(f"{one}/claim", json={"lease": 1}).json()["lease_token"]
    clock.advance(2)
    bob.post(f"{one}/claim", json={})
    for act, more in (
        ("answer", {"value": RIGHT}),
        ("reject", {"reason": "x"}),
        ("skip", {"reason": "x"}),
        ("release", {}),
        ("renew", {}),
    ):
        response = ann.post(f"{one}/{act}", json={"token": token, **more})
        _problem(response, 409, "lease_lost")
    assert store.tickets.get(ticket).claimed_by == "bob"


def test_field_errors_have_paths(program: Program, ask: Ask) -> None:
    """Of the answer's fields, and of the request's."""
    ann, ticket = program(), ask()
    url = f"/queue/tickets/{ticket}/answer"
    value = {"category": "refund", "items": [{"count": 1}, {"count": 0}]}
    found = _problem(ann.post(url, json={"value": value}), 422, "answer_refused")
    assert [one["path"] for one in found["errors"]] == ["/category", "/items/1/count"]
    for body, path in (
        ({}, "/value"),
        ({"value": 1, "token": 7}, "/token"),
        ({"value": 1, "vlaue": 2}, "/vlaue"),
        ([], ""),
    ):
        found = _problem(ann.post(url, json=body), 422, "request")
        assert found["errors"][0]["path"] == path
    _problem(ann.post("/queue/claim", json={"lease": 0}), 422, "request")
    _problem(ann.post(url, content=b"{"), 415, "type")
    headers = {"content-type": "application/json"}
    _problem(ann.post(url, content=b"{", headers=headers), 400, "json")


def test_roles_hide_tickets(program: Program, ask: Ask) -> None:
    """Unseen, unclaimed, unknown to those without the role; `*` has them all."""
    ticket = ask(role="lead")
    ann, lead, all_ = (
        program("ann"),
        program("bob", roles=("lead",)),
        program("cyd", roles=("*",)),
    )
    assert ann.get("/queue/tickets").json()["tickets"] == []
    _problem(ann.get(f"/queue/tickets/{ticket}"), 404, "unknown_ticket")
    _problem(
        ann.post(f"/queue/tickets/{ticket}/steal", json={"reason": "x"}),
        404,
        "unknown_ticket",
    )
    assert ann.post("/queue/claim", json={}).status_code == 204
    assert len(lead.get("/queue/tickets").json()["tickets"]) == 1
    assert all_.post("/queue/claim", json={}).json()["id"] == ticket


def test_a_key_is_no_way_in(program: Program, ask: Ask) -> None:
    """Idempotency keys are the callers' own, and may be guessed."""
    ask(key="order-17")
    _problem(program().get("/queue/tickets/order-17"), 404, "unknown_ticket")


def test_skip_steal_assign(program: Program, ask: Ask, store: Store) -> None:
    ticket = ask()
    ann, bob = program("ann"), program("bob")
    one = f"/queue/tickets/{ticket}"
    token = ann.post(f"{one}/claim", json={}).json()["lease_token"]
    taken = bob.post(f"{one}/steal", json={"reason": "ann is ill"}).json()
    assert (taken["claimed_by"], taken["lease_token"] != token) == ("bob", True)
    body = {"reason": "no idea", "token": taken["lease_token"]}
    assert bob.post(f"{one}/skip", json=body).json()["state"] == "open"
    assert bob.post(f"{one}/assign", json={"to": "ann"}).json()["assignee"] == "ann"
    mine = ann.get("/queue/tickets?assignee=me").json()["tickets"]
    assert [ticket] == [each["id"] for each in mine]
    _problem(bob.post(f"{one}/claim", json={}), 409, "assigned")
    events = [each.event for each in store.tickets.events(ticket)]
    assert events == ["enqueued", "claimed", "stolen", "skipped", "assigned"]


def test_opinions_stay_apart_until_the_end(program: Program, ask: Ask) -> None:
    """Nobody sees another's answer before giving their own."""
    ticket = ask(reviewers=2, agreement=Agreement(adjudicator="lead"))
    ann, bob = program("ann"), program("bob")
    lead = program("cyd", roles=("lead",))
    url = f"/queue/tickets/{ticket}"
    assert ann.post(f"{url}/answer", json={"value": RIGHT}).json()["state"] == "open"
    assert ann.post(f"{url}/answer", json={"value": RIGHT}).status_code == 200
    other = {"category": "shipping"}
    _problem(ann.post(f"{url}/answer", json={"value": other}), 409, "reviewed")
    assert "given" not in bob.get(url).json()
    bob.post(f"{url}/answer", json={"value": other})
    shown = lead.get(url).json()
    assert [one["reviewer"] for one in shown["given"]] == ["ann", "bob"]
    done = lead.post(f"{url}/answer", json={"value": other}).json()
    assert (done["state"], done["answer"]) == ("answered", other)


def test_pages(program: Program, ask: Ask) -> None:
    """Every ticket once, in order, with any size."""
    ann = program()
    ids = [ask(priority=number % 3) for number in range(7)]
    whole = [one["id"] for one in ann.get("/queue/tickets").json()["tickets"]]
    pages: list[str] = []
    after = ""
    while True:
        page = ann.get("/queue/tickets", params={"limit": 2, "after": after}).json()
        pages += [one["id"] for one in page["tickets"]]
        after = page["next"] or ""
        if not after:
            break
    assert (sorted(whole), pages) == (ids, whole)
    _problem(ann.get("/queue/tickets?limit=0"), 422, "request")
    _problem(ann.get("/queue/tickets?state=odd"), 422, "request")
    _problem(ann.get("/queue/tickets?after=odd"), 400, "refused")


@pytest.mark.parametrize("end", ["reject", "expire", "cancel", "purge", "default"])
def test_results_that_will_not_come(
    program: Program, ask: Ask, store: Store, clock: VirtualClock, end: str
) -> None:
    ann = program()
    more: dict[str, Any] = {}
    if end in {"expire", "default"}:
        more["expires_at"] = clock.time() + 5
    if end == "default":
        more["expiry"] = Expiry(do="answer", value=RIGHT)
    ticket = ask(**more)
    url = f"/queue/tickets/{ticket}"
    if end == "reject":
        ann.post(f"{url}/reject", json={"reason": "cannot tell"})
    elif end == "cancel":
        store.tickets.cancel(ticket, actor="app", reason="late")
    elif end == "purge":
        ann.post(f"{url}/answer", json={"value": RIGHT})
        clock.advance(1)
        store.tickets.purge(closed_before=clock.time(), actor="lead")
    clock.advance(6)
    response = ann.get(f"{url}/result")
    if end == "default":
        assert response.json()["status"] == "expired"
        return
    codes = {"reject": "rejected", "expire": "expired", "cancel": "cancelled"}
    _problem(response, 410, codes.get(end, "purged"))


def test_waiting_for_a_result(
    program: Program, ask: Ask, store: Store, clock: VirtualClock
) -> None:
    """As long as asked and at most 55 s, then 202 with where to ask again."""
    ann, ticket = program(), ask()
    start = clock.monotonic()
    response = ann.get(
        f"/queue/tickets/{ticket}/result", headers={"Prefer": "wait=600"}
    )
    assert response.status_code == 202
    assert clock.monotonic() - start == pytest.approx(55, abs=1)
    assert response.headers["retry-after"] == "5"
    assert response.headers["location"].endswith(
        f"/api/v1/queue/tickets/{ticket}/result"
    )
    store.tickets.answer(ticket, RIGHT, reviewer="bob")
    there = "http://testserver" + response.headers["location"]
    assert ann.get(there).json()["value"] == RIGHT


def test_scopes(program: Program, ask: Ask) -> None:
    """Reading results is not reviewing; nobody without a token gets anywhere."""
    ticket = ask()
    reader = program("rob", "read")
    assert reader.get(f"/queue/tickets/{ticket}/result").status_code == 202
    assert reader.get("/queue/stats").json()["queues"][0]["queue"] == "triage"
    _problem(reader.get("/queue/tickets"), 403, "scope_needed")
    _problem(reader.post("/queue/claim", json={}), 403, "scope_needed")
    _problem(
        program("ann").post(f"/queue/tickets/{ticket}/revive", json={"reason": "x"}),
        403,
        "scope_needed",
    )
    reader.headers["authorization"] = "Bearer wrong"
    for path in ("/queue/tickets", "/queue/stats", "/openapi.json", "/queue/events"):
        _problem(reader.get(path), 401, "login_needed")


def test_cases_are_decided(program: Program, ask: Ask, store: Store) -> None:
    ann = program("ann", "review", "approve")
    ticket = ask()
    ann.post(f"/queue/tickets/{ticket}/answer", json={"value": RIGHT})
    (case,) = ann.get("/queue/cases").json()["cases"]
    assert (case["ticket_id"], case["expected"]) == (ticket, RIGHT)
    url = f"/queue/cases/{ticket}"
    _problem(ann.post(url, json={"state": "odd"}), 422, "request")
    done = ann.post(url, json={"state": "accepted", "note": "good one"}).json()
    assert (done["state"], done["decided_by"]) == ("accepted", "ann")
    assert ann.get("/queue/cases").json()["cases"] == []


def test_what_is_done_is_audited(program: Program, ask: Ask, store: Store) -> None:
    """Who looked and who answered, without content."""
    ann, ticket = program(), ask()
    ann.get(f"/queue/tickets/{ticket}")
    ann.post(f"/queue/tickets/{ticket}/answer", json={"value": RIGHT})
    rows = [(one.actor, one.action, one.target) for one in store.access.audited()]
    assert ("ann", "ticket.seen", ticket) in rows
    assert ("ann", "ticket.answered", ticket) in rows


def test_half_a_surrogate_pair_is_sent_as_an_escape(program: Program, ask: Ask) -> None:
    ticket = ask(inputs={"ticket": "\ud83d"})
    response = program().get(f"/queue/tickets/{ticket}")
    assert response.json()["inputs"] == {"ticket": "\ud83d"}
