"""Every server that cannot hold a store is refused with the repair, and no password."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from postgres_server import PostgresServer
from store_backends import make_store, raw

from llmguard.errors import StoreError
from llmguard.store import StoreBusyError, StoreFullError
from llmguard.store._migrate import load

psycopg = pytest.importorskip("psycopg")
SECRET = "s3cret-of-mine"


def _refused(url: str) -> str:
    with pytest.raises(StoreError) as refused:
        make_store(url)
    assert SECRET not in str(refused.value)
    return str(refused.value)


def test_no_server() -> None:
    """Nobody listens: the address, and how to look."""
    said = _refused(f"postgresql://me:{SECRET}@127.0.0.1:9/app")
    assert "no PostgreSQL server answers at 127.0.0.1:9" in said
    assert "'postgresql://me:***@127.0.0.1:9/app'" in said
    assert "pg_isready" in said


def test_no_host() -> None:
    """A name without an address."""
    said = _refused(f"postgresql://me:{SECRET}@no-such-host.invalid/app")
    assert "has no address" in said or "cannot be reached" in said


def test_passwords(postgres_server: PostgresServer) -> None:
    """A wrong one, none, and the right one."""
    postgres_server.ask(
        f"DO $$ BEGIN CREATE ROLE careful LOGIN PASSWORD '{SECRET}'; "
        "EXCEPTION WHEN duplicate_object THEN END $$"
    )
    url = postgres_server.url()
    wrong = url.replace("tests@", f"careful:{SECRET}x@")
    assert "refuses the password of 'careful'" in _refused(wrong)
    assert "`PGPASSWORD`" in _refused(url.replace("tests@", "careful@"))
    said = _refused(url.replace("tests@", f"careful:{SECRET}@"))
    assert "may not do that (permission denied for database" in said


def test_no_right_to_make_a_schema(postgres_server: PostgresServer) -> None:
    """The administrator's two statements are named, and are enough."""
    postgres_server.ask("DROP ROLE IF EXISTS modest")
    postgres_server.ask("CREATE ROLE modest LOGIN")
    url = postgres_server.url()
    mine = url.replace("tests@", "modest@")
    schema = url.partition("schema=")[2]
    statement = f"CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION modest"
    assert f"`{statement}`" in _refused(mine)
    postgres_server.ask(statement)
    make_store(mine).close()
    postgres_server.ask("DROP OWNED BY modest CASCADE")
    postgres_server.ask("DROP ROLE modest")


def test_not_let_in(postgres_server: PostgresServer) -> None:
    """A rule of the server's, an unknown user, an unknown database."""
    url = postgres_server.url()
    assert "`pg_hba.conf`" in _refused(url.replace("tests@", "barred@"))
    assert "knows no user 'nobody_here'" in _refused(
        url.replace("tests@", "nobody_here@")
    )
    said = _refused(url.replace("/postgres?", "/elsewhere?"))
    assert "has no database 'elsewhere'" in said
    assert "createdb" in said


def test_another_encoding(postgres_server: PostgresServer) -> None:
    """A database that cannot hold every text."""
    postgres_server.ask("DROP DATABASE IF EXISTS latin")
    postgres_server.ask("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1'")
    said = _refused(postgres_server.url().replace("/postgres?", "/latin?"))
    assert "has the encoding 'LATIN1'" in said
    postgres_server.ask("DROP DATABASE latin")


def test_read_only_session(postgres_server: PostgresServer) -> None:
    """A user whose sessions cannot write."""
    postgres_server.ask("DROP ROLE IF EXISTS reader")
    postgres_server.ask("CREATE ROLE reader LOGIN")
    postgres_server.ask("ALTER ROLE reader SET default_transaction_read_only TO on")
    url = postgres_server.url().replace("tests@", "reader@")
    assert "is read-only for this user" in _refused(url)


def test_a_standby(postgres_server: PostgresServer) -> None:
    """A replica is refused; with both hosts in the URL the primary is found."""
    with postgres_server.standby() as port:
        url = postgres_server.url()
        here = f"127.0.0.1:{postgres_server.port}"
        assert "is a standby, so nothing can be written" in _refused(
            url.replace(here, f"127.0.0.1:{port}")
        )
        both = make_store(url.replace(here, f"127.0.0.1:{port},{here}"))
        assert "PostgreSQL" in both.health().engine
        both.close()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"number": 120_022, "version": "12.22"}, "'12.22' .* is too old"),
        ({"standby": True}, "is a standby"),
        ({"encoding": "SQL_ASCII"}, "has the encoding 'SQL_ASCII'"),
    ],
)
def test_servers_that_are_not_here(changed: dict[str, object], says: str) -> None:
    """What an old server would answer."""
    from llmguard.store import _pg_connect as connecting
    from llmguard.store._pg_place import place_of

    fine: dict[str, object] = {
        "pid": 1,
        "version": "15.1 (Debian)",
        "number": 150_001,
        "encoding": "UTF8",
        "read_only": "off",
        "commits": "on",
        "standby": False,
    }
    wire: Any = SimpleNamespace(ask=lambda _sql: [{**fine, **changed}])
    with pytest.raises(StoreError, match=says):
        connecting._check(wire, place_of("postgresql://h/d"))


