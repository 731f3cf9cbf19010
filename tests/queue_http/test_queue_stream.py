"""Steps of tickets as they happen, over a real server."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.testclient import TestClient

from llmguard.store import Store
from llmguard_fallbacks.console.api._stream import Tail

Ask = Callable[..., str]


@contextmanager
def _served(app: Starlette) -> Iterator[str]:
    config = uvicorn.Config(app, port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        threading.Event().wait(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/api/v1"
    server.should_exit = True
    thread.join()


def _events(response: httpx.Response) -> Iterator[tuple[int, dict[str, Any]]]:
    number = 0
    for line in response.iter_lines():
        if line.startswith("id: "):
            number = int(line[4:])
        if line.startswith("data: "):
            yield number, json.loads(line[6:])


def test_steps_are_told_and_told_again(
    app: Starlette, program: Callable[..., TestClient], ask: Ask, store: Store
) -> None:
    """In order, without content, only of tickets one may see; resumable by id."""
    client = program("ann")
    program("bob")
    headers = {**client.headers, "host": "testserver"}
    ask(role="lead")
    ticket = ask()
    with _served(app) as base, httpx.Client(timeout=20) as browser:
        url = f"{base}/queue/events"
        with browser.stream("GET", f"{url}?after=0", headers=headers) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            told = _events(response)
            first, one = next(told)
            assert (one["ticket"], one["event"]) == (ticket, "enqueued")
            store.tickets.answer(ticket, {"category": "billing"}, reviewer="ann")
            names = [next(told)[1]["event"] for _ in range(2)]
        assert names == ["claimed", "answered"]
        again = {**headers, "last-event-id": str(first)}
        with browser.stream("GET", url, headers=again) as response:
            assert next(_events(response))[1]["event"] == "claimed"
        with browser.stream("GET", f"{url}?after=x", headers=headers) as response:
            assert response.status_code == 422


@pytest.mark.parametrize("events", [0, 5, 1200])
def test_the_tail_tells_each_event_once(store: Store, ask: Ask, events: int) -> None:
    """However many there are."""
    ticket = ask()
    for _ in range(events):
        store.tickets.assign(ticket, to="ann", actor="lead")
    tail, seen = Tail(store, 0), list[int]()
    while found := tail.read():
        seen += [one.seq for one in found]
    assert len(seen) == len(set(seen)) == events + 1
    store.tickets.assign(ticket, to="", actor="lead")
    assert [one.detail for one in tail.read()] == ["to anybody"]
