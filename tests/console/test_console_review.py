"""The Review pages: lists, taking, answering, sharing out, on both stores."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from console_people import RIGHT, Person
from starlette.applications import Starlette
from store_backends import make_store

from llmguard.store import Agreement, Store
from llmguard.testing import VirtualClock
from llmguard_fallbacks.forms import encode

OTHER = {**RIGHT, "order_id": 5}
Ask = Callable[..., str]
People = Callable[..., Person]


@pytest.fixture(params=["sqlite", "postgresql"])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, clock: VirtualClock
) -> Iterator[Store]:
    """The same pages over either database."""
    url = str(tmp_path / "store.db")
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
    made = make_store(url, clock=clock, durable=False)
    yield made
    made.close()


def titles(text: str) -> list[str]:
    """Return the tickets of a list, in order."""
    return re.findall(r"data-row>([^<]*)</a>", text)


def taken(store: Store, one: Person, ticket: str) -> str:
    """Take a ticket and return the lease's token."""
    assert 303 == one.submit(f"/review/t/{ticket}/claim").status_code
    return store.tickets.get(ticket).lease_token


def form(store: Store, ticket: str, value: object, **more: str) -> dict[str, str]:
    """Return what the browser posts for an answer."""
    schema = store.tickets.get(ticket).schema
    return {**dict(encode(schema, value)), "op": "submit", **more}


def test_the_list_is_in_the_order_of_work(
    person: People, ask: Ask, clock: VirtualClock
) -> None:
    """Priority, then due time; what is late says so, what is held says by whom."""
    now, ann, bob = clock.time(), person(), person("bob")
    ask(title="third", due_at=now + 5000)
    ask(title="first", priority=1)
    held = ask(title="second", due_at=now - 90)
    bob.submit(f"/review/t/{held}/claim")
    text = ann.get("/review/").text
    assert ["first", "second", "third"] == titles(text)
    assert "1 min 30 s late" in text
    assert ">bob</span>" in text
    assert ["second"] == titles(bob.get("/review/?mine=1").text)
    assert ["first", "third"] == titles(ann.get("/review/?state=open").text)
    assert [] == titles(ann.get("/review/?queue=other").text)


def test_pages_follow_each_other_without_gaps(person: People, ask: Ask) -> None:
    """Also when tickets are taken between two looks."""
    ann = person()
    wanted = [ask(title=f"n{number}", priority=number % 3) for number in range(120)]
    found: list[str] = []
    url = "/review/?queue=triage"
    while url:
        text = ann.get(url).text
        found += titles(text)
        following = re.search(r'rel="next" href="([^"]*)"', text)
        url = following[1].replace("&amp;", "&") if following else ""
        if len(found) == 50:
            ann.submit("/review/next")
    assert len(wanted) == len(found) == len(set(found))
    assert 200 == ann.get("/review/?after=nonsense").status_code


def test_roles_decide_what_is_seen(person: People, ask: Ask, store: Store) -> None:
    """A ticket for another role is neither listed, nor shown, nor taken as the next."""
    ticket = ask(title="for law", role="law", queue="secret suits")
    ann, lawyer, chief = (
        person(),
        person("lex", roles=("law",)),
        person("zoe", roles=("*",)),
    )
    assert [] == titles(ann.get("/review/").text)
    assert "secret suits" not in ann.get("/review/").text
    assert "secret suits" in lawyer.get("/review/").text
    refused = ann.get(f"/review/t/{ticket}")
    assert (403, True) == (refused.status_code, "--role law" in refused.text)
    assert 403 == ann.submit(f"/review/t/{ticket}/claim").status_code
    assert "done=none" in ann.submit("/review/next").headers["location"]
    assert ["for law"] == titles(lawyer.get("/review/").text)
    assert ["for law"] == titles(chief.get("/review/").text)
    assert f"/review/t/{ticket}" == chief.submit("/review/next").headers["location"]
    assert "zoe" == store.tickets.get(ticket).claimed_by
    assert "role" == store.access.audited(action="ticket.refused")[0].detail


