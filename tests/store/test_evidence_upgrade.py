"""A store of an older version gets its new tables and keeps its rows."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from llmguard.store import BreakerRow, SqliteStore
from llmguard.store._migrate import load, migrate


def test_a_store_without_evidence_is_brought_up_to_date(tmp_path: Path) -> None:
    """Breakers of the first schema are there after evidence was added."""
    path = tmp_path / "old.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA application_id = {0x4C4C4D47}")
    migrate(connection, load("main")[:1], now=1.0)
    connection.execute(
        "INSERT INTO breakers VALUES ('f|p', 'quarantined', '', 1, NULL, 1, 'ann')"
    )
    connection.close()
    store = SqliteStore(path)
    row = BreakerRow(key="f|p", state="quarantined", since=1.0, rev=1, actor="ann")
    assert [row] == list(store.list_breakers())
    assert [] == list(store.list_evidence())
    assert load("main")[-1].name == store.health().schema
    store.close()
