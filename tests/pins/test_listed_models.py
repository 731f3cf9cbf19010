"""Ends of models by the providers' own lists, over a real socket."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from llmguard import config
from llmguard.cli import cli
from llmguard.errors import ConfigError
from llmguard.pins import (
    Lock,
    Pin,
    edit_lock,
    look_up,
    need_some,
    prepare,
    read_lock,
    with_ends,
)

TODAY = date(2026, 11, 29)


@dataclass
class Server:
    """Answers `GET /models` with what it is given, page by page."""

    url: str
    pages: list[Any] = field(default_factory=list[Any])
    status: int = 200
    asked: list[tuple[str, dict[str, str]]] = field(
        default_factory=list[tuple[str, dict[str, str]]]
    )


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {key.lower(): value for key, value in self.headers.items()}
            made.asked.append((self.path, headers))
            page = made.pages[min(len(made.asked), len(made.pages)) - 1]
            raw = page if isinstance(page, bytes) else json.dumps(page).encode()
            self.send_response(made.status)
            if made.status == 302:
                self.send_header("location", "/elsewhere")
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    http = HTTPServer(("127.0.0.1", 0), Handler)
    made = Server(f"http://127.0.0.1:{http.server_port}/v1")
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    yield made
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def pin(server: Server, monkeypatch: pytest.MonkeyPatch) -> Pin:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    return Pin(
        route="r",
        provider="openai",
        model="gpt-5.2-2025-12-11",
        endpoint=server.url,
        accept_opaque="a test server",
        version_class="opaque",
    )


@pytest.mark.parametrize(
    ("row", "ends"),
    [
        ({"shutdown_date": "2027-06-01"}, "2027-06-01"),
        ({"shutdown_date": 1_811_808_000}, "2027-06-01"),
        ({"retires_at": "2027-06-01T00:00:00Z"}, "2027-06-01"),
        ({"lifecycle": {"retires_at": "2027-06-01T00:00:00Z"}}, "2027-06-01"),
        ({"deprecation": "2027-06-01T12:00:00+00:00"}, "2027-06-01"),
        ({"lifecycle": "active", "shutdown_date": None}, ""),
        ({"shutdown_date": "soon"}, ""),
        ({"shutdown_date": 1e300}, ""),
        ({}, ""),
    ],
)
def test_the_shapes_of_providers(
    server: Server, pin: Pin, row: dict[str, Any], ends: str
) -> None:
    """Dates as dates, times or seconds; what is no date is none."""
    server.pages = [{"data": [{"id": pin.model, **row}, {"id": 5}, "x"]}]
    (found,) = look_up([pin])
    assert (True, ends, "") == (found.listed, found.shutdown, found.problem)
    assert "Bearer sk-x" == server.asked[0][1]["authorization"]


def test_anthropic_pages_and_headers(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages are followed; the key goes by the provider's own header."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant")
    pin = Pin(
        route="r", provider="anthropic", model="claude-sonnet-5", endpoint=server.url
    )
    first = {"data": [{"id": "other"}], "has_more": True, "last_id": "other"}
    end = {"id": pin.model, "retires_at": "2027-01-01T00:00:00Z"}
    server.pages = [first, {"data": [end], "has_more": False}]
    (found,) = look_up([pin])
    assert "2027-01-01" == found.shutdown
    assert ["/v1/models", "/v1/models?after_id=other"] == [p for p, _ in server.asked]
    headers = server.asked[0][1]
    assert ("sk-ant", "2023-06-01") == (
        headers["x-api-key"],
        headers["anthropic-version"],
    )


def test_each_endpoint_is_asked_once(server: Server, pin: Pin) -> None:
    """Two pins of one server are one question; files are none."""
    from dataclasses import replace

    server.pages = [{"data": [{"id": pin.model}]}]
    gone = replace(pin, model="gpt-gone")
    file = Pin(route="r", provider="replay", model="a.jsonl")
    found = look_up([pin, gone, file])
    assert [True, False] == [one.listed for one in found]
    assert 1 == len(server.asked)


@pytest.mark.parametrize(
    ("status", "page", "words"),
    [
        (401, {}, "answered 401: check `OPENAI_API_KEY`"),
        (302, {}, "answered 302"),
        (200, b"<html>", "cannot be read"),
        (200, [], "no list of models"),
        (200, b" " * ((16 << 20) + 1), "more than 16 MiB"),
    ],
)
def test_lists_that_are_none(
    server: Server, pin: Pin, status: int, page: Any, words: str
) -> None:
    """A problem, not an error, and no key follows a redirect."""
    server.status, server.pages = status, [page]
    found = look_up([pin])
    assert words in found[0].problem
    assert 1 == len(server.asked)
    with pytest.raises(ConfigError, match="no provider could be asked"):
        need_some(found)


def test_without_a_key_nobody_is_asked(
    server: Server, pin: Pin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And remote lists not at all where the settings refuse remote calls."""
    monkeypatch.delenv("OPENAI_API_KEY")
    assert "`OPENAI_API_KEY` is not set" == look_up([pin])[0].problem
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    monkeypatch.setenv("LLMGUARD_REFUSE_REMOTE", "1")
    config.reset()
    far = Pin(route="r", provider="openai", model="gpt-5.2-2025-12-11")
    assert "the setting `refuse_remote` is on" == look_up([far])[0].problem
    assert [] == server.asked
    server.pages = [{"data": []}]
    assert look_up([pin])[0].listed is False


