"""A walk along the ledger's chain that names the first row somebody changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import StoreError
from ._database import Connection, Database
from ._ledger_rows import COLUMNS, as_columns, as_entry, digest, dump_state
from .ledger import LedgerCheck, LedgerMoveError, NewEntry, RouteState
from .ledger_moves import judge, step

__all__ = ["check"]

_CHUNK = 1_000
_ROWS = f"SELECT {', '.join(COLUMNS)} FROM ledger WHERE rev > ? ORDER BY rev LIMIT ?"  # noqa: S608 - constants
_SNAPSHOTS = "SELECT env, route, rev, state FROM ledger_snapshots WHERE rev > ?"
_HEADS = "SELECT env, route, rev, state FROM ledger_heads ORDER BY env, route"

Columns = Mapping[str, object]
Key = tuple[str, str]


class _Bad(Exception):  # noqa: N818 - how a walk ends, seen by nobody
    def __init__(self, rev: int, problem: str, columns: tuple[str, ...] = ()) -> None:
        super().__init__(problem)
        self.rev, self.problem, self.columns = rev, problem, columns


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Consecutive rows and what is derived from them, of one moment."""

    rows: list[dict[str, object]]
    snapshots: dict[tuple[str, str, int], str]
    heads: dict[Key, tuple[int, str]] | None  # with the last chunk only


@dataclass(slots=True)
class _Walk:
    """How far the chain is good, and what it amounts to."""

    every: int
    rev: int = 0
    hash: str = ""
    at: float = float("-inf")
    states: dict[Key, RouteState] = field(default_factory=dict[Key, RouteState])

    def take(self, row: Columns, snapshots: dict[tuple[str, str, int], str]) -> None:
        if row["rev"] != self.rev + 1:
            raise _Bad(
                self.rev + 1,
                f"row {self.rev + 1} is missing: row {row['rev']!r} follows {self.rev}",
                ("rev",),
            )
        key = (str(row["env"]), str(row["route"]))
        before = self.states.get(key) or RouteState(env=key[0], route=key[1])
        wanted = {"prev_hash": self.hash, **_derived(before, row)}
        found = digest(row)
        differing = tuple(name for name in wanted if row[name] != wanted[name])
        if found != row["hash"]:
            raise _changed(row, wanted, differing, found)
        if differing:
            raise _Bad(self.rev + 1, _told(row, wanted, differing), differing)
        self._accept(key, before, row, snapshots)

    def _accept(
        self,
        key: Key,
        before: RouteState,
        row: Columns,
        snapshots: dict[tuple[str, str, int], str],
    ) -> None:
        entry = as_entry(row)
        if entry.at < self.at:
            raise _Bad(
                entry.rev, f"row {entry.rev} is older than the row before", ("at",)
            )
        after = step(before, entry)
        stored = snapshots.pop((*key, entry.rev), None)
        wanted = dump_state(after) if after.count % self.every == 0 else None
        if stored != wanted:
            raise _Bad(
                entry.rev,
                f"the state kept for row {entry.rev} is {stored!r}, the rows up to it "
                f"give {wanted!r}",
                ("ledger_snapshots",),
            )
        self.states[key] = after
        self.rev, self.hash, self.at = entry.rev, entry.hash, entry.at

    def finish(self, heads: dict[Key, tuple[int, str]]) -> None:
        wanted = {
            key: (state.rev, dump_state(state)) for key, state in self.states.items()
        }
        if heads == wanted:
            return
        for key in sorted({*heads, *wanted}):
            kept, given = heads.get(key), wanted.get(key)
            if kept != given:
                newest = max(one[0] for one in (kept, given) if one)
                raise _Bad(
                    newest if newest > self.rev else (given or (newest,))[0],
                    f"the state kept of route {key[1]!r} of {key[0]!r} is {kept!r}, "
                    f"its rows give {given!r}: rows at the end are missing, or the "
                    "state was changed",
                    ("ledger_heads",),
                )


def check(database: Database, *, every: int) -> LedgerCheck:
    """Walk all rows; other processes may append meanwhile.

    Args:
        database: The durable file.
        every: Entries of a route between two stored states.
    """
    walk = _Walk(every)
    try:
        while not _advance(database, walk):
            pass
    except _Bad as bad:
        return LedgerCheck(
            ok=False,
            entries=walk.rev,
            head=walk.hash,
            bad_rev=bad.rev,
            columns=bad.columns,
            problem=f"{bad.problem}; restore the store from a backup and compare",
        )
    return LedgerCheck(ok=True, entries=walk.rev, head=walk.hash)


def _advance(database: Database, walk: _Walk) -> bool:
    """Check one chunk; True when it was the last."""
    start = walk.rev
    # One moment, so that rows and what is derived from them belong together.
    chunk = database.query(lambda reader: _read(reader, start), snapshot=True)
    for row in chunk.rows:
        walk.take(row, chunk.snapshots)
    for env, route, rev in chunk.snapshots:
        problem = f"a state is kept for row {rev}, none of route {route!r} of {env!r}"
        raise _Bad(rev, problem, ("ledger_snapshots",))
    if chunk.heads is None:
        return False
    walk.finish(chunk.heads)
    return True


def _read(reader: Connection, start: int) -> _Chunk:
    rows = [dict(row) for row in reader.execute(_ROWS, (start, _CHUNK))]
    last = len(rows) < _CHUNK
    found = reader.execute(
        _SNAPSHOTS + ("" if last else " AND rev <= ?"),
        (start,) if last else (start, rows[-1]["rev"]),
    )
    snapshots = {(row[0], row[1], row[2]): row[3] for row in found}
    heads = reader.execute(_HEADS).fetchall() if last else None
    kept = None if heads is None else {(h[0], h[1]): (h[2], h[3]) for h in heads}
    return _Chunk(rows, snapshots, kept)


def _derived(before: RouteState, row: Columns) -> dict[str, object]:
    """Return the columns that the rows before decide, as they have to be."""
    wanted: dict[str, object] = {"base_rev": before.rev}
    try:
        entry = as_entry(row)
        new = NewEntry(
            env=entry.env,
            route=entry.route,
            pin=entry.pin,
            action=entry.action,
            base_rev=entry.base_rev,
            actor=entry.actor,
            weight=entry.weight,
        )
        move = judge(before, new)
    except (StoreError, LedgerMoveError, ValueError, TypeError):
        # An illegal move or an unreadable row: no action leads there.
        return {**wanted, "action": None}
    stage = move.from_stage.value if move.from_stage else ""
    texts = {name: as_columns(entry)[name] for name in ("evidence", "approvals")}
    return {
        **wanted,
        "from_stage": stage,
        "to_stage": move.to_stage.value,
        "prev_pin": move.prev_pin,
        **texts,
    }


def _changed(
    row: Columns, wanted: Columns, differing: tuple[str, ...], found: str
) -> _Bad:
    rev = int(str(row["rev"]))
    if differing and digest({**row, **wanted}) == row["hash"]:
        return _Bad(rev, _told(row, wanted, differing), differing)
    return _Bad(
        rev,
        f"row {rev} was changed after it was written: its hash is {row['hash']!r}, its "
        f"columns give {found!r}",
        differing,
    )


def _told(row: Columns, wanted: Columns, differing: tuple[str, ...]) -> str:
    parts = (
        f"`{name}` is {row[name]!r}, but the rows before give {wanted[name]!r}"
        if wanted[name] is not None
        else f"`{name}` {row[name]!r} is no legal move there"
        for name in differing
    )
    return f"row {row['rev']} is wrong: {', '.join(parts)}"
