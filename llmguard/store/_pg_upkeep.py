"""Migrations that a server's schema lacks, and dumps of it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from time import monotonic

import psycopg

from ..errors import StoreError
from ._pg_connect import READ_TIMEOUT, connect
from ._pg_errors import Late, from_postgres
from ._pg_migrate import pending
from ._pg_place import Place, place_of
from .upkeep import Backup

__all__ = ["dump", "pending_names"]

# What libpq reads from the environment: arguments are seen by every user.
_VARIABLES = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "dbname": "PGDATABASE",
    "password": "PGPASSWORD",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}


def pending_names(url: str) -> tuple[str, ...]:
    """Return the migrations that the schema lacks, without making it."""
    place = place_of(url)
    wire = connect(place)
    try:
        wire.deadline = monotonic() + READ_TIMEOUT
        return pending(wire, place)
    except (psycopg.Error, Late) as error:
        raise from_postgres(error, place) from error
    finally:
        wire.drop()


def dump(url: str, path: Path) -> Backup:
    """Write the schema with `pg_dump`, and read its list of contents back."""
    place = place_of(url)
    program = shutil.which("pg_dump")
    if program is None:
        raise StoreError(
            "`pg_dump` is not on the PATH: install PostgreSQL's client programs "
            "(`apt-get install postgresql-client`), or run "
            f"`pg_dump --format=custom --schema={place.schema}` where the server is; "
            "a server that is archived or replicated needs none"
        )
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")
    draft.touch(mode=0o600)
    try:
        _run(
            place,
            program,
            "--format=custom",
            "--no-owner",
            f"--schema={place.schema}",
            f"--file={draft}",
        )
        _look(place, draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    database = place.options.get("dbname", "DATABASE")
    return Backup(
        files=(path,),
        size=path.stat().st_size,
        entries=None,
        head="",
        restore=(
            f"`DROP SCHEMA {place.schema} CASCADE`, then `pg_restore --no-owner "
            f"--exit-on-error --dbname={database} {path}`"
        ),
    )


def _look(place: Place, draft: Path) -> None:
    restore = shutil.which("pg_restore")
    if restore is None:
        return
    listed = _run(place, restore, "--list", str(draft))
    for table in ("tickets", "ledger", "schema_migrations"):
        if f"TABLE DATA {place.schema} {table} " not in listed:
            raise StoreError(
                f"the dump of {place.url!r} lacks the table {table!r}: is the schema "
                f"{place.schema!r} the right one, and may its user read all of it?"
            )


def _run(place: Place, program: str, *arguments: str) -> str:
    ours = {
        variable: place.options[name]
        for name, variable in _VARIABLES.items()
        if name in place.options
    }
    done = subprocess.run(  # noqa: S603 - found on the PATH, arguments are ours
        [program, *arguments],
        env={**os.environ, **ours},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = place.scrub(" ".join(done.stderr.split()))
        raise StoreError(
            f"`{Path(program).name}` failed ({said}); its version must not be older "
            "than the server's"
        )
    return done.stdout
