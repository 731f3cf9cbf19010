"""`llmguard store`: checks, migrations and backups, on both backends."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from store_backends import is_postgres, make_store, raw, without_triggers

from llmguard.cli import cli
from llmguard.store import Action, NewEntry, NewTicket
from llmguard.store._migrate import load

NAMES = [f"{part}/{one.name}" for part in ("main", "metrics") for one in load(part)]


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a store that nobody has made yet."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return str(tmp_path / "store.db")


def _run(url: str, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["store", *arguments, "--store", url])


def _json(url: str, *arguments: str) -> Any:
    return json.loads(_run(url, *arguments, "--json").stdout)


def _fill(url: str, new_ticket: Callable[..., NewTicket]) -> None:
    store = make_store(url)
    for _ in range(3):
        store.tickets.enqueue(new_ticket())
    for pin in ("p-1", "p-2"):
        state = store.ledger.route_state("prod", "a")
        action = Action.PROMOTE if pin == "p-1" else Action.CANDIDATE
        store.ledger.append(
            NewEntry(
                env="prod",
                route="a",
                pin=pin,
                action=action,
                base_rev=state.rev,
                actor="ann",
            )
        )
    store.beat("p", {})
    store.close()


def test_upgrading_makes_and_names_what_is_missing(fresh_url: str) -> None:
    """A dry run changes nothing, a run applies all, a second run nothing."""
    planned = _json(fresh_url, "upgrade", "--dry-run")
    assert (True, NAMES) == (planned["dry_run"], planned["migrations"])
    assert NAMES == _json(fresh_url, "upgrade", "--dry-run")["migrations"]
    done = _run(fresh_url, "upgrade")
    assert f"applied to {fresh_url}:\n  main/0001_" in done.output
    assert [] == _json(fresh_url, "upgrade")["migrations"]
    assert "is up to date" in _run(fresh_url, "upgrade", "--dry-run").output


def test_checking_does_not_upgrade(fresh_url: str) -> None:
    """What is missing is a finding with its repair, and stays missing."""
    found = _run(fresh_url, "check")
    assert 1 == found.exit_code
    assert "`llmguard store upgrade`" in str(found.exception) + found.output
    assert NAMES == _json(fresh_url, "upgrade", "--dry-run")["migrations"]


def test_a_store_that_is_well(
    fresh_url: str, new_ticket: Callable[..., NewTicket]
) -> None:
    """Engine, schema, tickets and the ledger's chain."""
    _fill(fresh_url, new_ticket)
    found = _json(fresh_url, "check")
    assert {"open": 3} == found["tickets"]
    assert (True, 2) == (found["ledger"]["ok"], found["ledger"]["entries"])
    # The tests' server need not outlive a power cut, and is told so.
    assert [] == [one for one in found["problems"] if "= off`" not in one]
    text = _run(fresh_url, "check").output
    assert "ledger   2 entries, the chain holds, head " in text
    assert is_postgres(fresh_url) or "nothing to repair" in text


def test_a_tampered_ledger_is_a_finding(
    fresh_url: str, new_ticket: Callable[..., NewTicket]
) -> None:
    """The row is named, and the exit code is 1."""
    _fill(fresh_url, new_ticket)
    without_triggers(fresh_url, ["UPDATE ledger SET actor = 'eve' WHERE rev = 2"])
    found = _run(fresh_url, "check")
    assert 1 == found.exit_code
    assert "wrong at row 2" in found.output
    assert "repair: the ledger was tampered with: row 2" in found.output


def test_a_newer_store_is_left_alone(fresh_url: str) -> None:
    """Nothing is applied to what a newer version wrote."""
    _run(fresh_url, "upgrade")
    with raw(fresh_url) as connection:
        values = "('main', 9999, '9999_x', 'c', 0)"
        connection.execute(
            f"INSERT INTO schema_migrations VALUES {values}"  # noqa: S608 - constants
            if is_postgres(fresh_url)
            else "INSERT INTO schema_migrations VALUES (9999, '9999_x', 'c', 0)"
        )
    for verb in ("check", "upgrade"):
        assert "a newer version wrote it" in str(_run(fresh_url, verb).exception)


