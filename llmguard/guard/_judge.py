"""From what a tier gave back to an outcome kind: the one place where that is decided.

Order: an exception is classified; then the served version is compared with the pin;
then the contract judges; then the confidence is compared with the tier's minimum.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .._dataclass import dataclass
from ..adapters import classify, read_reply, reply_failure, verify_served
from ..errors import (
    CallError,
    CircuitOpenError,
    ContractError,
    Deferred,
    LLMGuardError,
    PinMismatchError,
    TierFailedError,
    TierTimeoutError,
    TierUnavailableError,
)
from ..outcome import Kind, Violation
from ..reply import Reply

if TYPE_CHECKING:
    from ..contract import Verdict
    from ..pins import Pin
    from ._commands import Result, Run

__all__ = ["Judged", "judge", "judge_reply", "to_error"]

_CONTRACT_KINDS = frozenset(
    {
        Kind.REFUSAL,
        Kind.TRUNCATED,
        Kind.FILTERED,
        Kind.EMPTY,
        Kind.BAD_JSON,
        Kind.SCHEMA,
        Kind.SEMANTIC,
        Kind.LOW_CONFIDENCE,
    }
)


@dataclass(slots=True, kw_only=True)
class Judged:
    """What one attempt amounts to."""

    kind: Kind
    value: object = None
    detail: str = ""
    violations: tuple[Violation, ...] = ()
    confidence: float | None = None
    retry_after: float | None = None
    reply: Reply | None = None
    verdict: Verdict | None = None
    error: Exception | None = None


def judge(run: Run, result: Result) -> Judged:
    """Decide how one attempt ended; objects that raise when read end in `error`."""
    try:
        if result.timed_out:
            return _late(run)
        if result.error is not None:
            return _judge_error(result.error)
        value = result.value
        if run.call.guard.contract is None and not isinstance(value, Reply):
            return _without_contract(run, value)
        return _judge_reply(run, _complete(run, value))
    except Exception as error:  # noqa: BLE001 - a foreign object may raise anything
        return _unreadable(error)


def _late(run: Run) -> Judged:
    if run.checking:  # which says nothing against the model
        detail = f"it answered, but was not checked within {run.timeout:.3g} s"
        return Judged(kind=Kind.ERROR, detail=detail)
    detail = f"no answer within {run.timeout:.3g} s"
    return Judged(kind=Kind.TIMEOUT, detail=detail)


def _unreadable(error: Exception) -> Judged:
    detail = f"reading it raised {type(error).__name__}"
    return Judged(kind=Kind.ERROR, detail=detail, error=error)


def judge_reply(run: Run, reply: Reply) -> Judged:
    """Judge an answer: the served version, the contract, the confidence."""
    try:
        return _judge_reply(run, reply)
    except Exception as error:  # noqa: BLE001 - a foreign object may raise anything
        return _unreadable(error)


def _judge_reply(run: Run, reply: Reply) -> Judged:
    pin = run.call.pins[run.step.index]
    mismatch = "" if pin is None else _served_problem(pin, reply)
    if mismatch:
        return Judged(kind=Kind.WRONG_MODEL, detail=mismatch, reply=reply)
    # Only such a reply can hold no answer at all; asking would cost a call.
    broken = reply_failure(reply) if reply.finish_reason == "error" else None
    if broken is not None:
        return Judged(kind=broken.kind, detail=broken.detail, reply=reply)
    contract = run.call.guard.contract
    if contract is None:
        return _text_of(reply)
    verdict = contract.judge(reply, run.call.inputs)
    confidence = reply.confidence if verdict.confidence is None else verdict.confidence
    judged = Judged(
        kind=verdict.kind,
        value=verdict.value,
        detail=verdict.detail,
        violations=verdict.violations,
        confidence=confidence,
        reply=reply,
        verdict=verdict,
    )
    minimum = run.step.options.min_confidence
    return judged if minimum is None else _unsure(judged, minimum)


def _unsure(judged: Judged, minimum: float) -> Judged:
    """Turn a good answer below the tier's confidence into `low_confidence`."""
    if judged.kind is not Kind.OK:
        return judged
    if judged.confidence is not None and judged.confidence >= minimum:
        return judged
    given = "no confidence" if judged.confidence is None else f"{judged.confidence:.3f}"
    judged.kind = Kind.LOW_CONFIDENCE
    judged.detail = f"{given}, the tier asks for {minimum:.3f}"
    return judged


