"""What can be wrong with a store's file, and what llmguard says about it."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from llmguard.errors import ConfigError, StoreError
from llmguard.store import (
    BreakerRow,
    NewTicket,
    SqliteStore,
    open_store,
)
from llmguard.store._location import locate, refuse_network
from llmguard.store._migrate import Migration, load, migrate
from llmguard.store._sqlite_database import SqliteDatabase
from llmguard.store._sqlite_errors import from_os, from_sqlite

New = Callable[..., NewTicket]


@pytest.mark.parametrize(
    ("url", "path", "ballast"),
    [
        ("/a/b.db", "/a/b.db", 0),
        ("/a/b%20c.db", "/a/b%20c.db", 0),
        ("sqlite:////a/b%20c.db", "/a/b c.db", 0),
        ("sqlite:////a/b.db?ballast=8M", "/a/b.db", 8 * 2**20),
        ("/a/b.db?ballast=100", "/a/b.db", 100),
    ],
)
def test_urls(url: str, path: str, ballast: int) -> None:
    """A path or a URL names the file."""
    location = locate(url)
    assert (str(location.path), location.ballast) == (path, ballast)


def test_relative_urls() -> None:
    """Three slashes are relative to the working directory."""
    assert locate("sqlite:///x/y.db").path == Path.cwd() / "x/y.db"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://me:pw@host/db", r"'mysql://me:\*\*\*@host/db', which is no store"),
        ("sqlite://x", "which is no store that llmguard knows"),
        (":memory:", "no other process could read"),
        ("sqlite:///", "no other process could read"),
        ("a.db?ballast=lots", "ballast=SIZE"),
        ("a.db?mode=ro", "ballast=SIZE"),
    ],
)
def test_wrong_urls(url: str, says: str) -> None:
    """A wrong URL is refused with the right form."""
    with pytest.raises(ConfigError, match=says):
        locate(url)


MOUNTS = (
    "21 1 8:1 / / rw - ext4 /dev/sda rw",
    "22 21 0:30 / /mnt/share\\040one rw - nfs4 host:/x rw",
    "23 22 0:31 / /mnt/share\\040one/local rw - xfs /dev/sdb rw",
    "broken",
    "1 - x",
)


def test_network_file_systems_are_refused(tmp_path: Path) -> None:
    """The longest mount point above the file decides."""
    with pytest.raises(StoreError, match="'nfs4' file system"):
        refuse_network(Path("/mnt/share one/s.db"), MOUNTS)
    refuse_network(Path("/mnt/share one/local/s.db"), MOUNTS)
    refuse_network(Path("/mnt/share one else/s.db"), MOUNTS)
    refuse_network(tmp_path / "s.db", ())


def test_newer_schema_is_refused(tmp_path: Path) -> None:
    """An old program keeps its hands off what a newer one wrote."""
    path = tmp_path / "s.db"
    SqliteStore(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(
            "INSERT INTO schema_migrations VALUES (99, '0099_future', 'x', 0)"
        )
    connection.close()
    with pytest.raises(StoreError, match=r"0099_future.*upgrade this one"):
        SqliteStore(path)


def test_changed_migration_is_refused(tmp_path: Path) -> None:
    """An edited migration is noticed before it does harm."""
    path = tmp_path / "s.db"
    SqliteStore(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE schema_migrations SET checksum = 'other'")
    connection.close()
    with pytest.raises(StoreError, match="not the one shipped here"):
        SqliteStore(path)


def test_failed_migration_leaves_nothing(tmp_path: Path) -> None:
    """A migration that breaks half-way is undone as a whole."""
    connection = sqlite3.connect(tmp_path / "s.db", isolation_level=None)
    bad = Migration(number=1, name="0001_bad", sql="CREATE TABLE a (x);\nNONSENSE;\n")
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, [bad], now=0.0)
    assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    connection.close()


def test_migrations_apply_once(tmp_path: Path) -> None:
    """Opening an up-to-date store applies nothing."""
    connection = sqlite3.connect(tmp_path / "s.db", isolation_level=None)
    steps = [
        Migration(number=1, name="0001_a", sql="CREATE TABLE a (x);\n"),
        Migration(number=2, name="0002_b", sql="CREATE TABLE b (x);\n"),
    ]
    applied = [migrate(connection, part, now=0.0) for part in (steps[:1], steps, steps)]
    assert applied == [1, 1, 0]
    connection.close()


def test_another_programs_file_is_left_alone(tmp_path: Path) -> None:
    """A database that is not ours is not written into."""
    path = tmp_path / "app.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE users (name)")
    connection.close()
    with pytest.raises(StoreError, match="another program's database"):
        SqliteStore(path)


def test_damaged_file(tmp_path: Path) -> None:
    """A file that is no database names the way to save what is left."""
    path = tmp_path / "s.db"
    path.write_bytes(b"not a database, " * 512)
    with pytest.raises(StoreError, match=r"damaged or not a database.*\.recover"):
        SqliteStore(path)


def test_damaged_page_is_found_by_health(tmp_path: Path, new_ticket: New) -> None:
    """`health(thorough=True)` reads what a start does not."""
    path = tmp_path / "s.db"
    store = SqliteStore(path)
    for _ in range(200):
        store.tickets.enqueue(new_ticket(inputs={"text": "x" * 500}))
    store.close()
    data = bytearray(path.read_bytes())
    last = len(data) // 4096  # the first pages are read at every start
    for page in range(last - 25, last - 5):
        data[page * 4096 : page * 4096 + 200] = b"\xff" * 200
    path.write_bytes(data)
    store = SqliteStore(path)
    assert store.health().problems == ()
    assert any("damaged" in one for one in store.health(thorough=True).problems)
    store.close()


def test_health_of_a_good_store(tmp_path: Path) -> None:
    """A good store has a schema, a size, room, and nothing to repair."""
    store = SqliteStore(tmp_path / "s.db")
    found = store.health(thorough=True)
    assert found.problems == ()
    assert found.schema == load("main")[-1].name
    assert found.size > 0
    assert found.engine == f"SQLite {sqlite3.sqlite_version}"
    (tmp_path / "s.db.spill").mkdir()
    (tmp_path / "s.db.spill/a.json").write_text("{}")
    assert "1 tickets wait" in store.health().problems[0]
    store.close()


def test_missing_store_is_not_made_by_looking(tmp_path: Path) -> None:
    """Commands that only look leave no empty store behind."""
    with pytest.raises(StoreError, match="no store at"):
        open_store(tmp_path / "s.db", create=False)
    assert list(tmp_path.iterdir()) == []


def test_one_store_per_file(tmp_path: Path) -> None:
    """Everybody in a process shares a store until it is closed."""
    store = open_store(tmp_path / "s.db")
    assert open_store(f"sqlite:///{tmp_path}/s.db", create=False) is store
    store.close()
    with pytest.raises(StoreError, match="was closed"):
        store.breakers_rev()
    again = open_store(tmp_path / "s.db")
    assert again is not store
    again.close()


def test_configured_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a URL the settings say where."""
    from llmguard import config

    monkeypatch.setenv("LLMGUARD_STORE", str(tmp_path / "set.db"))
    config.reset()
    store = open_store()
    assert store.url == str(tmp_path / "set.db")
    store.close()
    config.reset()


