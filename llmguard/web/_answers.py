"""What an ended call is over HTTP: 202 for a ticket, problem documents for failures.

Problem documents follow RFC 9457. They say what kind of thing failed and what to do,
never what a model wrote or a user sent: `detail` holds no text that a contract, a tier
or a provider made.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from .._dataclass import dataclass
from ..errors import (
    CallError,
    CircuitOpenError,
    ContractError,
    Deferred,
    FallbackExhaustedError,
    StoreError,
)
from ..outcome import Kind, Outcome

__all__ = [
    "Answer",
    "answer_for",
    "bad_request",
    "headers_of",
    "json_answer",
    "leaf",
    "problem",
]

_PROBLEM: Final = "application/problem+json"
_TYPES: Final = "urn:llmguard:problem:"
_NO_STORE: Final = ("Cache-Control", "no-store")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole response.

    Attributes:
        status: HTTP status.
        headers: Names and values, `Content-Type` among them.
        body: Bytes.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def json_answer(
    status: int,
    document: Mapping[str, object],
    *headers: tuple[str, str],
    media_type: str = "application/json",
) -> Answer:
    """Return a JSON response that nobody caches."""
    body = json.dumps(document, ensure_ascii=False, default=str).encode()
    return Answer(
        status=status,
        headers=(("Content-Type", media_type), _NO_STORE, *headers),
        body=body,
    )


def problem(
    status: int,
    name: str,
    title: str,
    *,
    detail: str = "",
    retry_after: float | None = None,
    **members: object,
) -> Answer:
    """Return a problem document.

    Args:
        status: HTTP status.
        name: Last part of its `type` URN; programs tell problems apart by it.
        title: One sentence, the same for every problem of this name.
        detail: What to do about this one.
        retry_after: Seconds; also sent as `Retry-After`.
        **members: Further members, left out when None.
    """
    document: dict[str, object] = {
        "type": f"{_TYPES}{name}",
        "title": title,
        "status": status,
    }
    if detail:
        document["detail"] = detail
    document |= {key: value for key, value in members.items() if value is not None}
    headers: tuple[tuple[str, str], ...] = ()
    if retry_after is not None:
        headers = (("Retry-After", _whole(retry_after)),)
    return json_answer(status, document, *headers, media_type=_PROBLEM)


def bad_request(error: Exception) -> Answer:
    """Return the 400 of a request whose headers mean nothing."""
    return problem(
        400, "request", "The request cannot be understood.", detail=str(error)
    )


def deferred(ticket_id: str, location: str, retry_after: float) -> Answer:
    """Return the 202 of a call that a person will answer."""
    return json_answer(
        202,
        {"status": "pending", "ticket": ticket_id, "location": location},
        ("Location", location),
        ("Retry-After", _whole(retry_after)),
    )


def leaf(error: BaseException) -> BaseException:
    """Return what a task group wrapped, when it wrapped only one thing."""
    while (
        isinstance(error, BaseExceptionGroup)
        and not isinstance(error, FallbackExhaustedError)
        and len(error.exceptions) == 1  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] - any group
    ):
        error = error.exceptions[0]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - any group
    return error  # pyright: ignore[reportUnknownVariableType] - narrowed to BaseException


def answer_for(
    error: BaseException, *, location: str = "", retry_after: float = 5.0
) -> Answer | None:
    """Return the response to an exception of ours; None for any other.

    Args:
        error: What the application raised.
        location: Where a `Deferred` answer will be; empty when it is not served.
        retry_after: Seconds, for what says no better.
    """
    if isinstance(error, Deferred):
        return deferred(error.ticket_id, location, retry_after)
    if isinstance(error, FallbackExhaustedError):
        return _exhausted(error, retry_after)
    if isinstance(error, CallError):
        return _failed(error, retry_after)
    if isinstance(error, StoreError):
        return problem(
            503,
            "store",
            "The durable store cannot take this request now.",
            detail="Send it again later; nothing was lost.",
            retry_after=retry_after,
        )
    return None


def headers_of(
    outcomes: Sequence[Outcome], shown: Iterable[str], request_id: str, id_header: str
) -> list[tuple[str, str]]:
    """Return the headers that tell the story of a request's guarded calls.

    With several calls, tier and version are those of the last one; `degraded` is true
    when any of them was.
    """
    wanted = frozenset(shown)
    found: list[tuple[str, str]] = []
    if request_id and "request-id" in wanted:
        found.append((id_header, request_id))
    if not outcomes:
        return found
    last = outcomes[-1]
    if "tier" in wanted and last.tier:
        found.append(("X-LLMGuard-Tier", _visible(last.tier)))
    if "degraded" in wanted:
        degraded = any(outcome.degraded for outcome in outcomes)
        found.append(("X-LLMGuard-Degraded", "true" if degraded else "false"))
    if "version" in wanted and last.pin:
        found.append(("X-LLMGuard-Version", _visible(last.pin)))
    return found


def _exhausted(error: FallbackExhaustedError, retry_after: float) -> Answer:
    tiers = [
        {"tier": each.tier, "kind": str(each.kind)}
        for each in error.exceptions
        if isinstance(each, CallError)
    ]
    waits = [
        each.retry_after
        for each in error.exceptions
        if isinstance(each, CircuitOpenError) and each.retry_after is not None
    ]
    return problem(
        503,
        "exhausted",
        "No tier could answer.",
        detail="Send it again after `Retry-After`.",
        retry_after=min(waits, default=retry_after),
        call=None if error.outcome is None else error.outcome.call_id,
        tiers=tiers,
    )


def _failed(error: CallError, retry_after: float) -> Answer:
    kind = error.kind
    if isinstance(error, ContractError):
        return problem(
            502,
            "contract",
            "The model's answer broke its contract and was withheld.",
            kind=str(kind),
            violations=len(error.violations),
        )
    if kind is Kind.TIMEOUT:
        return problem(504, "timeout", "No answer within the deadline.")
    if kind is Kind.BAD_REQUEST:
        return problem(
            502,
            "bad_request",
            "The model's provider refuses this request.",
            detail="Sending the same again changes nothing.",
            kind=str(kind),
        )
    wait = error.retry_after if isinstance(error, CircuitOpenError) else None
    return problem(
        503,
        "unavailable",
        "The model cannot answer now, and nothing stands in for it.",
        retry_after=retry_after if wait is None else wait,
        kind=str(kind),
    )


def _whole(seconds: float) -> str:
    return str(max(1, math.ceil(seconds)))


def _visible(text: str) -> str:
    """Keep a name from breaking out of its header."""
    if text.isascii() and text.isprintable():
        return text[:200]
    return "".join(sign if " " <= sign <= "~" else "?" for sign in text)[:200]
