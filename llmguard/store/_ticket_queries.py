"""What is asked about tickets without changing them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final, cast

from ..errors import QueueError
from ._database import Connection
from ._ticket_rows import SELECT, record
from ._ticket_union import union
from .tickets import (
    EVERY_ROLE,
    LATE_CAP,
    WAITING,
    QueueStats,
    TicketRecord,
    TicketState,
)

__all__ = ["Listing", "counts", "cursor_of", "find", "listing", "stats"]

_DAY = 86400.0
_SAMPLE = 1_000
_FOUND = 10
_AT_ONCE = 500
_MINE = 10_000
_NEVER = 1e300
_LARGEST = 2.0**53
# The cap stands in the text: a parameter there makes PostgreSQL expect a tenth of the
# rows, and plan the statement anew each time where tickets are many.
_WAITING: Final = (
    "SELECT (SELECT min(created_at) FROM tickets "  # noqa: S608 - a constant
    "WHERE queue = :queue AND state IN ('open', 'claimed')) AS oldest, "
    "(SELECT count(*) FROM (SELECT 1 FROM tickets WHERE queue = :queue "
    "AND state IN ('open', 'claimed') AND due_at < :now AND due_at IS NOT NULL "
    f"LIMIT {LATE_CAP}) AS a) AS late, "
    "(SELECT count(*) FROM (SELECT 1 FROM ticket_callbacks WHERE queue = :queue "
    f"AND state = 'due' LIMIT {LATE_CAP}) AS b) AS due, "
    "(SELECT count(*) FROM (SELECT 1 FROM ticket_callbacks WHERE queue = :queue "
    f"AND state = 'dead' LIMIT {LATE_CAP}) AS c) AS dead"
)
_ENDED: Final = sorted(set(TicketState) - WAITING)
_DECIDED: Final = frozenset(
    {TicketState.ANSWERED, TicketState.DELIVERED, TicketState.REJECTED}
)
_LATEST: Final = " UNION ALL ".join(
    "SELECT * FROM (SELECT state, first_claimed_at - created_at AS claim, "  # noqa: S608 - constants
    f"closed_at - created_at AS close, losses FROM tickets WHERE state = '{state}' "
    "AND queue = :queue AND closed_at >= :since AND closed_at IS NOT NULL "
    f"ORDER BY closed_at DESC LIMIT {_SAMPLE}) AS {state}_ones"
    for state in _ENDED
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Which tickets are wanted; see `TicketStore.list`."""

    queue: str | None
    states: Collection[TicketState]
    limit: int
    after: Sequence[Any]
    assignee: str | None
    holder: str | None
    roles: Collection[str] | None

    def admits(self, role: str) -> bool:
        """Tell whether tickets for a role are wanted."""
        return (
            self.roles is None
            or not role
            or role in self.roles
            or EVERY_ROLE in self.roles
        )


def cursor_of(text: str) -> Sequence[Any]:
    """Return the place that a `page_cursor` names.

    Raises:
        QueueError: It is none.
    """
    if not text:
        return ()
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    parts = cast("list[object]", found) if isinstance(found, list) else []
    shape = [type(one) for one in parts]
    fits = (
        bool(parts)
        and (
            (found[:1] == ["w"] and len(shape) == 4 and shape[1] is int)  # noqa: PLR2004 - kind, priority, due, id
            or (found[:1] == ["c"] and len(shape) == 3 and shape[1] in {int, float})  # noqa: PLR2004 - kind, closed, id
        )
    )
    fits = fits and shape[-1] is str and shape[-2] in {int, float, type(None)}
    if not fits or not all(map(_storable, parts)):
        raise QueueError(
            f"`after` is {text!r}, which no page of tickets ended with; leave it out "
            "to start at the first page"
        )
    return cast("list[Any]", found)


def _storable(part: object) -> bool:
    """Tell whether both databases can compare something with a column."""
    if isinstance(part, str):
        return "\0" not in part and part.isprintable()
    return part is None or abs(cast("float", part)) < _LARGEST


