"""Which documents are about a pin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from llmguard.pins import Pin, evidence_about
from llmguard.store import EvidenceRow, SqliteStore

PIN = Pin(
    route="triage",
    provider="openai",
    model="gpt-5.2-2025-12-11",
    version_class="versioned",
    owner="ml-team",
)
MOVED = replace(PIN, owner="platform", lifecycle={"shutdown": "2027-01-01"})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "store.db")
    yield store
    store.close()


def keep(store: SqliteStore, name: str, at: float, kind: str = "shadow") -> None:
    row = EvidenceRow(
        digest=f"sha256:{at}",
        kind=kind,
        function="app.triage",
        subject="s",
        pin_digest=name,
        verdict="PROMOTE",
        at=at,
        body="{}",
    )
    store.put_evidence(row)


def test_a_new_owner_voids_no_evidence(store: SqliteStore) -> None:
    """Evidence is about what decides behaviour; the newest comes first."""
    keep(store, PIN.identity, 1.0)
    keep(store, PIN.identity, 2.0)
    assert PIN.digest != MOVED.digest
    assert [2.0, 1.0] == [row.at for row in evidence_about(store, MOVED)]


def test_older_documents_are_found_while_the_entry_is_the_same(
    store: SqliteStore,
) -> None:
    """They were filed under the whole entry, or under the short id."""
    keep(store, PIN.digest, 3.0)
    keep(store, PIN.id, 2.0)
    keep(store, PIN.identity, 1.0)
    assert [3.0, 2.0, 1.0] == [row.at for row in evidence_about(store, PIN)]
    assert [2.0, 1.0] == [row.at for row in evidence_about(store, MOVED)]


def test_kind_function_and_age_narrow_the_list(store: SqliteStore) -> None:
    """Each by itself; nothing asked for is everything."""
    keep(store, PIN.identity, 1.0)
    keep(store, PIN.identity, 2.0, kind="suite")
    found = evidence_about(store, PIN, kinds=("suite", "probe"))
    assert ["suite"] == [row.kind for row in found]
    assert [] == evidence_about(store, PIN, function="app.other")
    assert [2.0] == [row.at for row in evidence_about(store, PIN, since=1.5)]