def test_files_are_private(tmp_path: Path) -> None:
    """Tickets hold what users wrote: nobody else reads them, and git ignores them."""
    store = SqliteStore(tmp_path / ".llmguard/store.db")
    store.put_breaker(BreakerRow(key="k", state="open"))
    files = sorted(store.path.parent.iterdir())
    modes = {stat.S_IMODE(one.stat().st_mode) for one in files if "store" in one.name}
    assert modes == {0o600}
    assert (tmp_path / ".llmguard/.gitignore").read_text() == "*\n"
    store.close()


def test_unwritable_place(tmp_path: Path) -> None:
    """A folder that cannot be made says so with the way out."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="set `LLMGUARD_STORE`"):
        SqliteStore(tmp_path / "file/s.db")


def test_deleted_file_is_not_written_into(tmp_path: Path) -> None:
    """A write into a file that nobody can open any more is refused, not lost."""
    store = SqliteStore(tmp_path / "s.db")
    (tmp_path / "s.db").unlink()
    with pytest.raises(StoreError, match="deleted or replaced"):
        store.put_breaker(BreakerRow(key="k", state="open"))
    (tmp_path / "s.db").write_text("")
    with pytest.raises(StoreError, match="deleted or replaced"):
        store.put_breaker(BreakerRow(key="k", state="open"))
    store.close()


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (PermissionError(13, "Permission denied"), "Permission denied"),
        (OSError(28, "No space left on device"), "no space left"),
    ],
)
def test_errors_of_the_file_system(error: OSError, says: str, tmp_path: Path) -> None:
    """The system's errors come with what to do."""
    assert says in str(from_os(error, tmp_path / "s.db"))


def test_read_only_file(tmp_path: Path) -> None:
    """SQLite's refusal to write names the owner and the way out."""
    error = sqlite3.OperationalError("attempt to write a readonly database")
    error.sqlite_errorcode = sqlite3.SQLITE_READONLY
    assert "needs to own its folder" in str(from_sqlite(error, tmp_path / "s.db"))


def test_query_error_is_translated(tmp_path: Path) -> None:
    """No SQLite exception leaves the store."""
    database = SqliteDatabase(tmp_path / "s.db", schema="main")
    with pytest.raises(StoreError, match="no such table"):
        database.read("SELECT * FROM ghosts")
    with pytest.raises(StoreError, match="no such table"):
        database.write(lambda connection: connection.execute("DELETE FROM ghosts"))
    database.close()
