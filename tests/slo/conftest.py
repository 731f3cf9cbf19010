"""Outcomes by the dozen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from llmguard.outcome import Attempt, Kind, Outcome


def _attempt(kind: Kind, **fields: Any) -> Attempt:
    given: dict[str, Any] = {
        "tier": "triage",
        "tier_index": 0,
        "number": 1,
        "started": 0.0,
        "elapsed": 0.2,
        "pin": "p-1",
    }
    return Attempt(**{**given, "kind": kind, **fields})


@pytest.fixture
def outcome() -> Callable[..., Outcome]:
    """Make an outcome of attempts given as kinds or as ready attempts."""

    def make(*tries: Kind | Attempt, **fields: Any) -> Outcome:
        attempts = tuple(
            one if isinstance(one, Attempt) else _attempt(one) for one in tries
        )
        last = attempts[-1] if attempts else None
        ok = last is not None and last.kind is Kind.OK
        given: dict[str, Any] = {
            "call_id": "c",
            "function": "app.triage",
            "kind": last.kind if last else Kind.SKIPPED,
            "tier": last.tier if last and ok else "",
            "tier_index": last.tier_index if last and ok else -1,
            "attempts": attempts,
            "elapsed": 0.5,
        }
        return Outcome(**{**given, **fields})

    return make


@pytest.fixture
def attempt() -> Callable[..., Attempt]:
    """Make one attempt."""
    return _attempt