def test_a_copy_is_a_store(
    tmp_path: Path, new_ticket: Callable[..., NewTicket]
) -> None:
    """Both files, readable by their owner alone, taken while others write."""
    url, target = str(tmp_path / "store.db"), tmp_path / "copy.db"
    _fill(url, new_ticket)
    writer = make_store(url)
    made = _json(url, "backup", str(target))
    writer.tickets.enqueue(new_ticket())
    assert [str(target), str(tmp_path / "copy.metrics.db")] == made["files"]
    assert 2 == made["entries"]
    assert writer.ledger.verify().head == made["head"]
    assert 0o600 == target.stat().st_mode & 0o777
    assert {"copy.db", "copy.metrics.db"} == {
        one.name for one in tmp_path.iterdir() if one.name.startswith("copy")
    }
    copied = make_store(str(target))
    assert {"triage": {"open": 3}} == copied.tickets.counts()
    assert ["p"] == [row["process"] for row in copied.processes()]
    copied.close()
    writer.close()


def test_a_dump_can_be_restored(
    tmp_path: Path, postgres_url: str, new_ticket: Callable[..., NewTicket]
) -> None:
    """`pg_restore` brings all of it back, triggers and counts among it."""
    for program in ("pg_dump", "pg_restore"):
        if shutil.which(program) is None:
            missing = f"no `{program}`: `apt-get install postgresql-client`"
            (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    _fill(postgres_url, new_ticket)
    target = tmp_path / "copy.dump"
    made = _run(postgres_url, "backup", str(target))
    assert f"wrote {target}" in made.output
    assert "to restore: `DROP SCHEMA" in made.output
    assert 0o600 == target.stat().st_mode & 0o777
    place, _, schema = postgres_url.partition("?schema=")
    with raw(postgres_url) as connection:
        connection.execute(f"DROP SCHEMA {schema} CASCADE".encode())
    subprocess.run(
        ["pg_restore", "--no-owner", "--exit-on-error", f"--dbname={place}", target],
        check=True,
    )
    store = make_store(postgres_url)
    assert {"triage": {"open": 3}} == store.tickets.counts()
    assert store.ledger.verify().ok
    store.tickets.enqueue(new_ticket())
    assert {"triage": {"open": 4}} == store.tickets.counts()
    found = store.health(thorough=True).problems
    assert [] == [one for one in found if "= off`" not in one]
    store.close()


def test_copies_are_refused_with_the_repair(
    tmp_path: Path, new_ticket: Callable[..., NewTicket]
) -> None:
    """No store, no folder, a file in the way, a damaged page, a changed ledger."""
    url, target = str(tmp_path / "store.db"), tmp_path / "copy.db"

    def said(*arguments: str) -> str:
        found = _run(url, "backup", *arguments)
        assert 1 == found.exit_code
        return str(found.exception)

    assert "there is no store" in said(str(target))
    _fill(url, new_ticket)
    assert "is no folder" in said(str(tmp_path / "none" / "copy.db"))
    target.write_text("mine")
    assert "exists: name another file, or add `--replace`" in said(str(target))
    assert "mine" == target.read_text()
    without_triggers(url, ["UPDATE ledger SET actor = 'eve' WHERE rev = 1"])
    assert "its ledger is not as it was written" in said(str(target), "--replace")


def test_a_damaged_store_is_not_copied(
    tmp_path: Path, new_ticket: Callable[..., NewTicket]
) -> None:
    """What is broken is not passed off as a backup."""
    url, target = tmp_path / "store.db", tmp_path / "copy.db"
    _fill(str(url), new_ticket)
    connection = sqlite3.connect(url, isolation_level=None)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    root = connection.execute(
        "SELECT rootpage FROM sqlite_master WHERE name = 'tickets'"
    ).fetchone()[0]
    connection.close()
    with url.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 16)
    found = _run(str(url), "backup", str(target))
    assert 1 == found.exit_code
    assert "damaged" in str(found.exception)
    assert not target.exists()


def test_a_server_without_the_dump_program(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package that has it is named."""
    monkeypatch.setenv("PATH", str(tmp_path))
    found = _run(postgres_url, "backup", str(tmp_path / "copy.dump"))
    assert "`apt-get install postgresql-client`" in str(found.exception)
