"""Whatever is sent to any page: an answer below 500, all headers, nothing but text.

Nothing changes unless one of our own pages asked for it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import count
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from console_answers import check
from console_fuzz import HOSTILE, Asked, Place, ask, asked, places, singly
from console_people import ORIGIN, RIGHT, SCHEMA, Person
from console_story import scene
from hypothesis import HealthCheck, Phase, given, note, settings
from starlette.applications import Starlette
from store_backends import is_postgres, make_store, raw

from llmguard.store import NewTicket, Store, fingerprint
from llmguard.store.access import AccessToken, AccessUser, secret_digest
from llmguard_fallbacks.console import ConsoleSettings, console_app

ALL = ("read", "review", "approve", "admin")
OWN = re.compile("access_|sqlite_")
"""Tables that every request may write to: sessions, and the audit."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A console over a store that has something of everything.

    Attributes:
        app: The application.
        store: Its store.
        url: Where that is.
        people: By name the cookie of a session and its form token.
        known: By name of a part of a path or of a field, what is right for it.
        runner: The event loop of all requests.
        count: Numbers for tickets.
    """

    app: Starlette
    store: Store
    url: str
    people: dict[str, tuple[str, str]]
    known: dict[str, tuple[str, ...]]
    runner: asyncio.Runner
    count: Iterator[int]

    def held(self) -> list[tuple[str, Any]]:
        """Return all that the store holds, requests' own traces aside."""
        with raw(self.url) as connection:
            return [
                (name, sorted(connection.execute(f"SELECT * FROM {name}"), key=repr))  # noqa: S608 - names of tables
                for name in _tables(connection, self.url)
            ]


def _tables(connection: Any, url: str) -> list[str]:
    asked = "SELECT name FROM sqlite_master WHERE type = 'table'"
    if is_postgres(url):
        asked = (
            "SELECT table_name FROM information_schema.tables "
            "WHERE table_schema = current_schema()"
        )
    found = sorted(row[0] for row in connection.execute(asked).fetchall())
    return [name for name in found if not OWN.match(name)]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def target(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("fuzzed")
    url = str(folder / "store.db")
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_server").url()
    with scene(folder, url, calls=1) as told, asyncio.Runner() as runner:
        told.store.access.put_user(AccessUser(name="bot", scopes=ALL, roles=("*",)))
        _token(told.store, "bot", ALL)
        tickets = [_ticket(told.store, number) for number in range(12)]
        for number, one in enumerate(tickets[:6]):
            given = {**RIGHT, "order_id": 4242 + number}
            told.store.tickets.answer(one, given, reviewer="rev", roles=("*",))
        generous = ConsoleSettings(rate=10**9, login_rate=10**9, streams=10**6)
        app = console_app(told.store, settings=generous, clock=told.clock)
        yield Target(
            app=app,
            store=told.store,
            url=url,
            people={},
            known=_known(told, tickets),
            runner=runner,
            count=count(len(tickets)),
        )


@pytest.fixture(autouse=True)
def _anew(request: pytest.FixtureRequest) -> None:
    """Log everybody in, and give them a ticket to work on: both get lost by use."""
    if "target" not in request.fixturenames:
        return
    target: Target = request.getfixturevalue("target")
    for name, scopes in (("rita", ("read",)), ("ann", ALL)):
        target.people[name] = _logged_in(target, name, scopes)
    ticket = _ticket(target.store, next(target.count))
    held = target.store.tickets.claim(
        reviewer="ann", ticket_id=ticket, roles=("*",), lease=900.0
    )
    assert held is not None
    before = target.known["ticket_id"][-12:]
    target.known.update(ticket_id=(ticket, *before), token=(held.lease_token,))


def _known(told: Any, tickets: list[str]) -> dict[str, tuple[str, ...]]:
    pins = tuple(pin.id for pin in (told.old, told.new, told.bad))
    found = {
        "ticket_id": tuple(tickets),
        "answered": tuple(tickets[5:]),
        "route": ("triage",),
        "run": tuple(told.runs),
        "call": tuple(call.id for call in told.store.calls.list("prod", limit=3)),
        "digest": tuple(row.digest for row in told.store.list_evidence()),
        "name": ("console.css",),
        "pin": (told.bad.id,),
        "sure": (told.bad.id,),
        "reason": ("because",),
        "decide": ("accepted",),
        "op": ("submit",),
        "proposal": ("1",),
    }
    words: tuple[str, ...] = (
        "prod",
        "ann",
        "accepted",
        "dismissed",
        "submit",
        "check",
        "open",
    )
    words += ("closed", "1", "0", "7d", "2d", "true", told.function)
    return {**found, "": (*pins, *words, *(one[0] for one in found.values()))}


def _logged_in(target: Target, name: str, scopes: tuple[str, ...]) -> tuple[str, str]:
    """Return the cookie of a new session, and its form token."""
    if target.store.access.get_user(name) is None:
        user = AccessUser(name=name, scopes=scopes, roles=("*",))
        target.store.access.put_user(user)
        _token(target.store, name, scopes)
    with Person(target.app) as one:
        assert 303 == one.login(f"secret of {name}").status_code
        [(cookie, secret)] = one.cookies.items()
        return f"{cookie}={secret}", str(one.get("/session").json()["csrf"])


def _token(store: Store, name: str, scopes: tuple[str, ...]) -> str:
    secret = f"secret of {name}"
    token = AccessToken(id=f"token-{name}", user=name, scopes=scopes)
    store.access.add_token(token, secret_digest(secret))
    return secret


def _ticket(store: Store, number: int) -> str:
    new = NewTicket(
        id=f"fuzzed{number:02}",
        queue="triage",
        key=f"key-{number}",
        fingerprint=fingerprint(number),
        inputs={"ticket": HOSTILE[0]},
        schema=SCHEMA,
        function="app.triage",
        title=HOSTILE[0],
        outputs=({"tier": "rules", "kind": "low_confidence", "value": RIGHT},),
    )
    return store.tickets.enqueue(new).ticket.id


@cache
def _places() -> tuple[Place, ...]:
    """Return every route that the console has, whoever added it."""
    with TemporaryDirectory() as folder:
        store = make_store(f"{folder}/store.db", durable=False)
        made = console_app(store)
        store.close()
    return tuple(places(made.routes))


def test_every_part_is_among_them() -> None:
    """Enumerated from the application, so that none can be forgotten."""
    found = {place.path for place in _places()}
    assert {"/login", "/review/t/{ticket_id}/answer", "/versions/which"} <= found
    assert {"/cases/{ticket_id}", "/calls/call/{call}", "/health/events"} <= found
    assert "/api/v1/queue/tickets/{ticket_id}/steal" in found
    assert len(found) > 50


def _fuzz(target: Target, place: Place, examples: int) -> None:
    requests = asked(
        place,
        target.known,
        people=target.people,
        program="secret of bot",
    )
    before = target.held()

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )
    @given(one=requests)
    def whatever_is_asked(one: Any) -> None:
        nonlocal before
        note(repr(one)[:2_000])
        check(ask(target.runner, target.app, one))
        if one.may_change:
            before = target.held()
        else:
            assert before == target.held()

    whatever_is_asked()


