"""The store behind PgBouncer, which gives each transaction another session."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from postgres_server import PostgresServer
from store_backends import make_store

from llmguard.store import Action, BreakerRow, NewEntry, NewTicket

New = Callable[..., NewTicket]


@pytest.fixture
def behind(
    postgres_server: PostgresServer, postgres_url: str
) -> Iterator[Callable[[str], Any]]:
    """Open the test's schema through PgBouncer in some mode."""
    with ExitStack() as stack:

        def make(mode: str) -> Any:
            try:
                port = stack.enter_context(postgres_server.bouncer(mode))
            except FileNotFoundError:
                missing = "no `pgbouncer`: `apt-get install pgbouncer`"
                (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
            here = f"127.0.0.1:{postgres_server.port}"
            store = make_store(postgres_url.replace(here, f"127.0.0.1:{port}"))
            stack.callback(store.close)
            return store

        yield make


def test_everything_works_in_transaction_mode(
    behind: Callable[[str], Any], new_ticket: New
) -> None:
    """Eight threads over five sessions; no setting is left in one."""
    store = behind("transaction")
    for _ in range(40):
        store.tickets.enqueue(new_ticket(schema=None))

    def work(name: int) -> list[str]:
        taken: list[str] = []
        while (ticket := store.tickets.claim(reviewer=str(name))) is not None:
            token = ticket.lease_token
            store.tickets.answer(ticket.id, name, reviewer=str(name), token=token)
            taken.append(ticket.id)
        return taken

    with ThreadPoolExecutor(8) as pool:
        taken = [one for part in pool.map(work, range(8)) for one in part]
    assert 40 == len(taken) == len(set(taken))
    entry = NewEntry(
        env="prod", route="a", pin="p", action=Action.PROMOTE, base_rev=0, actor="ann"
    )
    assert 1 == store.ledger.append(entry).rev
    assert store.ledger.verify().ok
    store.beat("p", {})
    assert 1 == len(store.processes())
    before = store.version()
    store.put_breaker(BreakerRow(key="k", state="open"))
    assert before != store.version()


def test_settings_do_not_leak(
    behind: Callable[[str], Any], postgres_server: PostgresServer
) -> None:
    """Another program that gets our session finds it as it was."""
    store = behind("transaction")
    store.put_breaker(BreakerRow(key="k", state="open"))
    store.list_breakers()
    with store._pool.lend(float("inf")) as wire:
        assert wire.pooled
        for name, expected in (
            ("search_path", '"$user", public'),
            ("statement_timeout", "0"),
        ):
            assert expected == wire.ask(f"SHOW {name}")[0][0]
    assert not postgres_server.ask(
        "SELECT 1 FROM pg_stat_activity WHERE state = 'idle in transaction'"
    )


@pytest.mark.parametrize(("mode", "hears"), [("transaction", False), ("session", True)])
def test_notifications_are_tried_out(
    behind: Callable[[str], Any], mode: str, hears: bool
) -> None:
    """Where they do not arrive polling is enough, and the health check tells."""
    store = behind(mode)
    store.listen(lambda: None)
    assert store._bell.settled.wait(30.0)
    assert hears is store.hears
    assert hears is not any("by polling" in note for note in store.health().notes)


def test_listeners_of_the_same_process_are_called(behind: Callable[[str], Any]) -> None:
    """Without the server's help too."""
    store = behind("transaction")
    heard = threading.Event()
    store.listen(heard.set)
    assert store._bell.settled.wait(30.0)
    heard.clear()
    store.put_breaker(BreakerRow(key="k", state="open"))
    assert heard.is_set()