def test_an_answer_goes_out_and_the_next_ticket_comes(
    person: People, ask: Ask, store: Store
) -> None:
    """In the queue that was being worked on; "Send" alone goes back to the list."""
    first, other, last = ask(), ask(queue="other queue"), ask()
    ann = person()
    token = taken(store, ann, first)
    sent = form(store, first, RIGHT, token=token, queue="triage")
    found = ann.submit(f"/review/t/{first}/answer", **sent)
    expected = f"/review/t/{last}?done=answered&queue=triage"
    assert (303, expected) == (found.status_code, found.headers["location"])
    assert (RIGHT, "ann") == (
        store.tickets.get(first).answer,
        store.tickets.get(first).closed_by,
    )
    text = ann.get(expected).text
    assert "Answered. Whoever asked has it now." in text
    sent = form(store, last, RIGHT, token=store.tickets.get(last).lease_token)
    found = ann.submit(f"/review/t/{last}/answer", **{**sent, "op": "stay"})
    assert "/review/?done=answered" == found.headers["location"]
    assert "open" == store.tickets.get(other).state
    assert RIGHT["category"] in ann.get(f"/review/t/{first}").text


def test_a_wrong_answer_comes_back_with_its_errors(
    person: People, ask: Ask, store: Store
) -> None:
    """By the form, and by the contract's schema; htmx gets only the form."""
    ticket, ann = ask(), person()
    token = taken(store, ann, ticket)
    bad = {**RIGHT, "items": [{"name": "a", "count": 0}]}
    sent = form(store, ticket, bad, token=token)
    found = ann.submit(f"/review/t/{ticket}/answer", **sent)
    assert 422 == found.status_code
    assert "items, Item 1, count</a>: 0 is less than" in found.text
    sent["v/items/0/count"] = "x"
    ann.headers["hx-request"] = "true"
    part = ann.post(f"/review/t/{ticket}/answer", data={"csrf": ann.csrf(), **sent})
    assert (422, True) == (part.status_code, "must be a number" in part.text)
    assert "<html" not in part.text
    assert 'value="x"' in part.text
    assert "claimed" == store.tickets.get(ticket).state


def test_buttons_of_the_form_keep_what_was_typed(
    person: People, ask: Ask, store: Store
) -> None:
    """An item more, a group as JSON, a check; nothing is answered by them."""
    ticket, ann = ask(), person()
    token = taken(store, ann, ticket)
    sent = form(store, ticket, RIGHT, token=token)
    sent["v/items/0/name"] = "typed"
    path = f"/review/t/{ticket}/answer"
    more = ann.submit(path, **{**sent, "op": "add v/items"})
    assert 200 == more.status_code
    assert 'value="typed"' in more.text
    assert 'name="v/items/1/name"' in more.text
    assert "&#34;typed&#34;" in ann.submit(path, **{**sent, "op": "json v"}).text or (
        "&quot;typed&quot;" in ann.submit(path, **{**sent, "op": "json v"}).text
    )
    assert 422 == ann.submit(path, **{**sent, "op": "explode v"}).status_code
    assert 200 == ann.submit(path, **{**sent, "op": "check"}).status_code
    assert "claimed" == store.tickets.get(ticket).state


def test_a_proposal_is_accepted_or_begun_from(
    person: People, ask: Ask, store: Store
) -> None:
    """One that breaks the contract can only be corrected."""
    ticket, ann = ask(), person()
    token = taken(store, ann, ticket)
    path = f"/review/t/{ticket}"
    text = ann.get(path).text
    assert 'data-key="a"' in text
    assert "1 fault against the schema" in text
    assert 'value="0"' in ann.get(f"{path}?from=0").text
    for number in ("0", "7", ""):
        found = ann.submit(f"{path}/accept", token=token, proposal=number)
        assert 422 == found.status_code
    done = ann.submit(f"{path}/accept", token=token, proposal="1")
    assert 303 == done.status_code
    assert RIGHT == store.tickets.get(ticket).answer
    assert "accepted rules" == store.access.audited(action="ticket.answered")[0].detail


