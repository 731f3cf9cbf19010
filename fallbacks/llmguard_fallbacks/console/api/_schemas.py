"""The documents of the interface, as JSON Schema."""

from __future__ import annotations

from typing import Any, Final

from llmguard.store import TicketState

__all__ = ["STATES", "case_schema", "problem_schema", "ticket_schema"]

Json = dict[str, Any]

STATES: Final = [str(state) for state in TicketState]
_NUMBER_OR_NULL: Final[Json] = {"type": ["number", "null"]}


def problem_schema() -> Json:
    """Return what a refusal looks like (RFC 9457)."""
    return {
        "type": "object",
        "required": ["type", "title", "status", "detail", "code"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "code": {"type": "string", "description": "What programs go by."},
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["path", "message", "check"],
                    "properties": {
                        "path": {"type": "string"},
                        "message": {"type": "string"},
                        "check": {"type": "string"},
                    },
                },
            },
        },
    }


def ticket_schema() -> Json:
    """Return what a ticket looks like, as far as programs should rely on it."""
    return {
        "type": "object",
        "required": ["id", "queue", "state", "inputs", "answered", "answer"],
        "properties": {
            "id": {"type": "string"},
            "queue": {"type": "string"},
            "state": {"enum": STATES},
            "role": {"type": "string"},
            "priority": {"type": "integer"},
            "created_at": {"type": "number"},
            "due_at": _NUMBER_OR_NULL,
            "expires_at": _NUMBER_OR_NULL,
            "claimed_by": {"type": "string"},
            "lease_token": {"type": "string", "description": "For its holder alone."},
            "lease_until": _NUMBER_OR_NULL,
            "assignee": {"type": "string"},
            "reviewers": {"type": "integer"},
            "opinions": {"type": "integer"},
            "inputs": {"type": "object"},
            "schema": {"type": ["object", "null"]},
            "reasons": {"type": "array"},
            "outputs": {"type": "array"},
            "answered": {"type": "boolean"},
            "answer": {},
            "note": {"type": "string"},
        },
    }


def case_schema() -> Json:
    """Return what a proposed case looks like."""
    return {
        "type": "object",
        "required": ["ticket_id", "state", "function", "inputs", "expected"],
        "properties": {
            "ticket_id": {"type": "string"},
            "state": {"enum": ["proposed", "accepted", "dismissed"]},
            "function": {"type": "string"},
            "inputs": {"type": "object"},
            "expected": {},
            "redacted": {"type": "boolean"},
        },
    }