def find(reader: Connection, part: str) -> list[str]:
    """Return ids that begin or end with `part`, which may hold no wildcard."""
    if not part.isalnum():
        return []
    rows = reader.execute(
        "SELECT id FROM tickets WHERE lower(id) LIKE ? OR lower(id) LIKE ? "
        "ORDER BY id DESC LIMIT ?",
        (f"{part.lower()}%", f"%{part.lower()}", _FOUND),
    )
    return [row[0] for row in rows]


def listing(reader: Connection, wanted: Listing) -> list[TicketRecord]:
    """Return tickets in the order of work, then closed ones, latest first."""
    places: list[tuple[Any, ...]] = []
    if wanted.after[:1] != ["c"]:
        for state in sorted(WAITING & set(wanted.states)):
            places += _in_state(reader, wanted, state)
        places.sort()
    ids = [place[-1] for place in places[: wanted.limit]]
    if len(ids) < wanted.limit:
        ended: list[tuple[Any, ...]] = []
        for state in sorted(set(wanted.states) - WAITING):
            ended += _closed_in_state(reader, wanted, state)
        ended.sort()
        ids += [place[-1] for place in ended[: wanted.limit - len(ids)]]
    return _records(reader, ids)


def _records(reader: Connection, ids: Sequence[str]) -> list[TicketRecord]:
    """Return tickets in the order of their ids; only these are read whole."""
    found: dict[str, TicketRecord] = {}
    for start in range(0, len(ids), _AT_ONCE):
        part = ids[start : start + _AT_ONCE]
        marks = ", ".join("?" * len(part))
        for row in reader.execute(f"{SELECT} WHERE t.id IN ({marks})", part):
            one = record(row)
            found[one.id] = one
    return [found[one] for one in ids if one in found]


def _due(due_at: float | None) -> float:
    return _NEVER if due_at is None else due_at


def _in_state(
    reader: Connection, wanted: Listing, state: TicketState
) -> list[tuple[Any, ...]]:
    """Return where the first tickets of every place stand, each by its index."""
    if wanted.assignee:
        return _assigned(reader, wanted, state)
    if wanted.holder is not None and state is not TicketState.CLAIMED:
        return []
    places = reader.execute(
        "SELECT queue, role FROM ticket_counts WHERE state = ? AND n > 0 "
        "AND (CAST(? AS TEXT) IS NULL OR queue = ?)",
        (str(state), wanted.queue, wanted.queue),
    ).fetchall()
    condition, values = _narrowed(wanted)
    if wanted.after:
        _, priority, due, last = wanted.after
        condition += (
            " AND t.priority <= ? AND (t.priority < ? OR "
            "coalesce(t.due_at, 1e300) > ? OR "
            "(coalesce(t.due_at, 1e300) = ? AND t.id > ?))"
        )
        values += [priority, priority, _due(due), _due(due), last]
    # The state is spelled out so that the partial index applies.
    sql = (
        "SELECT -t.priority AS urgency, coalesce(t.due_at, 1e300) AS due, t.id "  # noqa: S608 - constants
        f"FROM tickets t WHERE t.state = '{state}' AND t.queue = ? AND t.role = ?"
        f"{condition} "
        "ORDER BY t.priority DESC, coalesce(t.due_at, 1e300), t.id LIMIT ?"
    )
    each = [
        (place["queue"], place["role"], *values, wanted.limit)
        for place in places
        if wanted.admits(place["role"])
    ]
    return [tuple(row) for row in union(reader, sql, each)]


def _assigned(
    reader: Connection, wanted: Listing, state: TicketState
) -> list[tuple[Any, ...]]:
    """Return where the tickets of one person stand: not as many as are open."""
    condition, values = _narrowed(wanted)
    rows = reader.execute(
        "SELECT -t.priority AS urgency, coalesce(t.due_at, 1e300) AS due, t.id, "  # noqa: S608 - constants
        "t.queue, t.role FROM tickets t WHERE t.state IN ('open', 'claimed') "
        f"AND t.state = ?{condition} LIMIT ?",
        (str(state), *values, _MINE),
    )
    last: tuple[Any, ...] = ()
    if wanted.after:
        _, priority, due, name = wanted.after
        last = (-priority, _due(due), name)
    return [
        (row[0], row[1], row[2])
        for row in rows
        if wanted.queue in {None, row[3]}
        and wanted.admits(row[4])
        and (not last or (row[0], row[1], row[2]) > last)
    ]


