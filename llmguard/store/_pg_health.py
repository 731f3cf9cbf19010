"""How well a store on a server is, in sentences that say what to do."""

from __future__ import annotations

from collections.abc import Iterator

from ..clock import SYSTEM_CLOCK, Clock
from ._database import Connection, Database, Row
from ._health import count_spilled, spill_problem
from ._pg_notify import Bell
from ._pg_place import Place
from .backend import StoreHealth

__all__ = ["COUNTS", "fold_counts", "health"]

COUNTS = "ticket counts"
"""The lock of whoever folds counts."""

_SKEW = 2.0  # seconds that a lease may be off without anybody noticing
_WRAPAROUND = 1_500_000_000  # transactions; at 2^31 the server refuses to write
_SERVER = """
SELECT current_setting('server_version') AS version,
  current_setting('fsync') AS fsync,
  current_setting('full_page_writes') AS pages,
  extract(epoch FROM clock_timestamp())::float8 AS now,
  (SELECT age(datfrozenxid) FROM pg_database WHERE datname = current_database()) AS age,
  (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
     AND xact_start < now() - interval '1 hour') AS old
"""
_SIZE = """
SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint AS size
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ? AND c.relkind IN ('r', 'p')
"""
_COUNTED = """
SELECT queue, role, state, sum(kept) AS kept, sum(found) AS found FROM (
  SELECT queue, role, state, n AS kept, 0 AS found FROM ticket_counts
  UNION ALL SELECT queue, role, state, 0, count(*) FROM tickets
  GROUP BY queue, role, state) AS both_ways
GROUP BY queue, role, state HAVING sum(kept) <> sum(found) LIMIT 5
"""


def fold_counts(connection: Connection) -> int:
    """Fold what ended sessions counted into one row each; returns how many."""
    row = connection.execute("SELECT fold_ticket_counts() AS gone").fetchone()
    return int(row["gone"])


def health(
    database: Database, *, place: Place, bell: Bell, clock: Clock, thorough: bool
) -> StoreHealth:
    """Look at a store, its server and this machine's spill folder.

    Args:
        database: The durable tables.
        place: The server and schema.
        bell: Whether notifications arrive.
        clock: Compared with the server's, when it is the system's.
        thorough: Also count all tickets and compare.
    """
    database.write(fold_counts, locks=(COUNTS,))
    server = database.read(_SERVER)[0]
    newest = database.read(
        "SELECT name FROM schema_migrations WHERE part = 'main' "
        "ORDER BY number DESC LIMIT 1"
    )
    size = database.read(_SIZE, (place.schema,))[0][0]
    spilled = count_spilled(place.beside)
    return StoreHealth(
        url=place.url,
        engine=f"PostgreSQL {server['version'].split(' ')[0]}",
        schema=str(newest[0][0]),
        size=size,
        free=None,
        spilled=spilled,
        problems=(
            *spill_problem(place.beside, spilled),
            *_of_server(server),
            *_of_clock(server["now"], clock),
            *(database.query(_counted, snapshot=True) if thorough else ()),
        ),
        notes=tuple(_notes(bell)),
    )


def _of_server(server: Row) -> Iterator[str]:
    if server["fsync"] != "on":
        yield (
            "the server runs with `fsync = off`: a power cut loses what was accepted "
            "and may destroy the database; set it to `on`"
        )
    if server["pages"] != "on":
        yield (
            "the server runs with `full_page_writes = off`: a power cut may destroy "
            "the database, unless its file system writes whole pages; set it to `on`"
        )
    if server["age"] > _WRAPAROUND:
        yield (
            f"the oldest rows of the database are {server['age']} transactions old, at "
            "2147483648 the server refuses to write: `VACUUM` it, and look for old "
            "open transactions"
        )
    if server["old"]:
        yield (
            f"{server['old']} transactions are open for more than an hour, and keep "  # noqa: S608 - words for people
            "old rows from being removed: `SELECT pid, query FROM pg_stat_activity "
            "ORDER BY xact_start` names them"
        )


def _of_clock(theirs: float, clock: Clock) -> Iterator[str]:
    skew = clock.time() - theirs
    if clock is SYSTEM_CLOCK and abs(skew) > _SKEW:
        yield (
            f"this machine's clock is {abs(skew):.1f} s "
            f"{'ahead of' if skew > 0 else 'behind'} the server's, so leases end at "
            "the wrong time: keep both with NTP"
        )


def _counted(reader: Connection) -> list[str]:
    return [
        f"{row['kept']} tickets of queue {row['queue']!r} count as {row['state']}, "
        f"there are {row['found']}: triggers were switched off or a table was "
        "restored alone; restore the whole schema"
        for row in reader.execute(_COUNTED)
    ]


def _notes(bell: Bell) -> Iterator[str]:
    if bell.hears is False:
        yield (
            "notifications do not arrive, as behind a pooler that gives each "
            "transaction another session: changes are seen within a second, by polling"
        )
