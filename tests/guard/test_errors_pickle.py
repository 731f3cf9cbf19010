"""Exceptions cross process borders whole: type, words and attributes."""

from __future__ import annotations

import copy
import pickle

import pytest

from llmguard.errors import (
    CallError,
    CircuitOpenError,
    ConfigError,
    ContractError,
    Deferred,
    FallbackExhaustedError,
    LLMGuardError,
    TierFailedError,
    TierTimeoutError,
)
from llmguard.outcome import Attempt, Kind, Outcome, Violation
from llmguard.store import (
    AnswerRefusedError,
    LeaseLostError,
    QueueFullError,
    StoreBusyError,
    TicketStateError,
)

BREACH = Violation(path="/age", message="is too large", check="maximum")
ATTEMPT = Attempt(
    tier="a", tier_index=0, number=1, kind=Kind.TIMEOUT, started=0.0, elapsed=1.0
)


def _exhausted() -> FallbackExhaustedError:
    one = TierTimeoutError("too slow", kind=Kind.TIMEOUT, tier="a", pin="p-1")
    group = FallbackExhaustedError("no tier answered", [one])
    group.outcome = Outcome(
        call_id="1",
        function="f",
        kind=Kind.TIMEOUT,
        tier="",
        tier_index=-1,
        attempts=(ATTEMPT,),
    )
    return group


ERRORS = [
    ConfigError("wrong"),
    TierFailedError("failed", kind=Kind.ERROR, tier="a", pin="p-1"),
    TierTimeoutError("too slow", kind=Kind.TIMEOUT, tier="a"),
    ContractError("broken", kind=Kind.SCHEMA, violations=[BREACH]),
    CircuitOpenError("open", kind=Kind.OPEN, retry_after=1.5, quarantined=True),
    Deferred("t-1", queue="triage"),
    _exhausted(),
    StoreBusyError("busy", written=None),
    TicketStateError("answered", ticket_id="t-1", state="answered"),
    LeaseLostError("lost", ticket_id="t-1", holder="Ada"),
    QueueFullError("full", queue="triage", limit=3),
    AnswerRefusedError("refused", violations=[BREACH]),
]


def _facts(error: Exception) -> dict[str, object]:
    held = error.exceptions if isinstance(error, FallbackExhaustedError) else ()
    return {
        "type": type(error),
        "text": str(error),
        "held": [_facts(each) for each in held],
        **vars(error),
    }


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_an_exception_comes_back_as_it_was(error: Exception, protocol: int) -> None:
    """As `ProcessPoolExecutor` and `multiprocessing` hand them to the caller."""
    written = pickle.dumps(error, protocol)
    assert _facts(error) == _facts(pickle.loads(written))  # noqa: S301 - our own bytes


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_exception_can_be_copied(error: Exception) -> None:
    """`copy` goes the same way as `pickle`."""
    assert _facts(error) == _facts(copy.copy(error))


def _subclasses(cls: type[Exception]) -> set[type[Exception]]:
    return {cls}.union(*(_subclasses(each) for each in cls.__subclasses__()))


def test_no_subclass_loses_the_way_back() -> None:
    """A new exception may not shadow what makes them picklable."""
    ours = _subclasses(LLMGuardError)
    assert CallError in ours
    assert set() == {
        cls for cls in ours if cls.__reduce__ is not LLMGuardError.__reduce__
    }
