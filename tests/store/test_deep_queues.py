"""What a queue is asked costs the same at any depth."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from many_tickets import fill
from store_backends import make_store, raw

from llmguard.store import Store, page_cursor
from llmguard.store._pg_sql import POSTGRESQL, rows_by_name, translate
from llmguard.store._setup import open_writer
from llmguard.store._ticket_next import next_open
from llmguard.store._ticket_queries import (
    Listing,
    counts,
    cursor_of,
    listing,
    stats,
)
from llmguard.store._ticket_steps import sweep
from llmguard.store.tickets import WAITING

NOW = 1_000_000.0
FEW, MANY = 1_000, 20_000
Ask = Callable[[Any], object]


def _listing(**more: Any) -> Ask:
    given: dict[str, Any] = {
        "queue": None,
        "states": WAITING,
        "limit": 50,
        "after": (),
        "assignee": None,
        "holder": None,
        "roles": None,
        **more,
    }
    return lambda connection: listing(connection, Listing(**given))


def _asks(store: Store) -> dict[str, Ask]:
    """Return what people, pages and metrics ask of a queue."""
    cursor = cursor_of(page_cursor(store.tickets.list(limit=100)[-1]))
    return {
        "list": _listing(),
        "one queue": _listing(queue="q1"),
        "a later page": _listing(after=cursor),
        "closed": _listing(states={"dead", "answered"}),
        "mine": _listing(assignee="ann"),
        "counts": lambda connection: counts(connection, None),
        "stats": lambda connection: stats(connection, None, NOW),
        "next": lambda connection: next_open(
            connection, queue=None, roles=["lead"], reviewer="ann"
        ),
        "sweep": lambda connection: sweep(connection, now=NOW, max_losses=5, limit=100),
    }


def _steps(path: Path, n: int) -> dict[str, int]:
    """Return the steps of SQLite's machine that each question takes, in hundreds."""
    store = make_store(str(path), durable=False)
    fill(store, str(path), n, now=NOW)
    asks = _asks(store)
    store.close()
    connection = open_writer(path, "OFF")
    found = {}
    for name, ask in asks.items():
        taken = 0

        def count() -> int:
            nonlocal taken
            taken += 1
            return 0

        connection.set_progress_handler(count, 100)
        ask(connection)
        connection.set_progress_handler(None, 100)
        found[name] = taken
    connection.close()
    return found


def test_sqlite_takes_as_many_steps(tmp_path: Path) -> None:
    """At most twice as many with twenty times the tickets, and a hundred."""
    few, many = (_steps(tmp_path / f"{n}.db", n) for n in (FEW, MANY))
    grown = {
        name: (few[name], many[name])
        for name in few
        # Late tickets are counted up to a bound that a thousand do not reach.
        if many[name] > (3 if name == "stats" else 2) * few[name] + 1
    }
    assert grown == {}


class _Explaining:
    """Runs statements on a server, and keeps their plans."""

    dialect = POSTGRESQL

    def __init__(self, connection: Any) -> None:
        import psycopg

        self._cursor = psycopg.RawCursor(connection, row_factory=rows_by_name)
        self.plans: list[str] = []

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        text, values = translate(sql, parameters)
        self._cursor.execute(b"EXPLAIN (FORMAT JSON) " + text, values)
        (plan,) = self._cursor.fetchall()
        self.plans.append(json.dumps(plan[0]))
        return self._cursor.execute(text, values)


@pytest.mark.parametrize("name", ["list", "a later page", "next", "stats", "sweep"])
def test_postgresql_reads_no_table_through(postgres_url: str, name: str) -> None:
    """Every question goes by an index."""
    store = make_store(postgres_url)
    fill(store, postgres_url, MANY, now=NOW)
    ask = _asks(store)[name]
    with raw(postgres_url) as connection:
        explaining = _Explaining(connection)
        ask(explaining)
    store.close()
    read_through = {
        node["Relation Name"]
        for plan in explaining.plans
        for node in _nodes(json.loads(plan))
        if node["Node Type"] == "Seq Scan"
    }
    assert read_through & {"tickets", "ticket_bodies", "ticket_events"} == set()


def _nodes(part: Any) -> Iterator[dict[str, Any]]:
    """Yield the nodes of a plan."""
    if isinstance(part, list):
        for one in part:
            yield from _nodes(one)
    elif isinstance(part, dict):
        if "Node Type" in part:
            yield part
        for value in part.values():
            yield from _nodes(value)
