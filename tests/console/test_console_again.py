"""What comes twice, what goes on for long, what no calendar has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from console_people import Person
from starlette.applications import Starlette

from llmguard.errors import ConfigError, StoreError
from llmguard.store import Store, TicketState
from llmguard.testing import VirtualClock
from llmguard_fallbacks import human
from llmguard_fallbacks.queue._text import clock as written
from llmguard_fallbacks.queue._text import span


@pytest.mark.parametrize("queue", ["", "triage"])
def test_an_answer_that_comes_twice_takes_one_ticket(
    person: Callable[..., Person], ask: Callable[..., str], store: Store, queue: str
) -> None:
    """A second click leads where the first one led, and holds nothing else."""
    first, second, third = ask(), ask(), ask()
    ann = person()
    ann.submit(f"/review/t/{first}/claim")
    token = store.tickets.get(first).lease_token
    form = {"token": token, "proposal": "1", "queue": queue}
    places = [
        ann.submit(f"/review/t/{first}/accept", **form).headers["location"]
        for _ in range(2)
    ]
    assert [second, second] == [place.split("/")[3].split("?")[0] for place in places]
    assert TicketState.OPEN is store.tickets.get(third).state
    for ticket in (second, third):
        store.tickets.cancel(ticket, actor="app", reason="x")
    assert (
        "/review/?done=answered"
        == (ann.submit(f"/review/t/{first}/accept", **form).headers["location"])
    )


def test_a_long_history_is_cut(
    person: Callable[..., Person], ask: Callable[..., str], store: Store
) -> None:
    """Thousands of callers may share a ticket; the latest steps are told."""
    ticket = ask()
    for number in range(250):
        store.tickets.assign(ticket, to="", actor="lead", reason=f"reason {number}.")
    text = person().get(f"/review/t/{ticket}").text
    assert "The latest 200 steps." in text
    assert "reason 249." in text
    assert "reason 9." not in text
    steps = [one.detail for one in store.tickets.events(ticket, limit=2)]
    assert ["to anybody: reason 248.", "to anybody: reason 249."] == steps
    assert 251 == len(store.tickets.events(ticket))


def test_reasons_have_an_end(
    person: Callable[..., Person], ask: Callable[..., str], store: Store
) -> None:
    """They stay with the ticket, and every page of it shows them."""
    ticket, ann = ask(), person()
    for act in ("skip", "assign", "steal", "reject"):
        token = store.tickets.get(ticket).lease_token
        form = {"reason": act[0] * 30_000, "token": token}
        assert 303 == ann.submit(f"/review/t/{ticket}/{act}", **form).status_code
    longest = [max(len(one.detail), 10_000) for one in store.tickets.events(ticket)]
    assert 10_100 > max(longest)
    assert 10_000 == len(store.tickets.get(ticket).note)


@pytest.mark.parametrize("at", [1e18, float("inf"), -1e18])
def test_a_date_beyond_the_calendar_fails_no_page(
    at: float,
    person: Callable[..., Person],
    ask: Callable[..., str],
    clock: VirtualClock,
) -> None:
    """One such ticket must not hide all others."""
    ticket, ann = ask(due_at=at), person()
    for path in ("/review/", f"/review/t/{ticket}"):
        assert 200 == ann.get(path).status_code
    assert written(at)
    assert span(at)


@pytest.mark.parametrize("name", ["sla", "expires"])
def test_a_ticket_has_dates_or_none(name: str) -> None:
    """`inf` is no date; None is what keeps a ticket for ever."""
    given: dict[str, Any] = {name: float("inf")}
    with pytest.raises(ConfigError, match="above 0, or None"):
        human("q", **given)
    human("q", wait=float("inf"))


def test_tidying_keeps_nobody_out(
    app: Starlette, add_user: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deleting needs room too: on a full disk old rows stay, and people work."""

    def full(*_: object, **__: object) -> object:
        raise StoreError("no space left")

    access = app.state.console.store.access
    monkeypatch.setattr(access, "purge", full)
    monkeypatch.setattr(access, "touch_session", full)
    ann = Person(app)
    assert 303 == ann.login(add_user("ann")).status_code
    assert 200 == ann.get("/review/").status_code
