"""`llmguard console`: users, tokens, the audit, and a server that is careful."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from starlette.applications import Starlette

from llmguard.store import Store, open_store
from llmguard.store.access import AccessUser, NewAudit, secret_digest
from llmguard_fallbacks.console import ConsoleSettings
from llmguard_fallbacks.console._run import link_user, login_link, require_users
from llmguard_fallbacks.console.cli import console

Run = Callable[..., Result]
EVERYWHERE = "0.0.0.0"  # noqa: S104 - never bound


@pytest.fixture
def url(tmp_path: Path) -> str:
    return str(tmp_path / "cli.db")


@pytest.fixture
def run(url: str) -> Run:
    def call(*words: str) -> Result:
        return CliRunner().invoke(console, ["--store", url, *words])

    return call


def loaded(result: Result) -> Any:
    assert 0 == result.exit_code, result.output
    return json.loads(result.output)


def test_users_and_tokens_from_first_to_last(run: Run, url: str) -> None:
    """Each command says what comes next; the secret is printed once."""
    added = run("user", "add", "ann", "--scope", "review", "--role", "billing")
    assert "ann: review; roles billing" in added.output
    assert "llmguard console token add ann" in added.output
    made = run("token", "add", "ann", "--label", "laptop", "--days", "30")
    secret = made.output.splitlines()[0]
    assert re.fullmatch(r"llmguard_[A-Za-z0-9_-]{43}", secret)
    access = open_store(url).access
    granted = access.by_token(secret_digest(secret))
    assert granted is not None
    assert ("ann", ("review",)) == (granted.user.name, granted.scopes)
    (token,) = loaded(run("token", "list", "--json"))
    assert secret not in run("token", "list", "--json").output
    assert token["id"] in made.output
    assert "used just now" in run("token", "list").output
    assert f"revoked: {token['id']}" in run("token", "revoke", token["id"]).output
    assert access.by_token(secret_digest(secret)) is None
    assert "revoked 2" in run("token", "list", "--user", "ann").output
    again = run("token", "revoke", token["id"])
    assert (1, True) == (again.exit_code, "still holds" in again.output)
    assert "disabled: ann" in run("user", "revoke", "ann").output
    assert "disabled 2" in run("user", "list").output
    refused = run("token", "add", "ann")
    assert (1, True) == (refused.exit_code, "user add ann" in refused.output)
    actions = [row["action"] for row in loaded(run("audit", "--json"))]
    assert ["user.disabled", "token.revoked", "token.added", "user.put"] == actions


def test_what_is_granted_is_more(run: Run) -> None:
    """A refusal tells this command, so it takes nothing away; `add` sets anew."""
    run("user", "add", "ann", "--scope", "review", "--role", "law")
    more = ("--scope", "approve", "--scope", "review", "--role", "tax")
    assert (
        "ann: review approve; roles law tax"
        in run("user", "grant", "ann", *more).output
    )
    (one,) = loaded(run("user", "list", "--json"))
    granted = loaded(run("user", "grant", "ann", "--role", "law", "--json"))
    assert one == granted
    assert "say what to give" in run("user", "grant", "ann").output
    for name in ("ann", "nobody"):
        run("user", "revoke", name)
        refused = run("user", "grant", name, "--scope", "admin")
        assert (1, True) == (refused.exit_code, f"user add {name}" in refused.output)


def test_defaults_are_modest(run: Run) -> None:
    """A user reads and reviews; a token may be for less."""
    assert "read review; no roles" in run("user", "add", "bob").output
    made = loaded(run("token", "add", "bob", "--scope", "read", "--json"))
    assert (["read"], "bob") == (made["scopes"], made["user"])
    assert made["token"].startswith("llmguard_")
    assert "every role" in run("user", "add", "eve", "--role", "*").output


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (("user", "revoke", "nobody"), 1, "user list"),
        (("token", "add", "nobody"), 1, "user add nobody"),
        (("user", "add", " "), 2, "1 to 200 characters"),
        (("user", "add", "a", "--scope", "root"), 2, "root"),
        (("--user-header", "X-User"), 2, "name the proxy"),
        (("--proxy", "here"), 2, "no address or network"),
        (("--host", EVERYWHERE), 2, "nobody has a token yet"),
    ],
)
def test_mistakes_say_what_to_do(
    words: tuple[str, ...], code: int, part: str, run: Run, url: str
) -> None:
    """Exit code 1 for what is not there, 2 for wrong usage."""
    open_store(url)
    result = run(*words)
    assert (code, True) == (result.exit_code, part in result.output), result.output


@pytest.mark.parametrize(
    "words", [("user", "list"), ("token", "list"), ("audit",), ("sessions",)]
)
def test_empty_lists_say_so(words: tuple[str, ...], run: Run, url: str) -> None:
    """And without a store there is none made."""
    missing = run(*words)
    assert (1, True) == (missing.exit_code, "no store" in missing.output)
    open_store(url)
    assert re.search("no .* yet|nothing|nobody", run(*words).output)
    assert [] == loaded(run(*words, "--json"))


def test_what_was_recorded_cannot_command_the_terminal(run: Run, url: str) -> None:
    """Names come from outside: escapes are shown, not obeyed."""
    store = open_store(url)
    store.access.audit(NewAudit(actor="\x1b]0;evil\x07", action="x", target="\x9b2J"))
    store.access.put_user(AccessUser(name="\x1b[31mred", scopes=("read",)))
    for words in (("audit",), ("user", "list")):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", run(*words).output)


def test_old_rows_are_purged_by_command(run: Run, url: str) -> None:
    """What was deleted is itself recorded."""
    open_store(url).access.audit(NewAudit(actor="a", action="logout"))
    assert "deleted 1 rows" in run("purge", "--audit-days", "0").output
    (row,) = loaded(run("audit", "--json"))
    assert "audit.purged" == row["action"]
    assert {"audit": 0, "sessions": 0} == loaded(run("purge", "--json"))


def test_beyond_loopback_somebody_must_be_able_to_log_in(
    store: Store, add_user: Callable[..., str]
) -> None:
    """A token that holds, or a proxy that knows people."""
    plain = ConsoleSettings()
    require_users(store, "::1", plain)
    proxied = ConsoleSettings(proxies=("10.0.0.1",), user_header="X-User")
    require_users(store, EVERYWHERE, proxied)
    add_user("ann")
    require_users(store, EVERYWHERE, plain)
    store.access.revoke_token("token-ann")
    with pytest.raises(Exception, match="nobody has a token yet"):
        require_users(store, EVERYWHERE, plain)


def test_the_link_is_for_whoever_runs_it(store: Store, app: Starlette) -> None:
    """Somebody new may do everything; somebody known what they may anyway."""
    assert link_user(store, "me").roles == ("*",)
    store.access.put_user(AccessUser(name="ann", scopes=("review",)))
    assert link_user(store, "ann").scopes == ("review",)
    link = login_link(app, "http://x", "ann")
    assert app.state.console.links.use(link.partition("code=")[2]) == "ann"
    assert "" == app.state.console.links.use("guessed")


def test_it_runs_and_ends(url: str) -> None:
    """On a free port, with a link that works, until it is told to stop."""
    process = subprocess.Popen(
        [
            sys.executable,
            *("-c", "from llmguard.cli import main; main()"),
            *("console", "--store", url, "--port", "0", "--json"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "USER": "me", "LOGNAME": "me"},
    )
    assert process.stdout is not None
    told = json.loads(process.stdout.readline())
    with urllib.request.urlopen(told["login"], timeout=30) as answer:  # noqa: S310 - our own server
        page = answer.read().decode()
    assert "Log in with this link" in page
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert "Traceback" not in error
    assert told["store"].endswith("cli.db")
