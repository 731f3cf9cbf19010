"""`llmguard breaker`: what it prints, writes and refuses."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from llmguard.breaker import BreakerRegistry
from llmguard.cli.breaker import breaker as breaker_command
from llmguard.store import BreakerRow, Store, open_store

KEY = "app.triage|p-1"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return str(tmp_path / "store.db")


@pytest.fixture
def sqlite(url: str) -> Iterator[Store]:
    store = open_store(url)
    BreakerRegistry(store=store).get("app.triage", "p-1").quarantine("misbehaved")
    yield store
    store.close()


@pytest.fixture
def run(url: str) -> Callable[..., Result]:
    def run(verb: str, *args: str, at: str = url) -> Result:
        return CliRunner().invoke(breaker_command, [verb, *args, "--store", at])

    return run


def test_list_shows_every_breaker(run: Callable[..., Result], sqlite: Store) -> None:
    """As a table, and as JSON with times people and programs can read."""
    sqlite.put_breaker(BreakerRow(key="g|p-2", state="open", since=10.0, until=20.0))
    lines = run("list").output.splitlines()
    assert lines[0].split() == ["KEY", "STATE", "FOR", "BY", "REASON"]
    assert lines[1].split()[:2] == [KEY, "quarantined"]
    assert "open (probes due)" in lines[2]
    documents = json.loads(run("list", "--json").output)
    assert documents[1] == {
        "key": "g|p-2",
        "function": "g",
        "pin": "p-2",
        "state": "open",
        "reason": "",
        "since": "1970-01-01T00:00:10+00:00",
        "until": "1970-01-01T00:00:20+00:00",
        "rev": 1,
        "actor": "breaker",
    }


def test_list_of_nothing(run: Callable[..., Result], url: str) -> None:
    """An empty store is said to be empty; a missing one is an error."""
    assert run("list").exit_code == 1
    open_store(url)
    assert run("list").output.startswith("no breaker has been reported yet")
    assert json.loads(run("list", "--json").output) == []


def test_commands_write_and_say_what_holds(
    run: Callable[..., Result], sqlite: Store
) -> None:
    """Open leaves a quarantine; close and resume lift it."""
    assert run("open", KEY).output == (
        f"{KEY} is quarantined: admits no call; it was quarantined already\n"
    )
    assert run("close", "p-1", "--reason", "false alarm").output == (
        f"{KEY} is forced-closed: admits every call, whatever happens\n"
    )
    assert run("open", "app.triage").output == f"{KEY} is forced-open: admits no call\n"
    written = json.loads(run("resume", KEY, "--json").output)
    assert (written["state"], written["until"]) == ("closed", None)
    row = sqlite.get_breaker(KEY)
    assert row
    assert (row.state, row.actor) == ("closed", getpass.getuser())


def test_an_unknown_key_lists_the_known_ones(
    run: Callable[..., Result], sqlite: Store
) -> None:
    """And `--new` writes it all the same."""
    refused = run("open", "typo|p-1")
    assert refused.exit_code == 2
    assert f"  {KEY}\n" in refused.output
    assert "`--new` writes a key" in refused.output
    assert run("open", "later|p-9", "--new").exit_code == 0
    assert [row.key for row in sqlite.list_breakers()] == [KEY, "later|p-9"]


def test_a_store_that_cannot_be_used_is_a_message(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    """A wrong URL is wrong usage; a damaged file is a failure."""
    assert run("list", at="redis://localhost").exit_code == 2
    damaged = tmp_path / "damaged.db"
    damaged.write_text("this is no database" * 100)
    assert run("list", at=str(damaged)).exit_code == 1


def test_a_store_that_fails_while_writing_is_a_message(
    run: Callable[..., Result], sqlite: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No traceback when others keep writing."""
    monkeypatch.setattr(type(sqlite), "put_breaker", lambda *_: None)
    failed = run("resume", KEY)
    assert (failed.exit_code, "10 times in a row" in failed.output) == (1, True)


def complete(*args: str) -> list[str]:
    found = ShellComplete(breaker_command, {}, "breaker", "_X").get_completions(
        list(args[:-1]), args[-1]
    )
    return [item.value for item in found]


def test_keys_complete(url: str, sqlite: Store, tmp_path: Path) -> None:
    """From the store; without one there is nothing to offer, and no error."""
    assert complete("open", "--store", url, "app") == [KEY]
    assert complete("open", "--store", url, "zzz") == []
    assert complete("open", "--store", str(tmp_path / "none.db"), "app") == []