def test_a_ticket_is_one_persons_at_a_time(
    person: People, ask: Ask, store: Store
) -> None:
    """A colleague sees who holds it, and takes it only with a reason."""
    ticket, ann, bob = ask(), person(), person("bob")
    token = taken(store, ann, ticket)
    path = f"/review/t/{ticket}"
    text = bob.get(path).text
    assert "ann has it" in text
    assert token not in text
    assert 409 == bob.submit(f"{path}/claim").status_code
    sent = form(store, ticket, RIGHT)
    late = bob.submit(f"{path}/answer", **sent)
    assert (409, True) == (late.status_code, "It is with ann now" in late.text)
    assert 409 == bob.submit(f"{path}/release").status_code
    assert 422 == bob.submit(f"{path}/steal").status_code
    assert 303 == bob.submit(f"{path}/steal", reason="ann is ill").status_code
    assert "bob" == store.tickets.get(ticket).claimed_by
    late = ann.submit(f"{path}/answer", **form(store, ticket, RIGHT, token=token))
    assert (409, True) == (late.status_code, "no longer yours" in late.text)
    assert "ticket.late" in [one.action for one in store.access.audited(target=ticket)]
    assert 409 == ann.submit(f"{path}/renew", token=token).status_code
    assert "claimed" == store.tickets.get(ticket).state


def test_a_lost_ticket_is_taken_again_with_what_was_typed(
    person: People, ask: Ask, store: Store, clock: VirtualClock
) -> None:
    """Its lease ended, nobody took it: one button brings it back."""
    ticket, ann, bob = ask(), person(), person("bob")
    token = taken(store, ann, ticket)
    path = f"/review/t/{ticket}"
    bob.submit(f"{path}/steal", reason="mistake")
    store.tickets.release(ticket, actor="bob", reason="mistake")
    sent = form(store, ticket, RIGHT, token=token)
    late = ann.submit(f"{path}/answer", **sent)
    assert 'value="again"' in late.text
    again = ann.submit(f"{path}/answer", **{**sent, "op": "again"})
    assert 200 == again.status_code
    fresh = store.tickets.get(ticket).lease_token
    assert fresh != token
    assert f'name="token" value="{fresh}"' in again.text
    sent = form(store, ticket, RIGHT, token=fresh)
    assert 303 == ann.submit(f"{path}/answer", **sent).status_code


def test_leases_are_renewed_by_open_pages(
    person: People, ask: Ask, store: Store, clock: VirtualClock
) -> None:
    """The token of the page says which lease."""
    ticket, ann = ask(), person()
    token = taken(store, ann, ticket)
    clock.advance(800.0)
    found = ann.submit(f"/review/t/{ticket}/renew", token=token)
    assert {"left": 900.0} == found.json()
    clock.advance(800.0)
    assert "claimed" == store.tickets.get(ticket).state
    clock.advance(200.0)
    assert "Nobody has it" in ann.get(f"/review/t/{ticket}").text


def test_rejecting_and_skipping_need_a_reason(
    person: People, ask: Ask, store: Store
) -> None:
    """Both go on to the next ticket; the reasons are kept."""
    first, second, ann = ask(), ask(), person()
    token = taken(store, ann, first)
    path = f"/review/t/{first}"
    for act in ("skip", "reject"):
        assert 422 == ann.submit(f"{path}/{act}", token=token, reason=" ").status_code
    found = ann.submit(f"{path}/skip", token=token, reason="not my language")
    assert f"/review/t/{second}?done=skipped" == found.headers["location"]
    assert "not my language" in ann.get(path).text
    token = store.tickets.get(second).lease_token
    found = ann.submit(f"/review/t/{second}/reject", token=token, reason="empty")
    # What was skipped comes back last.
    assert f"{path}?done=rejected" == found.headers["location"]
    assert ("rejected", "empty") == (
        store.tickets.get(second).state,
        store.tickets.get(second).note,
    )
    assert 409 == ann.submit(f"/review/t/{second}/reject", reason="x").status_code
    text = ann.get("/review/?state=closed").text
    assert "rejected" in text


