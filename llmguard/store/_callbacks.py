"""The callbacks of tickets, as rows that one sender at a time holds."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import cast

from ..clock import Clock
from . import _ticket_steps as steps
from ._database import Connection, Database, Row
from ._ids import new_token
from .callbacks import SENDING, Callback, CallbackState

__all__ = ["SqlCallbacks"]

_COLUMNS = "id, ticket_id, url, state, attempts, next_at, lease_token, result"
_DUE = (
    "SELECT t.id FROM ticket_callbacks t WHERE t.state = 'due' AND t.next_at <= ? "
    "AND (CAST(? AS TEXT) IS NULL OR t.ticket_id = ?) ORDER BY t.next_at LIMIT 1"
)
_TAKE = (
    "UPDATE ticket_callbacks SET attempts = attempts + 1, next_at = ?, "  # noqa: S608 - constants
    f"lease_token = ? WHERE id = ? AND state = 'due' RETURNING {_COLUMNS}"
)
_SETTLE = (
    "UPDATE ticket_callbacks SET state = ?, next_at = ?, result = ?, "
    "lease_token = '' WHERE id = ? AND state = 'due' AND lease_token = ?"
)


class SqlCallbacks:
    """Implements `CallbackStore`."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def take(
        self, *, ticket_id: str | None = None, lease: float = SENDING
    ) -> Callback | None:
        """Take the next callback that is due."""
        now = self._clock.time()
        if not self._database.read(_DUE, (now, ticket_id, ticket_id)):
            return None  # the usual case, without a write

        def job(connection: Connection) -> Callback | None:
            sql = _DUE + connection.dialect.skip_locked
            found = connection.execute(sql, (now, ticket_id, ticket_id)).fetchone()
            if found is None:
                return None
            values = (now + lease, new_token(), found[0])
            row = connection.execute(_TAKE, values).fetchone()
            return None if row is None else _callback(row)

        return self._database.write(job, locks=())

    def sent(self, callback: Callback, *, result: str) -> bool:
        """Record that it arrived."""
        return self._settle(callback, "sent", "callback_sent", result, 0.0)

    def failed(self, callback: Callback, *, result: str, retry: float | None) -> bool:
        """Record that it did not arrive."""
        if retry is None:
            return self._settle(callback, "dead", "callback_dead", result, 0.0)
        at = self._clock.time() + retry
        words = f"{result}; again in {retry:.0f} s"
        return self._settle(callback, "due", "callback_failed", words, at)

    def list(
        self,
        *,
        ticket_id: str | None = None,
        states: Collection[CallbackState] = ("due", "dead"),
        limit: int = 100,
    ) -> Sequence[Callback]:
        """Return callbacks, oldest ticket first."""
        found: list[Callback] = []
        for state in sorted(states):
            if ticket_id is None:
                # Spelled out so that the partial indices apply.
                where, values = f"state = '{state}'", list[object]()
            else:
                where, values = "state = ? AND ticket_id = ?", [state, ticket_id]
            rows = self._database.read(
                f"SELECT {_COLUMNS} FROM ticket_callbacks WHERE {where} "  # noqa: S608 - the words are ours
                "ORDER BY id LIMIT ?",
                (*values, limit),
            )
            found += [_callback(row) for row in rows]
        return sorted(found, key=lambda one: one.id)[:limit]

    def _settle(
        self,
        callback: Callback,
        state: CallbackState,
        event: str,
        result: str,
        at: float,
    ) -> bool:
        now = self._clock.time()
        values = (state, at, result, callback.id, callback.lease_token)

        def job(connection: Connection) -> bool:
            ticket = steps.fetch(connection, callback.ticket_id, lock=True)
            if connection.execute(_SETTLE, values).rowcount != 1:
                return False
            steps.note(
                connection,
                ticket,
                now=now,
                event=event,
                actor="callback",
                detail=f"try {callback.attempts}: {result}",
            )
            return True

        return self._database.write(job, locks=())


def _callback(row: Row) -> Callback:
    return Callback(
        id=row["id"],
        ticket_id=row["ticket_id"],
        url=row["url"],
        state=cast("CallbackState", row["state"]),
        attempts=row["attempts"],
        next_at=row["next_at"],
        lease_token=row["lease_token"],
        result=row["result"],
    )