def test_a_newer_schema(postgres_url: str) -> None:
    """A store that a newer version wrote is left alone."""
    make_store(postgres_url).close()
    with raw(postgres_url) as connection:
        connection.execute(
            "INSERT INTO schema_migrations VALUES ('main', 9999, '9999_x', 'c', 0)"
        )
    assert "a newer version wrote it" in _refused(postgres_url)


def test_another_build(postgres_url: str) -> None:
    """An applied migration that is not the one shipped."""
    make_store(postgres_url).close()
    with raw(postgres_url) as connection:
        connection.execute("UPDATE schema_migrations SET checksum = 'x' || checksum")
    assert "is not the one shipped here" in _refused(postgres_url)


def test_dropped_tables(postgres_url: str) -> None:
    """A schema that somebody emptied under a running process."""
    store = make_store(postgres_url)
    with raw(postgres_url) as connection:
        connection.execute("DROP TABLE breakers")
    with pytest.raises(StoreError, match=r"lacks what should be there .*restore"):
        store.list_breakers()
    store.close()


OPENERS = """
import os, sys
from llmguard.store.postgres import PostgresStore
reading, writing = os.pipe()
children = []
for _ in range(8):
    if not (child := os.fork()):
        os.read(reading, 1)
        PostgresStore(sys.argv[1]).close()
        os._exit(0)
    children.append(child)
os.write(writing, b"x" * 8)
print(sum(os.waitpid(child, 0)[1] != 0 for child in children))
"""


def test_eight_processes_start_at_once(postgres_url: str) -> None:
    """One of them makes the schema; nobody fails."""
    done = subprocess.run(
        [sys.executable, "-c", OPENERS, postgres_url],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ("0\n", "") == (done.stdout, done.stderr)
    with raw(postgres_url) as connection:
        rows = connection.execute("SELECT name FROM schema_migrations").fetchall()
    names = [one.name for part in ("main", "metrics") for one in load(part)]
    assert sorted(names) == sorted(row[0] for row in rows)


@pytest.mark.parametrize(
    ("code", "kind", "says"),
    [
        ("53100", StoreFullError, "nothing is lost: free some space there"),
        ("53300", StoreBusyError, "`max_connections`"),
        ("55P03", StoreBusyError, "pg_stat_activity"),
        ("25006", StoreError, "name the primary"),
        ("42501", StoreError, "GRANT ALL ON SCHEMA llmguard"),
        ("XX000", StoreError, "llmguard store check"),
        ("57P01", StoreBusyError, "was lost while it worked"),
    ],
)
def test_what_errors_of_the_server_mean(
    code: str, kind: type[StoreError], says: str
) -> None:
    """One class for each decision a caller can take."""
    from llmguard.store._pg_errors import from_postgres
    from llmguard.store._pg_place import place_of

    place = place_of(f"postgresql://me:{SECRET}@h/d")
    error = psycopg.errors.lookup(code)(f"said with {SECRET}")
    found = from_postgres(error, place)
    assert (kind, True) == (type(found), says in str(found))
    assert SECRET not in str(found)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("FATAL:  sorry, too many clients already", "no connection free"),
        ("FATAL: the database system is starting up", "is starting or stopping"),
        ("connection timeout expired", "did not answer in time"),
        ("session is read-only", "name the primary"),
        ("something new", "cannot be reached: something new"),
    ],
)
def test_what_failed_connections_mean(text: str, says: str) -> None:
    """Libpq's words decide, and unknown ones are passed on."""
    from llmguard.store._pg_errors import not_connected
    from llmguard.store._pg_place import place_of

    place = place_of("postgresql://h/d")
    assert says in str(not_connected(psycopg.OperationalError(text), place))


def test_clocks_that_differ() -> None:
    """A machine whose clock is off ends leases at the wrong time."""
    from llmguard.clock import SYSTEM_CLOCK
    from llmguard.store._pg_health import _of_clock

    now = SYSTEM_CLOCK.time()
    assert [] == list(_of_clock(now, SYSTEM_CLOCK))
    assert "behind the server's" in next(_of_clock(now + 60.0, SYSTEM_CLOCK))
    assert "ahead of the server's" in next(_of_clock(now - 60.0, SYSTEM_CLOCK))
