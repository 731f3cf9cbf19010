"""What a report needs to know of a run beside its samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..pins import Pin
from ._lines import Entry
from ._report import VersionInfo
from ._types import Arm

__all__ = ["Facts", "pin_document", "pin_from", "version_info"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """How a run was made and ended; the samples are elsewhere.

    Attributes:
        candidate: The version under test.
        incumbent: The version beside it; None for none.
        recorded: True when a baseline stood in for the incumbent.
        seed: Seed of the dispatch order.
        stopped: Why it ended.
        reason: More about an error.
        started: Epoch seconds.
        elapsed: Seconds.
        cost: US dollars; None when unknown.
        journal: Its path; empty for none.
        notes: What a reader must know.
    """

    candidate: Pin
    incumbent: Pin | None
    recorded: bool = False
    seed: int
    stopped: str
    reason: str = ""
    started: float
    elapsed: float
    cost: float | None
    journal: str = ""
    notes: tuple[str, ...] = ()


def pin_document(pin: Pin) -> dict[str, Any]:
    """Return a pin as JSON, with all that is needed to make it again."""
    return {"id": pin.id, "route": pin.route, "base": pin.base, **pin.entry()}


def pin_from(document: Mapping[str, Any]) -> Pin:
    """Make a pin again."""
    values = {name: value for name, value in document.items() if name != "id"}
    return Pin(**values)


def version_info(
    pin: Pin, arm: Arm, entries: Iterable[Entry], *, recorded: bool
) -> VersionInfo:
    """Return one arm as the report shows it."""
    served: Counter[str] = Counter()
    fingerprints: Counter[str] = Counter()
    calls, cost = 0, 0.0
    unpriced = False
    for entry in entries:
        sample = entry.sample
        if sample.arm != arm:
            continue
        calls += 1
        if sample.served_model:
            served[sample.served_model] += 1
        if sample.fingerprint:
            fingerprints[sample.fingerprint] += 1
        unpriced |= sample.cost is None and not sample.infrastructure
        cost += sample.cost or 0.0
    return VersionInfo(
        pin=pin.id,
        route=pin.route,
        provider=pin.provider,
        model=pin.model,
        served=dict(served.most_common()),
        fingerprints=dict(fingerprints.most_common()),
        calls=calls,
        cost=None if unpriced else cost,
        recorded=recorded,
    )
