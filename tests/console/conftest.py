"""A console over a store of its own, and people who use it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, find_browser
from console_people import RIGHT, SCHEMA, WRONG, Person, Site
from starlette.applications import Starlette
from store_backends import make_store

from llmguard.store import NewTicket, Store, fingerprint
from llmguard.store.access import AccessToken, AccessUser, secret_digest
from llmguard.testing import VirtualClock
from llmguard_fallbacks.console import ConsoleSettings, console_app
from llmguard_fallbacks.console._run import running


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(epoch=1_000_000.0)


@pytest.fixture
def store(tmp_path: Path, clock: VirtualClock) -> Iterator[Store]:
    made = make_store(str(tmp_path / "store.db"), clock=clock, durable=False)
    yield made
    made.close()


@pytest.fixture
def add_user(store: Store) -> Callable[..., str]:
    """Add a user with a token, and return its secret."""

    def add(name: str, *scopes: str, roles: tuple[str, ...] = ()) -> str:
        given = scopes or ("read", "review")
        store.access.put_user(AccessUser(name=name, scopes=given, roles=roles))
        secret = f"secret of {name}"
        token = AccessToken(id=f"token-{name}", user=name, scopes=given)
        store.access.add_token(token, secret_digest(secret))
        return secret

    return add


@pytest.fixture
def make_app(store: Store, clock: VirtualClock) -> Callable[..., Starlette]:
    def make(**settings: Any) -> Starlette:
        return console_app(store, settings=ConsoleSettings(**settings), clock=clock)

    return make


@pytest.fixture
def app(make_app: Callable[..., Starlette]) -> Starlette:
    return make_app()


@pytest.fixture
def person(app: Starlette, add_user: Callable[..., str]) -> Callable[..., Person]:
    """Give somebody who is logged in."""

    def make(name: str = "ann", *scopes: str, **options: Any) -> Person:
        one = Person(app)
        assert 303 == one.login(add_user(name, *scopes, **options)).status_code
        return one

    return make


@pytest.fixture
def ask(store: Store, clock: VirtualClock) -> Callable[..., str]:
    """Make a ticket, and return its id."""
    count = iter(range(1, 10_000))

    def make(**fields: Any) -> str:
        number = next(count)
        given: dict[str, Any] = {
            "id": f"t{number:03}",
            "queue": "triage",
            "key": f"key-{number}",
            "fingerprint": fingerprint(number),
            "inputs": {"ticket": f"text {number}"},
            "schema": SCHEMA,
            "title": f"Ticket {number}",
            "reasons": (
                {
                    "tier": "primary",
                    "kind": "schema",
                    "pin": "p-1",
                    "detail": "one violation",
                    "violations": [{"path": "/items/0/count", "message": "is 0"}],
                },
            ),
            "outputs": (
                {"tier": "primary", "kind": "schema", "value": WRONG},
                {"tier": "rules", "kind": "low_confidence", "value": RIGHT},
            ),
        }
        return store.tickets.enqueue(NewTicket(**{**given, **fields})).ticket.id

    return make


@pytest.fixture(scope="session")
def commands() -> tuple[str, str]:
    """Give the browser and its driver; continuous integration must have them."""
    found = find_browser()
    if found is None:
        what = "no chromium with chromedriver: `apt-get install chromium-driver`"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(what)
    return found


@pytest.fixture
def browser(
    commands: tuple[str, str], tmp_path: Path
) -> Iterator[Callable[..., Browser]]:
    """Give browsers, each with cookies of its own."""
    opened: list[Browser] = []

    def make(**options: Any) -> Browser:
        profile = tmp_path / f"browser{len(opened)}"
        profile.mkdir()
        opened.append(Browser(commands, profile, **options))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Run consoles over one store."""
    store = make_store(str(tmp_path / "store.db"), durable=False)
    open_: list[Any] = []

    def make(**settings: Any) -> Site:
        app = console_app(store, settings=ConsoleSettings(**settings))
        open_.append(running(app))
        return Site(store, open_[-1].__enter__())

    yield make
    for one in open_:
        one.__exit__(None, None, None)
    store.close()
