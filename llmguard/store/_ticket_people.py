"""How people share tickets out among themselves, and what is kept of old ones."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from . import _ticket_steps as steps
from ._database import Connection
from ._ids import new_token
from ._ticket_opinions import refuse_second
from ._ticket_table import TicketTable, not_in
from .problems import TicketStateError
from .tickets import LEASE, WAITING, TicketRecord, TicketState

__all__ = ["SharedTickets"]

_REVIVED = frozenset({TicketState.DEAD, TicketState.EXPIRED})
_SKIP = (
    "INSERT INTO ticket_skips VALUES (?, ?, ?, ?) ON CONFLICT (ticket_id, reviewer) "
    "DO UPDATE SET at = excluded.at, reason = excluded.reason"
)
_KEEP = "UPDATE tickets SET assignee = ? WHERE id = ?"
_REARM = (
    "UPDATE ticket_callbacks SET state = 'due', attempts = 0, next_at = ?, "
    "lease_token = '' WHERE ticket_id = ? AND state = 'dead'"
)
_WAIT = (
    "UPDATE ticket_callbacks SET state = 'waiting', lease_token = '' "
    "WHERE ticket_id = ? AND state IN ('due', 'dead')"
)
_OLD = (
    "SELECT id FROM tickets t WHERE t.closed_at < ? AND t.closed_at IS NOT NULL "
    "AND t.purged_at IS NULL ORDER BY t.closed_at LIMIT ?"
)
_PURGE = (
    "UPDATE tickets SET answer = NULL, note = '', purged_at = ? WHERE id = ?",
    (
        "UPDATE ticket_bodies SET inputs = '{}', outputs = '[]', reasons = '[]', "
        "labels = '{}', expiry = '{}', title = '', instructions = '' "
        "WHERE ticket_id = ?"
    ),
    "DELETE FROM ticket_opinions WHERE ticket_id = ?",
    "DELETE FROM ticket_skips WHERE ticket_id = ?",
    "DELETE FROM ticket_callbacks WHERE ticket_id = ?",
    "UPDATE ticket_labels SET differs = '[]' WHERE ticket_id = ?",
    "DELETE FROM ticket_cases WHERE ticket_id = ? AND state <> 'accepted'",
    "UPDATE ticket_events SET detail = '' WHERE ticket_id = ?",
)


class SharedTickets(TicketTable):
    """Skips, steals, assignments, revivals and purges; see `TicketStore`."""

    def skip(
        self,
        ticket_id: str,
        *,
        reviewer: str,
        reason: str,
        token: str | None = None,
        roles: Collection[str] = (),
    ) -> TicketRecord:
        """Pass a ticket over: others come first for it."""
        now = self._clock.time()
        token = token or None

        def job(connection: Connection) -> TicketRecord:
            ticket = steps.fetch(connection, ticket_id, lock=True)
            if token is None or token != ticket.lease_token:
                ticket = self._current(connection, ticket_id, now)
            steps.entitle(ticket, token=token, roles=roles, reviewer=reviewer)
            connection.execute(_SKIP, (ticket.id, reviewer, now, reason))
            kept = "" if ticket.assignee == reviewer else ticket.assignee
            if token is None:
                # Nobody's turn ends: a late answer of the last holder still counts.
                connection.execute(_KEEP, (kept, ticket.id))
                steps.note(
                    connection,
                    ticket,
                    now=now,
                    event="skipped",
                    actor=reviewer,
                    detail=reason,
                )
                return steps.fetch(connection, ticket.id)
            return steps.move(
                connection,
                ticket,
                TicketState.OPEN,
                now=now,
                event="skipped",
                actor=reviewer,
                detail=reason,
                lease_token="",
                lease_until=None,
                claimed_by="",
                assignee=kept,
            )

        return self._database.write(job, spare=True, locks=())

    def steal(
        self,
        ticket_id: str,
        *,
        reviewer: str,
        reason: str,
        roles: Collection[str] = (),
        lease: float = LEASE,
    ) -> TicketRecord:
        """Take a ticket from whoever holds it or has it assigned."""
        now = self._clock.time()

        def job(connection: Connection) -> TicketRecord:
            ticket = self._current(connection, ticket_id, now)
            held = ticket.state is TicketState.CLAIMED
            # By the current token, so that only state and role are in the way.
            steps.entitle(
                ticket, token=ticket.lease_token if held else None, roles=roles
            )
            steps.refuse_role(ticket, roles)
            refuse_second(connection, ticket, reviewer)
            if ticket.assignee not in {"", reviewer}:
                connection.execute(_KEEP, ("", ticket.id))
            holder = ticket.claimed_by or ticket.assignee
            if ticket.assignee != reviewer:
                ticket = replace(ticket, assignee="")
            return steps.claim(
                connection,
                ticket,
                now=now,
                reviewer=reviewer,
                lease=lease,
                event="stolen" if holder else "claimed",
                detail=f"from {holder}: {reason}" if holder else reason,
            )

        return self._database.write(job, spare=True, locks=())

    def assign(
        self, ticket_id: str, *, to: str, actor: str, reason: str = ""
    ) -> TicketRecord:
        """Keep a waiting ticket for one person; `to=""` gives it back to all."""
        now = self._clock.time()

        def job(connection: Connection) -> TicketRecord:
            ticket = steps.fetch(connection, ticket_id, lock=True)
            if ticket.state not in WAITING:
                raise not_in(ticket, "waiting, so there is nothing to assign")
            connection.execute(_KEEP, (to, ticket.id))
            words = f"to {to}" if to else "to anybody"
            steps.note(
                connection,
                ticket,
                now=now,
                event="assigned",
                actor=actor,
                detail=f"{words}: {reason}" if reason else words,
            )
            return steps.fetch(connection, ticket.id)

        return self._database.write(job, spare=True, locks=())

    def revive(
        self,
        ticket_id: str,
        *,
        actor: str,
        reason: str,
        expires_at: float | None = None,
    ) -> TicketRecord:
        """Open a dead or expired ticket again, or send dead callbacks again."""
        now = self._clock.time()

        def job(connection: Connection) -> TicketRecord:
            ticket = self._current(connection, ticket_id, now)
            if ticket.state not in _REVIVED or ticket.purged_at is not None:
                if not connection.execute(_REARM, (now, ticket.id)).rowcount:
                    raise _nothing_dead(ticket)
                steps.note(
                    connection,
                    ticket,
                    now=now,
                    event="callbacks_revived",
                    actor=actor,
                    detail=reason,
                )
                return steps.fetch(connection, ticket.id)
            # Nobody is told of an end that was none; the next one is due to all.
            connection.execute(_WAIT, (ticket.id,))
            return steps.move(
                connection,
                ticket,
                TicketState.OPEN,
                now=now,
                event="revived",
                actor=actor,
                detail=reason,
                losses=0,
                answer=None,
                closed_at=None,
                closed_by="",
                note="",
                expires_at=expires_at,
                lease_token=new_token(),
                lease_until=None,
                claimed_by="",
            )

        return self._database.write(job, spare=True, locks=())

    def purge(self, *, closed_before: float, actor: str, limit: int = 500) -> int:
        """Delete the content of tickets closed before then; returns how many."""
        now = self._clock.time()

        def job(connection: Connection) -> int:
            sql = _OLD + connection.dialect.skip_locked
            rows = connection.execute(sql, (closed_before, limit)).fetchall()
            for row in rows:
                _purge(connection, row[0], now, actor)
            return len(rows)

        return self._database.write(job, spare=True, locks=())


def _purge(connection: Connection, ticket_id: str, now: float, actor: str) -> None:
    for number, sql in enumerate(_PURGE):
        connection.execute(sql, (ticket_id,) if number else (now, ticket_id))
    ticket = steps.fetch(connection, ticket_id)
    steps.note(connection, ticket, now=now, event="purged", actor=actor)


def _nothing_dead(ticket: TicketRecord) -> TicketStateError:
    if ticket.purged_at is not None:
        return not_in(ticket, "there any more: its content was purged")
    return not_in(ticket, "dead or expired, and none of its callbacks was given up")
