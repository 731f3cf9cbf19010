"""Labels and cases, as rows beside their tickets."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, cast

from ..clock import Clock
from . import _ticket_steps as steps
from ._database import Connection, Database, Row, where
from ._ticket_rows import decode, encode
from .feedback import CaseState, ProposedCase, TicketLabel
from .tickets import EVERY_ROLE

__all__ = ["SqlFeedback"]

_CASES: Final = (
    "SELECT c.ticket_id, c.state, c.at, c.function, c.decided_at, c.decided_by, "
    "c.note, c.body, t.answer, b.inputs, b.contract, b.redacted FROM ticket_cases c "
    "JOIN tickets t ON t.id = c.ticket_id "
    "JOIN ticket_bodies b ON b.ticket_id = c.ticket_id "
)
_KEPT: Final = "(c.body <> '' OR t.answer IS NOT NULL)"
_DECIDE: Final = (
    "UPDATE ticket_cases SET state = ?, decided_at = ?, decided_by = ?, note = ?, "
    "body = ? WHERE ticket_id = ?"
)


class SqlFeedback:
    """Implements `FeedbackStore`."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def labels(
        self,
        *,
        function: str | None = None,
        since: float = 0.0,
        limit: int = 10_000,
    ) -> Sequence[TicketLabel]:
        """Return labels, newest first."""
        wanted, values = where({"function = ?": function, "at >= ?": since})
        rows = self._database.read(
            f"SELECT * FROM ticket_labels {wanted} "  # noqa: S608 - constants
            "ORDER BY at DESC, ticket_id, place LIMIT ?",
            (*values, limit),
        )
        return [_label(row) for row in rows]

    def cases(
        self,
        *,
        state: CaseState = "proposed",
        function: str | None = None,
        roles: Collection[str] | None = None,
        limit: int = 100,
    ) -> Sequence[ProposedCase]:
        """Return cases, oldest first."""
        wanted, values = where({"c.state = ?": state, "c.function = ?": function})
        if roles is not None and EVERY_ROLE not in roles:
            own = sorted({"", *roles})
            wanted += f" AND t.role IN ({', '.join('?' * len(own))})"
            values += own
        rows = self._database.read(
            f"{_CASES}{wanted} AND {_KEPT} ORDER BY c.at, c.ticket_id LIMIT ?",
            (*values, limit),
        )
        return [_case(row) for row in rows]

    def decide(
        self,
        ticket_id: str,
        *,
        state: CaseState,
        actor: str,
        note: str = "",
        inputs: Mapping[str, object] | None = None,
    ) -> ProposedCase:
        """Accept or dismiss a case; deciding again is allowed."""
        now = self._clock.time()

        def job(connection: Connection) -> ProposedCase:
            ticket = steps.fetch(connection, ticket_id, lock=True)
            case = _found(connection, ticket.id)
            if case is None:
                raise steps.unknown_case(ticket.id)
            body: dict[str, object] = {
                "inputs": dict(case.inputs if inputs is None else inputs),
                "expected": case.expected,
                "contract": case.contract,
                "redacted": case.redacted and inputs is None,
            }
            kept = encode(body) if state == "accepted" else ""
            connection.execute(_DECIDE, (state, now, actor, note, kept, ticket.id))
            words = f"case {state}" + (f": {note}" if note else "")
            steps.note(
                connection, ticket, now=now, event="case", actor=actor, detail=words
            )
            return cast("ProposedCase", _found(connection, ticket.id))

        return self._database.write(job, locks=())


def _found(connection: Connection, ticket_id: str) -> ProposedCase | None:
    row = connection.execute(
        f"{_CASES} WHERE c.ticket_id = ? AND {_KEPT}", (ticket_id,)
    ).fetchone()
    return None if row is None else _case(row)


def _case(row: Row) -> ProposedCase:
    kept: dict[str, Any] = decode(row["body"]) if row["body"] else {}
    answer = row["answer"]
    return ProposedCase(
        ticket_id=row["ticket_id"],
        state=cast("CaseState", row["state"]),
        at=row["at"],
        function=row["function"],
        contract=kept.get("contract", row["contract"]),
        inputs=kept["inputs"] if kept else decode(row["inputs"]),
        expected=kept["expected"] if kept else decode(answer),
        redacted=bool(kept.get("redacted", row["redacted"])),
        decided_at=row["decided_at"],
        decided_by=row["decided_by"],
        note=row["note"],
    )


def _label(row: Row) -> TicketLabel:
    return TicketLabel(
        ticket_id=row["ticket_id"],
        place=row["place"],
        at=row["at"],
        function=row["function"],
        pin=row["pin"],
        tier=row["tier"],
        kind=row["kind"],
        confidence=row["confidence"],
        agrees=bool(row["agrees"]),
        differs=tuple(decode(row["differs"])),
    )
