"""What the interface says: tickets as JSON, and refusals as problems (RFC 9457)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import JSONResponse, Response

from llmguard.errors import QueueError
from llmguard.store import (
    AnswerRefusedError,
    AssignedError,
    LeaseLostError,
    Opinion,
    ReviewedError,
    RoleRequiredError,
    TicketRecord,
    TicketStateError,
    TicketUnknownError,
)

if TYPE_CHECKING:
    from .._visit import Visit

__all__ = ["answer", "explained", "problem", "safe_text", "ticket_json"]

PROBLEM: Final = "application/problem+json"
_TYPES: Final = "urn:llmguard:problem:"
_REFUSALS: Final[tuple[tuple[type[QueueError], int, str, str], ...]] = (
    (LeaseLostError, 409, "lease_lost", "holder"),
    (AssignedError, 409, "assigned", "assignee"),
    (TicketStateError, 409, "state", "state"),
    (ReviewedError, 409, "reviewed", ""),
    (RoleRequiredError, 403, "role_needed", ""),
)
_HIDDEN: Final = ("lease_token", "agreement", "expiry")


class _Json(JSONResponse):
    def render(self, content: Any) -> bytes:
        """Write half a surrogate pair, which a ticket may hold, as an escape."""
        import json

        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


def answer(document: object, status: int = 200, **headers: str) -> Response:
    """Return JSON."""
    named = {name.replace("_", "-").title(): text for name, text in headers.items()}
    return _Json(document, status_code=status, headers=named)


def safe_text(text: str) -> str:
    """Return text that a header or a log line can hold."""
    return text.encode("ascii", "replace").decode().replace("\n", " ")


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    **members: object,
) -> Response:
    """Return a refusal; programs tell them apart by `code`."""
    document = {
        "type": f"{_TYPES}{code}",
        "title": code.replace("_", " "),
        "status": status,
        "detail": detail,
        "code": code,
        **members,
    }
    return _Json(
        document, status_code=status, headers=dict(headers or {}), media_type=PROBLEM
    )


def explained(error: QueueError) -> Response:
    """Return the problem that stands for a refused step."""
    if isinstance(error, AnswerRefusedError):
        return problem(
            422,
            "answer_refused",
            "the answer does not fit the contract's schema",
            errors=[
                {"path": one.path, "message": one.message, "check": one.check}
                for one in error.violations
            ],
        )
    if isinstance(error, TicketUnknownError):
        return problem(404, "unknown_ticket", "there is no such ticket for you")
    for kind, status, code, member in _REFUSALS:
        if isinstance(error, kind):
            more = {member: str(getattr(error, member))} if member else {}
            return problem(status, code, str(error), headers=None, **more)
    return problem(400, "refused", str(error))


def ticket_json(
    visit: Visit,
    record: TicketRecord,
    opinions: Sequence[Opinion] = (),
    *,
    blind: bool,
) -> dict[str, object]:
    """Return a ticket; its lease token for its holder alone.

    Args:
        visit: Who asks.
        record: The ticket.
        opinions: Shown only when they cannot sway anybody any more, or to whoever
            decides between them.
        blind: Leave out what tiers said, and the sentences that may quote it.
    """
    found: dict[str, object] = {
        field.name: getattr(record, field.name)
        for field in dataclasses.fields(record)
        if field.name not in _HIDDEN
    }
    found["state"] = str(record.state)
    for name in ("schema", "inputs", "labels"):
        part: Any = found[name]
        found[name] = None if part is None else dict(part)
    for name in ("reasons", "outputs"):
        parts: Any = found[name]
        found[name] = list(parts)
    if blind:
        found["outputs"] = []
        found["reasons"] = [_unquoted(one) for one in record.reasons]
    found["agreement"] = record.agreement.to_json()
    found["expiry"] = record.expiry.to_json()
    if record.claimed_by and record.claimed_by == visit.principal.name:
        found["lease_token"] = record.lease_token
    if record.closed_at is not None or record.adjudicating:
        found["given"] = [
            {"reviewer": one.reviewer, "at": one.at, "answer": one.answer}
            for one in opinions
        ]
    return found


def _unquoted(reason: Mapping[str, object]) -> dict[str, object]:
    return {**reason, "detail": "", "violations": []}