@pytest.mark.parametrize("place", _places(), ids=lambda place: place.id)
def test_whatever_is_asked(target: Target, place: Place) -> None:
    """No crash, no trace of one, no stranger's tag, no change that nobody made."""
    _fuzz(target, place, 6)


@pytest.mark.slow
@pytest.mark.parametrize("place", _places(), ids=lambda place: place.id)
def test_whatever_is_asked_at_length(target: Target, place: Place) -> None:
    """The same, many times."""
    _fuzz(target, place, 60)


@pytest.mark.slow
@pytest.mark.parametrize("place", _places(), ids=lambda place: place.id)
def test_one_odd_text_at_a_time(target: Target, place: Place) -> None:
    """In each query and field that is read, where all else is as it should be."""
    cookie, csrf = target.people["ann"]
    before, failed = target.held(), list[str]()
    requests = list(singly(place, target.known, cookie=cookie, csrf=csrf))
    for one in requests:
        try:
            check(ask(target.runner, target.app, one))
        except Exception as error:  # noqa: BLE001 - all of them are told at the end
            failed.append(f"{one.query[:60]!r}: {error!r}"[:300])
    assert [] == failed
    assert requests[0].may_change or before == target.held()


HEADERS_FOUND = (
    ({"content-length": "\xb2"}, 413),
    ({"content-length": "9" * 5_000}, 413),
    ({"host": "localhost:]"}, 400),
    ({"host": "localhost:" + "9" * 5_000}, 400),
)
PATHS_FOUND = (
    ("/versions/route/triage?before=%C2%B2", 200),
    ("/versions/which?route=triage&at=999999999d", 200),
    ("/versions/which?route=triage&at=1e999d", 200),
    ("/review/?after=" + "%5B" * 3_000, 200),
    ("/review/?after=[%22c%22,NaN,%22x%22]", 200),
    ("/review/?after=[%22w%22,99999999999999999999999,null,%22x%22]", 200),
)


@pytest.mark.parametrize(("headers", "status"), HEADERS_FOUND, ids=repr)
def test_heads_that_were_errors_of_ours(
    target: Target, headers: dict[str, str], status: int
) -> None:
    """Numbers that are none, and hosts that no address can be made of."""
    raw_headers = [(k.encode(), v.encode("latin-1")) for k, v in headers.items()]
    if "host" not in headers:
        raw_headers.append((b"host", b"localhost"))
    found = ask(target.runner, target.app, _get("/login", raw_headers))
    check(found)
    assert status == found.status


@pytest.mark.parametrize(("path", "status"), PATHS_FOUND)
def test_queries_that_were_errors_of_ours(
    target: Target, path: str, status: int
) -> None:
    """Found by what is above; a page is shown, with a sentence or the first rows."""
    cookie = target.people["ann"][0].encode()
    one = _get(path, [(b"host", b"localhost"), (b"cookie", cookie)])
    found = ask(target.runner, target.app, one)
    check(found)
    assert status == found.status


def test_bytes_beyond_ascii_are_no_query(target: Target) -> None:
    """No server sends them; one that did would have met an error of ours."""
    one = replace(_get("/login", [(b"host", b"localhost")]), query=b"next=\x85")
    found = ask(target.runner, target.app, one)
    check(found)
    assert 400 == found.status


def test_a_link_delivers_nothing(target: Target) -> None:
    """An answer that a browser's session fetches needs the form token, as any act."""
    cookie, csrf = target.people["ann"]
    path = f"/api/v1/queue/tickets/{target.known['answered'][0]}/result"
    head = [(b"host", b"localhost"), (b"cookie", cookie.encode())]
    before = target.held()
    assert 403 == ask(target.runner, target.app, _get(path, head)).status
    assert before == target.held()
    head += [(b"origin", ORIGIN.encode()), (b"x-csrf-token", csrf.encode())]
    assert 200 == ask(target.runner, target.app, _get(path, head)).status


def _get(path: str, headers: list[tuple[bytes, bytes]]) -> Asked:
    place, _, query = path.partition("?")
    return Asked(
        method="GET",
        path=place,
        query=query.encode(),
        headers=tuple(headers),
        body=b"",
        may_change=False,
    )