def test_what_is_learnt_goes_into_the_lock(server: Server, pin: Pin) -> None:
    """Ids stay, so evidence does; an end that is taken back goes away again."""
    lock = Lock().with_pin(pin)
    server.pages = [{"data": [{"id": pin.model, "shutdown_date": "2027-06-01"}]}]
    after = with_ends(lock, look_up([pin]), today=TODAY)
    noted = after.pins[pin.id]
    assert {
        "shutdown": "2027-06-01",
        "source": "list-models",
        "seen": "2026-11-29",
    } == dict(noted.lifecycle)
    assert pin.identity == noted.identity
    assert dict(noted.lifecycle) == dict(prepare(noted).lifecycle)
    server.pages = [{"data": [{"id": pin.model}]}]
    again = with_ends(after, look_up([noted]), today=TODAY)
    assert {} == dict(again.pins[pin.id].lifecycle)


def test_a_date_by_hand_stays(server: Server, pin: Pin) -> None:
    """Who wrote it may know more."""
    from dataclasses import replace

    mine = replace(pin, lifecycle={"shutdown": "2027-01-01"})
    server.pages = [{"data": [{"id": pin.model, "shutdown_date": "2028-01-01"}]}]
    after = with_ends(Lock().with_pin(mine), look_up([mine]), today=TODAY)
    assert "2027-01-01" == after.pins[pin.id].lifecycle["shutdown"]


def test_the_command(server: Server, pin: Pin, lock_path: Path) -> None:
    """A line per pin, and the lock has it."""
    edit_lock(lock_path, lambda old: old.with_pin(pin))
    server.pages = [{"data": [{"id": pin.model, "shutdown_date": "2029-06-01"}]}]
    run = CliRunner().invoke(cli, ["pin", "refresh", "--lifecycle"])
    assert 0 == run.exit_code, run.output
    assert f"{pin.id} {pin.model}: shuts down on 2029-06-01" in run.output
    assert "2029-06-01" == read_lock(lock_path).pins[pin.id].lifecycle["shutdown"]
    server.pages = [{"data": []}]
    run = CliRunner().invoke(cli, ["pin", "refresh", "--lifecycle", "--json"])
    assert json.loads(run.stdout)["asked"][0]["listed"] is False
    server.status = 500
    run = CliRunner().invoke(cli, ["pin", "refresh", "--lifecycle"])
    assert 1 == run.exit_code
