"""One way to open, to tamper with and to check a store, whatever its backend is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from llmguard.clock import SYSTEM_CLOCK, Clock
from llmguard.store import SqliteStore, Store
from llmguard.store.tickets import MAX_LOSSES

__all__ = [
    "emptied",
    "integrity",
    "is_postgres",
    "make_store",
    "raw",
    "without_triggers",
]


def is_postgres(url: str) -> bool:
    """Return True for the URL of a server, False for a path."""
    return url.startswith("postgresql://")


def make_store(
    url: str,
    *,
    clock: Clock = SYSTEM_CLOCK,
    max_losses: int = MAX_LOSSES,
    durable: bool = True,
) -> Store:
    """Open a store; without durability for tests that have no disk to lose."""
    if is_postgres(url):
        from llmguard.store.postgres import PostgresStore

        return PostgresStore(url, clock=clock, max_losses=max_losses)
    return SqliteStore(
        url,
        clock=clock,
        max_losses=max_losses,
        synchronous="FULL" if durable else "OFF",
    )


@contextmanager
def raw(url: str) -> Iterator[Any]:
    """Give a connection to the tables, as an administrator has it."""
    if is_postgres(url):
        import psycopg

        place, _, schema = url.partition("?schema=")
        with psycopg.connect(place, autocommit=True) as connection:
            connection.execute(f"SET search_path TO {schema}".encode())
            yield connection
    else:
        with closing(sqlite3.connect(url, isolation_level=None)) as connection:
            yield connection


def without_triggers(url: str, statements: Sequence[str]) -> list[int]:
    """Change tables as one would who knows how; returns the rows that each changed."""
    with raw(url) as connection:
        if is_postgres(url):
            connection.execute(b"SET session_replication_role TO replica")
        else:
            rows = connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'trigger' "
                "AND sql LIKE '%RAISE%'"
            ).fetchall()
            for row in rows:
                connection.execute(f"DROP TRIGGER {row[0]}")
        return [connection.execute(one).rowcount for one in statements]


def emptied(url: str) -> str:
    """Delete all rows and return the URL: a new schema costs the server 200 files."""
    with raw(url) as connection:
        connection.execute(b"SET session_replication_role TO replica")
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() "
            "AND tablename NOT IN ('schema_migrations', 'revisions')"
        ).fetchall()
        for (table,) in tables:
            connection.execute(f"DELETE FROM {table}".encode())  # noqa: S608 - its names
        sequences = connection.execute(
            "SELECT sequencename FROM pg_sequences WHERE schemaname = current_schema()"
        ).fetchall()
        for (sequence,) in sequences:
            connection.execute(f"ALTER SEQUENCE {sequence} RESTART".encode())
    return url


def integrity(url: str) -> str:
    """Return `ok`, or what the database finds wrong with itself."""
    if not is_postgres(url):
        with closing(sqlite3.connect(url)) as connection:
            return str(connection.execute("PRAGMA integrity_check").fetchone()[0])
    store = make_store(url)
    problems = [
        one for one in store.health(thorough=True).problems if "off`" not in one
    ]
    store.close()
    return "\n".join(problems) or "ok"
