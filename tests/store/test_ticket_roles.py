"""Who has which role sees and takes which tickets, on every backend."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from llmguard.store import (
    CLOSED,
    EVERY_ROLE,
    NewTicket,
    RoleRequiredError,
    Store,
    page_cursor,
)

New = Callable[..., NewTicket]


@pytest.fixture
def mixed(store: Store, new_ticket: New) -> Store:
    """Three tickets for everybody, for one role and for another."""
    for role in ("", "law", "tax"):
        store.tickets.enqueue(new_ticket(id=f"t-{role}", role=role))
    return store


@pytest.mark.parametrize(
    ("roles", "ids"),
    [
        (None, "t- t-law t-tax"),
        ((), "t-"),
        (("law",), "t- t-law"),
        (("law", "nobody's"), "t- t-law"),
        ((EVERY_ROLE,), "t- t-law t-tax"),
    ],
)
def test_lists_hold_what_roles_may_take(
    mixed: Store, roles: tuple[str, ...] | None, ids: str
) -> None:
    """Waiting or closed, page by page."""
    for closed in (False, True):
        states = {"states": CLOSED} if closed else {}
        if closed:
            for ticket in list(mixed.tickets.list()):
                mixed.tickets.cancel(ticket.id, actor="x", reason="y")
        found: list[str] = []
        after = ""
        while page := mixed.tickets.list(roles=roles, after=after, limit=1, **states):
            found += [one.id for one in page]
            after = page_cursor(page[-1])
        assert ids.split() == sorted(found)


@pytest.mark.parametrize(
    ("roles", "open_"), [(None, 3), ((), 1), (("law",), 2), ((EVERY_ROLE,), 3)]
)
def test_counts_are_of_what_roles_may_take(
    mixed: Store, roles: tuple[str, ...] | None, open_: int
) -> None:
    """Nobody learns how much waits for others."""
    assert {"triage": {"open": open_}} == mixed.tickets.counts(roles=roles)


def test_every_role_takes_everything(mixed: Store) -> None:
    """By the next one, and by name; without it a role is needed."""
    taken = [mixed.tickets.claim(reviewer="ann", roles=(EVERY_ROLE,)) for _ in "abc"]
    assert {"t-", "t-law", "t-tax"} == {one.id for one in taken if one}
    mixed.tickets.release("t-law", actor="ann", reason="back")
    with pytest.raises(RoleRequiredError):
        mixed.tickets.claim(reviewer="bob", ticket_id="t-law", roles=("tax",))
    answered = mixed.tickets.answer(
        "t-law", {"category": "billing"}, reviewer="bob", roles=(EVERY_ROLE,)
    )
    assert answered.closed_by == "bob"
