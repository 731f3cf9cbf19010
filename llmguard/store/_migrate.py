"""Forward-only schema migrations: numbered SQL files and a table of checksums."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources

from ..errors import StoreError

__all__ = ["Migration", "load", "migrate", "refuse_strangers"]

_LEDGER = """
CREATE TABLE IF NOT EXISTS schema_migrations (
  number INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  checksum TEXT NOT NULL,
  applied_at REAL NOT NULL
)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step of a schema.

    Attributes:
        number: Its place; a gap may be filled later by another part of the schema.
        name: File name without the suffix, such as `0001_tickets`.
        sql: The statements.
    """

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the SQL; an applied file never changes again."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def load(schema: str, dialect: str = "sqlite") -> tuple[Migration, ...]:
    """Return the migrations of a schema (`main`, `metrics`), in order."""
    folder = resources.files(__package__ or "") / "migrations"
    folder = (folder if dialect == "sqlite" else folder / dialect) / schema
    files = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".sql")),
        key=lambda entry: entry.name,
    )
    return tuple(
        Migration(
            number=int(entry.name[:4]),
            name=entry.name.removesuffix(".sql"),
            sql=entry.read_text("utf-8"),
        )
        for entry in files
    )


def migrate(
    connection: sqlite3.Connection, migrations: Sequence[Migration], *, now: float
) -> int:
    """Bring the schema up to date in one transaction; the caller holds the lock.

    Args:
        connection: In autocommit mode.
        migrations: All of them, in order.
        now: Seconds since the epoch, for the record.

    Returns:
        How many were applied.

    Raises:
        StoreError: The file was written by a newer version, or an applied migration
            is not the one shipped here.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        applied = _apply(connection, migrations, now)
    except BaseException:
        connection.rollback()
        raise
    connection.commit()
    return applied


def _apply(
    connection: sqlite3.Connection, migrations: Sequence[Migration], now: float
) -> int:
    connection.execute(_LEDGER)
    rows = connection.execute("SELECT number, name, checksum FROM schema_migrations")
    done = {int(row[0]): (str(row[1]), str(row[2])) for row in rows}
    refuse_strangers(done, migrations)
    todo = [step for step in migrations if step.number not in done]
    for step in todo:
        for statement in _statements(step.sql):
            connection.execute(statement)
        connection.execute(
            "INSERT INTO schema_migrations VALUES (?, ?, ?, ?)",
            (step.number, step.name, step.checksum, now),
        )
    return len(todo)


def refuse_strangers(
    done: dict[int, tuple[str, str]], migrations: Sequence[Migration]
) -> None:
    """Raise `StoreError` for migrations of a newer version, or of another build."""
    known = {step.number: step for step in migrations}
    for number, (name, checksum) in sorted(done.items()):
        step = known.get(number)
        if step is None:
            raise StoreError(
                f"the store has migration {name!r}, which this llmguard does not "
                f"know (its newest is {migrations[-1].name!r}): a newer version wrote "
                "it; upgrade this one: `pip install -U llmguard-toolkit`"
            )
        if step.checksum != checksum:
            raise StoreError(
                f"migration {name!r} of the store is not the one shipped here "
                f"({checksum[:12]} there, {step.checksum[:12]} here): reinstall "
                "llmguard-toolkit, or move the store's file away to start a new one"
            )


def _statements(sql: str) -> Iterator[str]:
    """Split a script, since `executescript` would commit the open transaction."""
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