def _judge_error(error: Exception) -> Judged:
    if isinstance(error, Deferred):
        return Judged(kind=Kind.SKIPPED, detail=str(error), error=error)
    if isinstance(error, CallError):
        violations = error.violations if isinstance(error, ContractError) else ()
        # Only a value can be an answer.
        kind = Kind.ERROR if error.kind is Kind.OK else error.kind
        return Judged(kind=kind, detail=str(error), violations=violations, error=error)
    if isinstance(error, LLMGuardError):
        # Ours to word, so that it names no prompt or secret: keep the repair.
        return Judged(kind=Kind.ERROR, detail=str(error), error=error)
    failure = classify(error)
    return Judged(
        kind=failure.kind,
        detail=failure.detail,
        retry_after=failure.retry_after,
        error=error,
    )


def _complete(run: Run, value: object) -> Reply:
    """Read the answer, and what the model handle saw where the body dropped it."""
    reply = value if isinstance(value, Reply) else read_reply(value)
    seen = None if run.model is None else run.model.last
    if seen is None or seen is reply:
        return reply
    # A body that returns only the text must not hide a refusal or another version.
    return replace(
        reply,
        finish_reason=reply.finish_reason or seen.finish_reason,
        refusal=reply.refusal or seen.refusal,
        served_model=reply.served_model or seen.served_model,
        fingerprint=reply.fingerprint or seen.fingerprint,
        usage=reply.usage or seen.usage,
        confidence=seen.confidence if reply.confidence is None else reply.confidence,
        prompt_digest=reply.prompt_digest or seen.prompt_digest,
    )


def _without_contract(run: Run, value: object) -> Judged:
    """Return the body's own object untouched; only the served version is checked."""
    reply = _complete(run, value)
    pin = run.call.pins[run.step.index]
    mismatch = "" if pin is None else _served_problem(pin, reply)
    if mismatch:
        return Judged(kind=Kind.WRONG_MODEL, detail=mismatch, reply=reply)
    judged = Judged(kind=Kind.OK, value=value, confidence=reply.confidence, reply=reply)
    minimum = run.step.options.min_confidence
    return judged if minimum is None else _unsure(judged, minimum)


def _text_of(reply: Reply) -> Judged:
    """Return the value or text of a `Reply` where no contract was declared."""
    if reply.has_value:
        return Judged(
            kind=Kind.OK, value=reply.value, confidence=reply.confidence, reply=reply
        )
    if reply.refusal is not None:
        return Judged(kind=Kind.REFUSAL, detail=reply.refusal[:200], reply=reply)
    if not reply.text:
        return Judged(kind=Kind.EMPTY, detail="the answer has no text", reply=reply)
    return Judged(
        kind=Kind.OK, value=reply.text, confidence=reply.confidence, reply=reply
    )


def _served_problem(pin: Pin, reply: Reply) -> str:
    if verify_served(pin, reply) != "mismatch":
        return ""
    mark = f" (fingerprint {reply.fingerprint!r})" if reply.fingerprint else ""
    return (
        f"pin `{pin.route}` names {pin.model!r} but the provider says it served "
        f"{reply.served_model!r}{mark}; run `llmguard pin check {pin.route}`"
    )


def to_error(judged: Judged, *, tier: str, pin: str) -> CallError:
    """Return the exception that stands for a failed attempt."""
    if isinstance(judged.error, CircuitOpenError | TierUnavailableError):
        return judged.error
    what = f"tier `{tier}` ended in `{judged.kind}`: {judged.detail or 'no detail'}"
    error: CallError
    if judged.kind in _CONTRACT_KINDS:
        more = [v for v in map(str, judged.violations[:3]) if v not in judged.detail]
        if more:
            what = f"{what} ({'; '.join(more)})"
        error = ContractError(
            what, kind=judged.kind, violations=judged.violations, tier=tier, pin=pin
        )
    elif judged.kind is Kind.TIMEOUT:
        error = TierTimeoutError(what, kind=judged.kind, tier=tier, pin=pin)
    elif judged.kind is Kind.WRONG_MODEL:
        error = PinMismatchError(what, kind=judged.kind, tier=tier, pin=pin)
    elif judged.kind is Kind.SKIPPED:
        error = TierUnavailableError(what, kind=judged.kind, tier=tier, pin=pin)
    else:
        error = TierFailedError(what, kind=judged.kind, tier=tier, pin=pin)
    error.__cause__ = judged.error
    return error
