"""Forward-only migrations of a schema on PostgreSQL, one process at a time."""

from __future__ import annotations

from time import monotonic

import psycopg

from ..clock import Clock
from ._migrate import Migration, load, refuse_strangers
from ._pg_connect import Wire
from ._pg_errors import Late, from_postgres
from ._pg_place import Place
from ._pg_sql import lock_number

__all__ = ["PARTS", "migrate", "pending"]

PARTS = ("main", "metrics")
"""What two files are on SQLite: what must be durable, and what need not."""

_TIMEOUT = 60.0  # seconds: others may migrate first
_LEDGER = """
CREATE TABLE IF NOT EXISTS schema_migrations (
  part TEXT NOT NULL,
  number BIGINT NOT NULL,
  name TEXT NOT NULL,
  checksum TEXT NOT NULL,
  applied_at DOUBLE PRECISION NOT NULL,
  PRIMARY KEY (part, number)
)
"""
_DONE = "SELECT number, name, checksum FROM {} WHERE part = $1"


def pending(wire: Wire, place: Place) -> tuple[str, ...]:
    """Return the migrations that the schema lacks, without changing anything.

    Raises:
        StoreError: A newer version wrote the schema, or an applied migration is not
            the one shipped here.
    """
    return tuple(
        f"{part}/{step.name}" for part in PARTS for step in _todo(wire, place, part)
    )


def migrate(wire: Wire, place: Place, *, clock: Clock) -> int:
    """Bring the schema up to date in one transaction; returns how many were applied.

    Processes that start at the same moment wait for each other. Where nothing is to
    be done nothing is locked, and no right to create anything is needed.

    Raises:
        StoreError: A newer version wrote the schema, or the user may not create it.
    """
    wire.deadline = monotonic() + _TIMEOUT
    try:
        if not pending(wire, place):
            return 0
        lock = lock_number(place.schema, "migrate")
        wire.run(
            f"BEGIN; SET LOCAL statement_timeout TO {int(_TIMEOUT * 1000)}; "
            f"SELECT pg_advisory_xact_lock({lock}); "
            f"SET LOCAL search_path TO {place.schema}"
        )
        _make_schema(wire, place)
        wire.run(_LEDGER)
        applied = sum(_apply(wire, place, part, clock.time()) for part in PARTS)
        wire.run("COMMIT")
    except (psycopg.Error, Late) as error:
        wire.drop()
        raise from_postgres(error, place) from error
    except BaseException:
        wire.drop()
        raise
    return applied


def _make_schema(wire: Wire, place: Place) -> None:
    # Asked first: CREATE .. IF NOT EXISTS needs the right even where it exists.
    if not wire.ask("SELECT 1 FROM pg_namespace WHERE nspname = $1", place.schema):
        wire.run(f"CREATE SCHEMA {place.schema}")


def _done(wire: Wire, place: Place, part: str) -> dict[int, tuple[str, str]]:
    table = f"{place.schema}.schema_migrations"
    if wire.ask("SELECT to_regclass($1)::text", table)[0][0] is None:
        return {}
    rows = wire.ask(_DONE.format(table), part)
    return {int(row[0]): (str(row[1]), str(row[2])) for row in rows}


def _todo(wire: Wire, place: Place, part: str) -> list[Migration]:
    steps, done = load(part, "postgresql"), _done(wire, place, part)
    refuse_strangers(done, steps)
    return [step for step in steps if step.number not in done]


def _apply(wire: Wire, place: Place, part: str, now: float) -> int:
    todo = _todo(wire, place, part)
    for step in todo:
        wire.run(step.sql)
        wire.execute(
            "INSERT INTO schema_migrations VALUES ($1, $2, $3, $4, $5)",
            (part, step.number, step.name, step.checksum, now),
            prepare=False,
        )
    return len(todo)