def test_tickets_are_kept_for_people(person: People, ask: Ask, store: Store) -> None:
    """For those who may answer them; others take them only with a reason."""
    ticket, ann, bob = ask(), person(), person("bob")
    person("rita", "read")
    path = f"/review/t/{ticket}"
    assert 422 == ann.submit(f"{path}/assign", to="rita").status_code
    assert 303 == ann.submit(f"{path}/assign", to="bob").status_code
    assert "kept for bob" in ann.get("/review/").text
    assert "Kept for bob" in ann.get(path).text
    assert 409 == ann.submit(f"{path}/claim").status_code
    assert 303 == bob.submit(f"{path}/claim").status_code
    token = store.tickets.get(ticket).lease_token
    bob.submit(f"{path}/release", token=token)
    assert 303 == ann.submit(f"{path}/assign", to="").status_code
    assert 303 == ann.submit(f"{path}/claim").status_code


def test_independent_answers_stay_so(person: People, ask: Ask, store: Store) -> None:
    """Nobody sees the others' until they disagree; then one decides, who does."""
    ticket = ask(reviewers=2, agreement=Agreement(adjudicator="chief"))
    path = f"/review/t/{ticket}"
    people: list[Any] = [person(), person("bob"), person("zoe", roles=("chief",))]
    for number, one in enumerate(people[:2]):
        token = taken(store, one, ticket)
        value = {**RIGHT, "order_id": 5550 + number}
        assert "0 of 2 answers" in one.get(path).text or number
        sent = form(store, ticket, value, token=token)
        found = one.submit(f"{path}/answer", **sent)
        assert 303 == found.status_code
        told = one.get(found.headers["location"]).text
        assert "when another reviewer has answered, too" in told
        assert "has it now" not in told
        assert 409 == one.submit(f"{path}/claim").status_code or number
    if store.tickets.get(ticket).role == "chief":
        assert 403 == people[0].get(path).status_code
    taken(store, people[2], ticket)
    text = people[2].get(path).text
    assert "What the reviewers said, who disagree" in text
    assert "5550" in text
    assert "5551" in text


@pytest.mark.parametrize(
    ("second", "told"),
    [(RIGHT, "Whoever asked has it now."), (OTHER, "the reviewers do not agree")],
)
def test_the_last_answer_decides(
    second: Any, told: str, person: People, ask: Ask, store: Store
) -> None:
    """Only then is there something for whoever asked, or nothing."""
    ticket = ask(reviewers=2, agreement=Agreement(limit=2))
    said = ""
    for one, value in ((person(), RIGHT), (person("bob"), second)):
        sent = form(store, ticket, value, token=taken(store, one, ticket))
        found = one.submit(f"/review/t/{ticket}/answer", **sent)
        said = one.get(found.headers["location"]).text
    assert told in said


def test_blind_queues_hide_what_tiers_said(
    make_app: Callable[..., Starlette],
    add_user: Callable[..., str],
    ask: Ask,
    store: Store,
) -> None:
    """Also their reasons, which quote it; accepting unseen is refused."""
    ticket, ann = ask(), Person(make_app(blind=("triage",)))
    ann.login(add_user("ann"))
    path = f"/review/t/{ticket}"
    token = taken(store, ann, ticket)
    text = ann.get(f"{path}?from=1").text
    assert "is 0" not in text
    assert "rules" not in text
    assert 403 == ann.submit(f"{path}/accept", token=token, proposal="1").status_code
    sent = form(store, ticket, {**RIGHT, "category": "other"}, token=token)
    shown = ann.submit(f"{path}/answer", **sent)
    assert (200, True) == (shown.status_code, "rules" in shown.text)
    assert "claimed" == store.tickets.get(ticket).state
    assert "rules" in ann.get(path).text
    assert 303 == ann.submit(f"{path}/answer", **sent).status_code
    bob = Person(make_app(blind=("*",)))
    bob.login(add_user("bob"))
    assert "rules" not in bob.get(f"/review/t/{ask()}").text


def test_tickets_without_a_contract_take_any_json(
    person: People, ask: Ask, store: Store
) -> None:
    """In a box, as it is."""
    ticket, ann = ask(schema=None, outputs=()), person()
    token = taken(store, ann, ticket)
    path = f"/review/t/{ticket}/answer"
    wrong = {"token": token, "op": "submit", "v!json": "{"}
    assert 422 == ann.submit(path, **wrong).status_code
    right = {**wrong, "v!json": '{"a": [1, null]}'}
    assert 303 == ann.submit(path, **right).status_code
    assert {"a": [1, None]} == store.tickets.get(ticket).answer
