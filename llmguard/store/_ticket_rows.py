"""Tickets as rows: the columns, and the way from and to them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from ._damaged import readable
from ._database import Row
from .policies import Agreement, Expiry
from .tickets import NewTicket, TicketEvent, TicketRecord, TicketState

__all__ = ["BODY", "SELECT", "body_values", "decode", "encode", "event", "record"]

_HOT: Final = (
    "id", "queue", "state", "role", "priority", "created_at", "due_at", "expires_at",
    "fingerprint", "waiters", "claims", "losses", "first_claimed_at", "claimed_by",
    "lease_token", "lease_until", "answer", "closed_by", "closed_at", "note",
    "assignee", "reviewers", "opinions", "adjudicating", "callbacks", "purged_at",
)  # fmt: skip
BODY: Final = (
    "function", "call_id", "contract", "schema_digest", "schema", "pin", "title",
    "instructions", "inputs", "reasons", "outputs", "labels", "agreement", "expiry",
    "redacted",
)  # fmt: skip
_ENCODER: Final = json.JSONEncoder(allow_nan=False, separators=(",", ":"))
_JSON: Final = frozenset(
    {"schema", "inputs", "reasons", "outputs", "labels", "agreement", "expiry"}
)

SELECT: Final = (
    "SELECT "  # noqa: S608 - the names are the constants above
    + ", ".join([f"t.{name}" for name in _HOT] + [f"b.{name}" for name in BODY])
    + " FROM tickets t JOIN ticket_bodies b ON b.ticket_id = t.id "
)


def encode(value: object) -> str:
    """Return compact JSON; escapes keep even lone surrogates storable."""
    return _ENCODER.encode(value)


def decode(text: str) -> Any:
    """Return the value of stored JSON."""
    return json.loads(text)


def body_values(new: NewTicket) -> tuple[object, ...]:
    """Return the wide columns of a new ticket, in the order of `BODY`."""
    return tuple(
        encode(_plain(getattr(new, name))) if name in _JSON else getattr(new, name)
        for name in BODY
    )


def _plain(value: object) -> object:
    if isinstance(value, Agreement | Expiry):
        return value.to_json()
    if isinstance(value, Mapping):
        return dict(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - json checks the content
    return list(value) if isinstance(value, tuple) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - likewise


def record(row: Row) -> TicketRecord:
    """Return the ticket of a row of `SELECT`.

    Raises:
        StoreError: The row is damaged.
    """
    with readable(f"ticket {row['id']!r}"):
        return _record(row)


def _record(row: Row) -> TicketRecord:
    columns: dict[str, Any] = {name: row[name] for name in (*_HOT, *BODY)}
    columns.update({name: decode(columns[name]) for name in _JSON})
    columns["state"] = TicketState(columns["state"])
    columns["agreement"] = Agreement.from_json(columns["agreement"])
    columns["expiry"] = Expiry.from_json(columns["expiry"])
    columns["adjudicating"] = bool(columns["adjudicating"])
    columns["redacted"] = bool(columns["redacted"])
    columns["answered"] = columns["answer"] is not None
    if columns["answered"]:
        columns["answer"] = decode(columns["answer"])
    return TicketRecord(**columns)


def event(row: Row) -> TicketEvent:
    """Return the event of a row of `ticket_events`."""
    return TicketEvent(
        seq=row["seq"],
        ticket_id=row["ticket_id"],
        at=row["at"],
        event=row["event"],
        from_state=row["from_state"],
        to_state=row["to_state"],
        actor=row["actor"],
        detail=row["detail"],
    )
