"""Keys stay out of what is kept, names stay inside their folders, locks hold."""

from __future__ import annotations

import json
import logging
import tomllib
from pathlib import Path
from typing import Any

import pytest
from fuzzing._web import ask

from llmguard import (
    INJECTED,
    Deferred,
    Model,
    capture,
    contract,
    fallback_chain,
    pinned,
    static,
)
from llmguard.contract import Contract
from llmguard.errors import ConfigError, LLMGuardError, LockError
from llmguard.pins import Lock, Pin, edit_lock, read_lock, to_text
from llmguard.pins._read import from_text
from llmguard.store import SqliteStore
from llmguard.testing import FaultServer, HttpError, fake_pin, isolated
from llmguard.web.asgi import LLMGuardMiddleware
from llmguard_fallbacks import get_ticket, human
from llmguard_fallbacks.queue._spill import spilled

KEY = "sk-proj-abcdefghijklmnop0123456789"


def test_a_key_is_in_nothing_that_is_kept(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not in logs, outcomes, tickets or locks, though the provider echoes it."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    echo = f"Incorrect API key provided: {KEY}, Authorization: Bearer {KEY}"
    store = SqliteStore(tmp_path / "s.db", synchronous="OFF")

    @fallback_chain(human("q", store=store))
    @pinned(fake_pin(HttpError(401, code=echo)))
    def ask(text: str, *, model: Model = INJECTED) -> str:
        return model.complete(text)

    with (
        caplog.at_level(logging.DEBUG),
        isolated(),
        capture() as outcomes,
        pytest.raises(Deferred) as deferred,
    ):
        ask("hi")
    lock = tmp_path / "models.lock"
    pin = Pin(route="r", provider="openai", model="gpt-4o-2024-08-06")
    edit_lock(lock, lambda old: old.with_pin(pin))
    record = store.tickets.get(deferred.value.ticket_id)
    for kept in (caplog.text, repr(outcomes), repr(record), lock.read_text()):
        assert KEY not in kept
    store.close()
    assert all(
        KEY.encode() not in path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file()
    )


def test_a_real_client_keeps_its_key_too(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The SDK sends it to the endpoint, and nobody writes it down."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with FaultServer("401", answer="x") as server:

        @fallback_chain(static("x"), attempts=1)
        @pinned(server.pin("r"))
        def triage(text: str, *, model: Model = INJECTED) -> str:
            return model.complete(text)

        with (
            caplog.at_level(logging.DEBUG, "llmguard"),
            isolated(),
            capture() as outcomes,
        ):
            assert "x" == triage("hi")
    ours = [r.getMessage() for r in caplog.records if r.name.startswith("llmguard")]
    assert KEY not in repr(outcomes) + repr(ours)


@pytest.mark.parametrize(
    "fields",
    [
        {"endpoint": "https://user:secret@host/v1"},
        {"params": {"api_key": KEY}},
        {"options": {"api_key": KEY}},
    ],
)
def test_a_lock_takes_no_secret(fields: dict[str, Any]) -> None:
    """It is committed and reviewed by everybody."""
    with pytest.raises(ConfigError):
        Pin(route="r", provider="openai", model="gpt-4o-2024-08-06", **fields)


def test_every_edit_of_a_lock_is_noticed() -> None:
    """Whatever value is changed by hand, the entry no longer matches its hash."""
    pin = Pin(
        route="r",
        provider="openai",
        model="gpt-4o-2024-08-06",
        params={"temperature": 0.5, "stop": ["a"]},
    )
    text = to_text(Lock().with_pin(pin))
    assert from_text(text.encode())
    lines = text.splitlines()
    tried = 0
    for number, line in enumerate(lines):
        name, equals, _ = line.partition(" = ")
        if not equals or name in {"created_by", "lock_version"}:
            continue
        for value in ('"other"', "[]", "0.25", "{ temperature = 2.0 }"):
            edited = "\n".join(
                [*lines[:number], f"{name} = {value}", *lines[number + 1 :]]
            )
            if tomllib.loads(edited) == tomllib.loads(text):
                continue
            with pytest.raises(LockError):
                from_text(edited.encode())
            tried += 1
    assert tried > 20


def test_a_lock_that_was_tampered_with_stops_the_program(tmp_path: Path) -> None:
    """The error says where, and that the file may be restored."""
    path = tmp_path / "models.lock"
    pin = Pin(route="r", provider="openai", model="gpt-4o-2024-08-06")
    edit_lock(path, lambda old: old.with_pin(pin))
    path.write_text(path.read_text().replace("2024-08-06", "2024-05-13"))
    with pytest.raises(LockError, match=r"does not match its hash.*version control"):
        read_lock(path)


@pytest.mark.parametrize(
    "reference",
    ["http://169.254.169.254/latest/meta-data", "file:///etc/passwd", "//host/x.json"],
)
def test_references_are_never_fetched(reference: str) -> None:
    """A schema from outside cannot make this program call anybody."""
    with pytest.raises(ConfigError, match=r"never fetched|leads nowhere"):
        Contract({"$ref": reference})


PATHS = [
    "/llmguard/tickets/../../../etc/passwd",
    "/llmguard/tickets/%2e%2e%2fsecret",
    "/llmguard/tickets/..\\..\\x",
    "/llmguard//etc/passwd",
    "/llmguard/tickets/\0",
]


@pytest.mark.parametrize("path", PATHS)
def test_paths_of_urls_lead_to_no_file(path: str, tmp_path: Path) -> None:
    """What is none of our routes goes to the application as it came."""
    store = SqliteStore(tmp_path / "s.db", synchronous="OFF")
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["path"])
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    middleware = LLMGuardMiddleware(app, store=store, secret="x" * 32)
    scope = {"type": "http", "method": "GET", "path": path, "headers": [],
             "query_string": b"token=x", "client": ("127.0.0.1", 1)}  # fmt: skip
    answer = ask(middleware, scope)
    assert 404 == answer.status
    assert [path] == seen
    store.close()


@pytest.mark.parametrize("ident", ["../secret", "/etc/passwd", "a/../../secret", "\0"])
def test_ids_of_tickets_are_no_paths(ident: str, tmp_path: Path) -> None:
    """Whoever asks for a ticket by a path learns nothing about files."""
    (tmp_path / "secret.json").write_text("{}")
    folder = tmp_path / "store.db.spill"
    folder.mkdir()
    assert not spilled(folder, ident)
    store = SqliteStore(tmp_path / "store.db", synchronous="OFF")
    with pytest.raises(LLMGuardError):
        get_ticket(ident, store=store).wait(timeout=0.0)
    store.close()


def test_a_reviewer_gives_nothing_that_the_contract_refuses(tmp_path: Path) -> None:
    """Not by the queue, and not by writing into the store past it."""
    store = SqliteStore(tmp_path / "s.db", synchronous="OFF")

    @fallback_chain(human("q", store=store, wait=0.0))
    @contract({"type": "object", "properties": {"a": {"type": "integer"}},
               "required": ["a"]})  # fmt: skip
    @pinned(fake_pin(HttpError(500)))
    def ask_person(text: str, *, model: Model = INJECTED) -> Any:
        return model.complete(text)

    with isolated(), pytest.raises(Deferred) as deferred:
        ask_person("hi")
    ticket = store.tickets.claim(reviewer="mallory")
    assert ticket is not None
    assert deferred.value.ticket_id == ticket.id
    with pytest.raises(LLMGuardError):
        store.tickets.answer(
            ticket.id, {"a": "no"}, reviewer="mallory", token=ticket.lease_token
        )
    with pytest.raises(LLMGuardError):
        store.tickets.answer(ticket.id, {"a": 1}, reviewer="mallory", token="forged")
    assert json.dumps(store.tickets.get(ticket.id).answer) == "null"
    store.close()
