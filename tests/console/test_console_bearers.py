"""Who tries wrong bearer tokens is slowed down, and fills no audit."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from console_people import Person
from starlette.applications import Starlette

from llmguard.store import Store
from llmguard.testing import VirtualClock
from llmguard_fallbacks.console._bearers import Bearers
from llmguard_fallbacks.console._problems import LoginNeededError, RefusedError

QUEUE = "/api/v1/queue/tickets"


def bearer(app: Starlette, secret: str, address: str = "192.0.2.1") -> Any:
    """Ask for the queue as a program does."""

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "client": (address, 1234)}, receive, send)

    program = Person(outer, headers={"authorization": f"Bearer {secret}"})
    return program.get(QUEUE)


def rows(store: Store, action: str) -> int:
    return len(store.access.audited(action=action))


def test_wrong_tokens_are_slowed_down(
    app: Starlette, store: Store, clock: VirtualClock, add_user: Callable[..., str]
) -> None:
    """Ten a minute and address; then none is looked up, and the right one waits too."""
    secret = add_user("bot")
    assert [401] * 10 == [bearer(app, f"x{n}").status_code for n in range(10)]
    refused = bearer(app, secret)
    assert (429, "6") == (refused.status_code, refused.headers["retry-after"])
    assert "too_many_tokens" == refused.json()["error"]["code"]
    assert 200 == bearer(app, secret, "192.0.2.2").status_code
    clock.advance(6.0)
    assert 401 == bearer(app, "another").status_code
    assert 429 == bearer(app, "one more").status_code


def test_programs_at_a_guessers_address_work_on(
    app: Starlette, add_user: Callable[..., str]
) -> None:
    """A token that was right before is let in, and gives the guesser no turn back."""
    secret = add_user("bot")
    assert 200 == bearer(app, secret).status_code
    guesses = [bearer(app, f"x{n}").status_code for n in range(12)]
    assert [401] * 10 + [429] * 2 == guesses
    assert 200 == bearer(app, secret).status_code
    assert 429 == bearer(app, "another").status_code


def test_a_revoked_token_is_a_wrong_one(
    app: Starlette, store: Store, add_user: Callable[..., str]
) -> None:
    """Having been right opens nothing; a program that goes on with it is limited."""
    secret = add_user("bot")
    assert 200 == bearer(app, secret).status_code
    store.access.revoke_token("token-bot")
    tries = [bearer(app, secret).status_code for _ in range(12)]
    assert [401] * 10 + [429] * 2 == tries


def test_wrong_tokens_do_not_lock_people_out(
    app: Starlette, add_user: Callable[..., str]
) -> None:
    """The login page counts for itself."""
    secret, ann = add_user("ann"), Person(app)
    wrong = Person(app, headers={"authorization": "Bearer x"})
    assert 429 == [wrong.get(QUEUE).status_code for _ in range(11)][-1]
    assert 303 == ann.login(secret).status_code


def test_wrong_tokens_do_not_fill_the_audit(
    app: Starlette, store: Store, clock: VirtualClock
) -> None:
    """One row a minute and address says that some failed, one that it was limited."""
    for _ in range(2):
        for number in range(50):
            bearer(app, f"not the secret {number}")
        clock.advance(60.0)
    bearer(app, "not the secret", "192.0.2.2")
    assert (3, 2) == (rows(store, "token.failed"), rows(store, "token.limited"))
    found = store.access.audited(action="token.")
    assert {"192.0.2.1", "192.0.2.2"} == {one.address for one in found}
    assert "not the secret" not in repr(found)


def test_many_guesses_at_once_are_counted(store: Store, clock: VirtualClock) -> None:
    """Those that passed the look before the first one failed are told no more."""
    bearers = Bearers(store, 10, clock=clock)

    def guess(number: int) -> type[Exception]:
        with pytest.raises(RefusedError) as caught:
            bearers.admit(f"x{number}", "192.0.2.1")
        return type(caught.value)

    with ThreadPoolExecutor(20) as pool:
        told = list(pool.map(guess, range(60)))
    assert 10 == told.count(LoginNeededError)
