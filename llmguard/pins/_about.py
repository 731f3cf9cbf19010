"""The evidence about a pin, whichever of its digests the document names it by."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..store import EvidenceRow, EvidenceStore
    from ._pin import Pin

__all__ = ["evidence_about"]


def evidence_about(
    store: EvidenceStore,
    pin: Pin,
    *,
    kinds: Collection[str] = (),
    function: str | None = None,
    since: float = 0.0,
    limit: int = 100,
) -> list[EvidenceRow]:
    """Return the documents about a pin, newest first.

    Evidence is filed under `Pin.identity`: a new owner or shutdown date voids none.
    Documents that were filed under `Pin.digest` or `Pin.id` before that are found
    while the entry is what it was then. Approvals are no evidence in this sense: they
    bind the whole entry, and are read by `Pin.digest` alone.

    Args:
        store: Where evidence is kept.
        pin: What it is about.
        kinds: Only documents of these kinds, such as `shadow`; empty for all.
        function: Only about this function; None for any.
        since: Only documents made at or after this, in epoch seconds.
        limit: Most documents read under each of its digests.

    Raises:
        StoreError: The store cannot be read.
    """
    rows = {
        row.digest: row
        for name in (pin.identity, pin.digest, pin.id)
        for row in store.list_evidence(
            function=function, pin_digest=name, kinds=kinds, since=since, limit=limit
        )
    }
    return sorted(rows.values(), key=lambda row: (-row.at, row.digest))
