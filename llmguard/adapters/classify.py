"""From an exception to an outcome kind, without importing any SDK.

Errors are told apart by duck type: class names along the MRO, an HTTP status
(`status_code`, `response`), headers, and the provider's error code. So the same table
serves openai 2 and 3, anthropic, litellm, httpx, requests, urllib and plain sockets.

The detail never quotes a provider's message, a key or a prompt: class names, status,
error code and parameter only. The exception itself keeps the rest.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final, cast

from .._dataclass import dataclass
from ..errors import CallError, FallbackExhaustedError
from ..outcome import Kind
from . import _classify_http as http
from ._classify_local import classify_local, where_raised
from ._duck import class_names, get, get_text
from ._redact import redact

__all__ = ["Failure", "classify", "failure_from_body"]

_MAX_CAUSES: Final = 8

_FINISHED: Final = {
    "LengthFinishReasonError": Kind.TRUNCATED,  # openai, `.parse()`
    "IncompleteOutputException": Kind.TRUNCATED,  # instructor
    "ContextWindowExceededError": Kind.TRUNCATED,  # litellm
    "ContentFilterFinishReasonError": Kind.FILTERED,  # openai, `.parse()`
    "ContentPolicyViolationError": Kind.FILTERED,  # litellm
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What an exception means.

    Attributes:
        kind: The outcome kind.
        detail: One line for people, free of secrets and prompts.
        retry_after: Seconds the provider asks to wait; None when it does not.
    """

    kind: Kind
    detail: str
    retry_after: float | None = None


def classify(exc: BaseException, *, now: float | None = None) -> Failure:
    """Return the outcome kind of an exception.

    Args:
        exc: Whatever a tier raised.
        now: Epoch seconds, for `Retry-After` dates; None reads the machine's clock.

    Returns:
        The failure; `Kind.ERROR` for exceptions that no rule knows, which are the
        tier's own code at fault and not the model.
    """
    if isinstance(exc, FallbackExhaustedError):
        return Failure(kind=Kind.ERROR, detail="an inner guarded call failed")
    for cause in _chain(exc):
        if isinstance(cause, CallError):
            return _from_call_error(cause)
    if isinstance(exc, BaseExceptionGroup):
        return _from_group(cast("BaseExceptionGroup[BaseException]", exc), now)
    finished = next((k for n, k in _FINISHED.items() if n in class_names(exc)), None)
    if finished is not None:
        return Failure(kind=finished, detail=type(exc).__name__)
    try:
        found = _from_http(exc, time.time() if now is None else now)
    except Exception:  # noqa: BLE001 - a foreign exception's fields may raise anything
        found = None
    return found or _from_local(exc)


def failure_from_body(error: object) -> Failure:
    """Return the failure that an error object inside an answer stands for.

    Args:
        error: The `error` of a response with status 200 or of a failed run; None when
            the response simply holds no answer.
    """
    if error is None:
        return Failure(
            kind=Kind.TRANSPORT, detail="the response holds no answer (no choices)"
        )
    kind = http.kind_of_error(error) or Kind.TRANSPORT
    return Failure(kind=kind, detail=f"error in the answer{http.describe(error)}")


def _chain(exc: BaseException) -> Iterator[BaseException]:
    """Yield an exception and its explicit causes; SDKs wrap ours that way."""
    cause: BaseException | None = exc
    for _ in range(_MAX_CAUSES):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__


def _from_call_error(exc: CallError) -> Failure:
    wait = getattr(exc, "retry_after", None)
    retry_after = float(wait) if isinstance(wait, int | float) else None
    return Failure(kind=exc.kind, detail=redact(str(exc)), retry_after=retry_after)


def _from_group(group: BaseExceptionGroup[BaseException], now: float | None) -> Failure:
    """Return the first failure of a group that is not a mere cancellation."""
    failures = [classify(exc, now=now) for exc in group.exceptions]
    real = [f for f in failures if f.kind is not Kind.CANCELLED]
    return (real or failures)[0]


def _from_http(exc: BaseException, now: float) -> Failure | None:
    """Classify by HTTP status or by the provider's error code."""
    status = http.status_of(exc)
    error = http.error_of(exc)
    names = class_names(exc)
    if status is None and not (names & http.API_ERRORS and not names & http.NO_ANSWER):
        return None
    kind = http.kind_of_status(status, error, names)
    shown = "" if status is None else f" HTTP {status}"
    return Failure(
        kind=kind,
        detail=f"{type(exc).__name__}{shown}{http.describe(error)}",
        retry_after=http.retry_after(_headers(exc), now=now),
    )


def _from_local(exc: BaseException) -> Failure:
    kind = classify_local(exc)
    detail = where_raised(exc) if kind is Kind.ERROR else _transport_detail(exc)
    return Failure(kind=kind, detail=detail)


def _transport_detail(exc: BaseException) -> str:
    """Name the exception and the operating system's reason below it, if any."""
    for cause in _chain(exc):
        reason = get_text(cause, "strerror")
        if isinstance(cause, OSError) and reason:
            return f"{type(exc).__name__}: {reason}"
    causes = list(_chain(exc))
    below = f" from {type(causes[-1]).__name__}" if len(causes) > 1 else ""
    return f"{type(exc).__name__}{below}"


def _headers(exc: BaseException) -> Any:
    headers = get(get(exc, "response"), "headers")
    return get(exc, "headers") if headers is None else headers
