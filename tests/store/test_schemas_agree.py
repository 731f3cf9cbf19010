"""Both backends have the same migrations, which make the same tables."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from store_backends import make_store, raw

from llmguard.store._migrate import load, migrate

PARTS = ("main", "metrics")
# Counts are rows of sessions on a server, and a view over them.
OWN = {"ticket_counts", "ticket_count_slots", "schema_migrations"}
KINDS = {
    "TEXT": "text",
    "REAL": "double precision",
    "INTEGER": "bigint",
    "BIGINT": "bigint",
}


@pytest.mark.parametrize("part", PARTS)
def test_the_same_migrations_are_there(part: str) -> None:
    """Each file has a twin; `migrations/postgresql` mirrors `migrations`."""
    ours = [one.name for one in load(part, "sqlite")]
    assert ours == [one.name for one in load(part, "postgresql")]


def _sqlite_columns(path: Path) -> set[tuple[str, str, str, bool]]:
    found: set[tuple[str, str, str, bool]] = set()
    for part in PARTS:
        with closing(sqlite3.connect(path / part, isolation_level=None)) as connection:
            migrate(connection, load(part), now=1.0)
            for (table,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' "
                "AND name NOT LIKE 'sqlite_%'"
            ).fetchall():
                for row in connection.execute(f"PRAGMA table_info({table})"):
                    needed = bool(row[3] or row[5])
                    found.add((table, row[1], KINDS[row[2]], needed))
    return {one for one in found if one[0] not in OWN}


def test_the_same_tables_come_of_them(tmp_path: Path, postgres_url: str) -> None:
    """Name by name, kind by kind, and what must not be NULL."""
    make_store(postgres_url).close()
    with raw(postgres_url) as connection:
        rows = connection.execute(
            "SELECT c.table_name, c.column_name, c.data_type, c.is_nullable = 'NO' "
            "FROM information_schema.columns c JOIN information_schema.tables t "
            "USING (table_schema, table_name) "
            "WHERE table_schema = current_schema() AND t.table_type = 'BASE TABLE'"
        ).fetchall()
    found = {tuple(row) for row in rows if row[0] not in OWN}
    assert _sqlite_columns(tmp_path) == found
