"""What stays open for long asks again and again who it is for: nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from console_people import Person
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from llmguard.store import Store
from llmguard.store.access import AccessUser, NewAudit
from llmguard.testing import VirtualClock
from llmguard_fallbacks.console._visit import Visit, require
from llmguard_fallbacks.console.api._stream import _Sights

PROXY = {"proxies": ("10.0.0.0/24",), "user_header": "X-User"}


@pytest.fixture
def visit(
    make_app: Callable[..., Starlette], store: Store
) -> Callable[[Callable[[Visit], object]], None]:
    """Run a function as a visit of a proxy's user whose program keeps no cookies."""

    def make(look: Callable[[Visit], object]) -> None:
        app = make_app(**PROXY)

        def looked(visit: Visit) -> Response:
            look(visit)
            return Response()

        app.router.routes.insert(0, Route("/look", require("review")(looked)))

        async def outer(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "client": ("10.0.0.7", 1234)}, receive, send)

        ann = Person(outer, headers={"X-User": "ann"})
        assert 200 == ann.get("/look").status_code

    store.access.put_user(AccessUser(name="ann", scopes=("review",), roles=("a",)))
    return make


def test_a_stream_begins_no_sessions(
    visit: Callable[[Callable[[Visit], object]], None], store: Store
) -> None:
    """Each would be a commit, of which the stream hears, to ask again at once."""
    held: list[bool] = []

    def look(visit: Visit) -> None:
        sights = _Sights(visit)
        held.extend([sights.hold(), visit.still_here(), sights.hold()])
        store.access.disable_user("ann")
        held.extend([sights.hold(), visit.still_here()])

    visit(look)
    assert [True, True, True, False, False] == held
    assert 1 == len(store.access.audited(action="login.proxy"))


def test_users_of_a_proxy_have_old_rows_deleted(
    visit: Callable[[Callable[[Visit], object]], None],
    store: Store,
    clock: VirtualClock,
) -> None:
    """Where nobody ever uses the login page, their sessions begin all the same."""
    store.access.audit(NewAudit(actor="old", action="login.ok"))
    clock.advance(366 * 86400.0)
    visit(lambda _: None)
    assert ["ann"] == [one.actor for one in store.access.audited()]


def test_a_stream_goes_by_the_roles_of_now(
    visit: Callable[[Callable[[Visit], object]], None],
    store: Store,
    ask: Callable[..., str],
) -> None:
    """Whoever loses a role hears no more of its tickets."""
    ticket = ask(role="a")
    (event,) = store.tickets.tail(0)
    told: list[str | None] = []

    def look(visit: Visit) -> None:
        sights = _Sights(visit)
        told.append(sights.queue_of(event))
        store.access.put_user(AccessUser(name="ann", scopes=("review",)))
        assert sights.hold()
        told.append(sights.queue_of(event))
        store.access.put_user(AccessUser(name="ann", scopes=("read",)))
        assert not sights.hold()

    visit(look)
    assert event.ticket_id == ticket
    assert ["triage", None] == told