def _narrowed(wanted: Listing) -> tuple[str, list[Any]]:
    condition, values = "", list[Any]()
    if wanted.assignee is not None:
        condition += " AND t.assignee = ?"
        # Spelled out so that the partial index applies.
        condition += " AND t.assignee <> ''" if wanted.assignee else ""
        values.append(wanted.assignee)
    if wanted.holder is not None:
        condition += " AND t.claimed_by = ?"
        values.append(wanted.holder)
    return condition, values


def _closed_in_state(
    reader: Connection, wanted: Listing, state: TicketState
) -> list[tuple[Any, ...]]:
    condition, values = _narrowed(wanted)
    if wanted.after[:1] == ["c"]:
        _, at, last = wanted.after
        condition += " AND t.closed_at <= ? AND (t.closed_at < ? OR t.id > ?)"
        values += [at, at, last]
    if wanted.roles is not None and EVERY_ROLE not in wanted.roles:
        roles = sorted({"", *wanted.roles})
        condition += f" AND t.role IN ({', '.join('?' * len(roles))})"
        values += roles
    queues = reader.execute(
        "SELECT DISTINCT queue FROM ticket_counts WHERE state = ? AND n > 0 "
        "AND (CAST(? AS TEXT) IS NULL OR queue = ?)",
        (str(state), wanted.queue, wanted.queue),
    ).fetchall()
    sql = (
        "SELECT -t.closed_at AS age, t.id FROM tickets t "  # noqa: S608 - constants
        f"WHERE t.closed_at IS NOT NULL AND t.state = '{state}' AND t.queue = ?"
        f"{condition} ORDER BY t.closed_at DESC, t.id LIMIT ?"
    )
    each = [(row["queue"], *values, wanted.limit) for row in queues]
    return [tuple(row) for row in union(reader, sql, each)]


def counts(
    reader: Connection, queue: str | None, roles: Collection[str] | None = None
) -> Mapping[str, Mapping[str, int]]:
    """Return tickets per queue and state, of those that `roles` may take."""
    found: dict[str, dict[str, int]] = {}
    own, values = "", list[str]()
    if roles is not None and EVERY_ROLE not in roles:
        values = sorted({"", *roles})
        own = f"AND role IN ({', '.join('?' * len(values))}) "
    rows = reader.execute(
        "SELECT queue, state, sum(n) AS n FROM ticket_counts "  # noqa: S608 - question marks
        f"WHERE (CAST(? AS TEXT) IS NULL OR queue = ?) {own}"
        "GROUP BY queue, state HAVING sum(n) > 0",
        (queue, queue, *values),
    )
    for row in rows:
        found.setdefault(row["queue"], {})[row["state"]] = row["n"]
    return found


def stats(reader: Connection, queue: str | None, now: float) -> Sequence[QueueStats]:
    """Return how each queue does, by name."""
    return [
        _queue_stats(reader, name, states, now)
        for name, states in sorted(counts(reader, queue).items())
    ]


def _queue_stats(
    reader: Connection, queue: str, states: Mapping[str, int], now: float
) -> QueueStats:
    waiting = reader.execute(_WAITING, {"queue": queue, "now": now}).fetchone()
    ended = reader.execute(_LATEST, {"queue": queue, "since": now - _DAY}).fetchall()
    claims = [row["claim"] for row in ended if row["claim"] is not None]
    closes = [row["close"] for row in ended if row["state"] in _DECIDED]
    oldest = waiting["oldest"]
    return QueueStats(
        queue=queue,
        counts=dict(states),
        oldest=None if oldest is None else max(0.0, now - oldest),
        late=waiting["late"],
        to_claim=median(claims) if claims else None,
        to_close=median(closes) if closes else None,
        lease_losses=sum(row["losses"] for row in ended),
        callbacks_due=waiting["due"],
        callbacks_dead=waiting["dead"],
    )
