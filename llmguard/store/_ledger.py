"""The ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ..clock import Clock
from ._database import NO_LIMIT, Connection, Database, Row, where
from ._ledger_check import check
from ._ledger_rows import (
    COLUMNS,
    as_columns,
    as_entry,
    digest,
    dump_state,
    load_state,
)
from .ledger import (
    Action,
    Entry,
    LedgerCheck,
    LedgerConflictError,
    NewEntry,
    RouteState,
)
from .ledger_moves import fold, judge, step

__all__ = ["SNAPSHOT_EVERY", "SqlLedger"]

SNAPSHOT_EVERY = 64
"""Entries of one route between two stored states: at most 63 steps to any state."""

_NAMES = ", ".join(COLUMNS)
_INSERT = f"INSERT INTO ledger VALUES ({', '.join(':' + name for name in COLUMNS)})"  # noqa: S608 - constants
_LAST = "SELECT rev, at, hash FROM ledger ORDER BY rev DESC LIMIT 1"
_ONE = f"SELECT {_NAMES} FROM ledger WHERE rev = ?"  # noqa: S608 - constants
_HEAD = "SELECT state FROM ledger_heads WHERE env = ? AND route = ?"
_PUT_HEAD = (
    "INSERT INTO ledger_heads VALUES (?, ?, ?, ?) "
    "ON CONFLICT (env, route) DO UPDATE SET rev = excluded.rev, state = excluded.state"
)
_SNAPSHOT = (
    "SELECT state FROM ledger_snapshots WHERE env = ? AND route = ? AND rev <= ? "
    "ORDER BY rev DESC LIMIT 1"
)
_REV_AT = "SELECT rev FROM ledger WHERE at <= ? ORDER BY at DESC, rev DESC LIMIT 1"
_LOCKS = ("ledger",)
_URGENT = (Action.ROLLBACK, Action.QUARANTINE)


class SqlLedger:
    """Implements `LedgerStore`."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def append(self, entry: NewEntry) -> Entry:
        """Write a move durably and return its row."""
        # Going back must work on a full disk too.
        return self._database.write(
            lambda connection: self._append(connection, entry),
            spare=entry.action in _URGENT,
            locks=_LOCKS,
        )

    def ledger_rev(self) -> int:
        """Return the last revision, 0 when empty; cheap to poll."""
        rows = self._database.read("SELECT coalesce(max(rev), 0) FROM ledger")
        return int(rows[0][0])

    def entries(
        self,
        *,
        env: str | None = None,
        route: str | None = None,
        since_rev: int = 0,
        until: float | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> Sequence[Entry]:
        """Return rows after `since_rev`, up to and including the time `until`."""
        last = None if until is None else self._rev_at(until)
        bounds = {"env = ?": env, "route = ?": route, "rev <= ?": last}
        wanted, values = where({"rev > ?": since_rev, **bounds})
        rows = self._database.read(
            f"SELECT {_NAMES} FROM ledger {wanted} "  # noqa: S608 - constants
            f"ORDER BY rev {'DESC' if newest_first else ''} LIMIT ?",
            (*values, NO_LIMIT if limit is None else limit),
        )
        return [as_entry(dict(row)) for row in rows]

    def route_state(
        self, env: str, route: str, *, at: float | None = None
    ) -> RouteState:
        """Return a route's state, now or at an epoch time; empty without entries."""
        if at is None:
            rows = self._database.read(_HEAD, (env, route))
            return _state(env, route, rows)
        rows = self._database.read(_SNAPSHOT, (env, route, self._rev_at(at)))
        state = _state(env, route, rows)
        later = self.entries(env=env, route=route, since_rev=state.rev, until=at)
        return fold(state, later)

    def route_states(
        self, env: str, *, at: float | None = None
    ) -> Mapping[str, RouteState]:
        """Return the state of every route of `env` that had entries, by name."""
        rows = self._database.read(
            "SELECT route, state FROM ledger_heads WHERE env = ? ORDER BY route", (env,)
        )
        if at is None:
            return {row[0]: load_state(env, row[0], row[1]) for row in rows}
        found = {row[0]: self.route_state(env, row[0], at=at) for row in rows}
        return {route: state for route, state in found.items() if state.rev}

    def verify(self) -> LedgerCheck:
        """Walk the chain from the start and name the first row that is wrong."""
        return check(self._database, every=SNAPSHOT_EVERY)

    def _rev_at(self, at: float) -> int:
        rows = self._database.read(_REV_AT, (at,))
        return int(rows[0][0]) if rows else 0

    def _append(self, connection: Connection, new: NewEntry) -> Entry:
        heads = connection.execute(_HEAD, (new.env, new.route)).fetchall()
        state = _state(new.env, new.route, heads)
        if new.base_rev != state.rev:
            raise _conflict(connection, state, new)
        entry = _make(connection, state, new, self._clock.time())
        connection.execute(_INSERT, as_columns(entry))
        after = step(state, entry)
        row = (new.env, new.route, entry.rev, dump_state(after))
        connection.execute(_PUT_HEAD, row)
        if after.count % SNAPSHOT_EVERY == 0:
            connection.execute("INSERT INTO ledger_snapshots VALUES (?, ?, ?, ?)", row)
        return entry


def _state(env: str, route: str, rows: Sequence[Row]) -> RouteState:
    if not rows:
        return RouteState(env=env, route=route)
    return load_state(env, route, rows[0][0])


def _make(
    connection: Connection, state: RouteState, new: NewEntry, now: float
) -> Entry:
    move = judge(state, new)
    last = connection.execute(_LAST).fetchone()
    rev, at, prev_hash = last or (0, now, "")
    columns: dict[str, Any] = {
        "rev": rev + 1,
        # A clock set back must not change what ran at a time already answered for.
        "at": float(max(now, at)),
        "env": new.env,
        "route": new.route,
        "pin": new.pin,
        "weight": new.weight,
        "prev_pin": move.prev_pin,
        "base_rev": new.base_rev,
        "lock_digest": new.lock_digest,
        "actor": new.actor,
        "reason": new.reason,
        "prev_hash": prev_hash,
        "hash": "",
    }
    plain = Entry(
        **columns,
        action=new.action,
        from_stage=move.from_stage,
        to_stage=move.to_stage,
        evidence=new.evidence,
        approvals=tuple(dict(one) for one in new.approvals),
    )
    stored = as_columns(plain)
    return as_entry({**stored, "hash": digest(stored)})


def _conflict(
    connection: Connection, state: RouteState, new: NewEntry
) -> LedgerConflictError:
    where = f"route {new.route!r} of {new.env!r}"
    again = (
        f"read `ledger.route_state({new.env!r}, {new.route!r})` again and, if the "
        f"decision still holds, append it with `base_rev={state.rev}`"
    )
    row = connection.execute(_ONE, (state.rev,)).fetchone()
    if row is None:
        return LedgerConflictError(
            f"{where} has no entry, yet `base_rev` is {new.base_rev}; {again}",
            rev=state.rev,
            last=None,
        )
    last = as_entry(dict(row))
    moment = datetime.fromtimestamp(last.at, UTC).isoformat(timespec="seconds")
    return LedgerConflictError(
        f"{where} is at revision {state.rev}, not {new.base_rev}: {last.actor!r} moved "
        f"pin {last.pin!r} to {last.to_stage.value!r} at {moment}; {again}",
        rev=state.rev,
        last=last,
    )
