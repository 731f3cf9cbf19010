"""Inside the real web frameworks: workers, requests, event loops."""

from __future__ import annotations

import threading
from typing import Any, Literal

from fastapi import FastAPI
from fastapi.testclient import TestClient
from flask import Flask
from pydantic import BaseModel

from llmguard import INJECTED, Model, contract, fallback_chain, pinned, static
from llmguard.guard import use_runtime
from llmguard.shadow import shadow
from llmguard.testing import FakeModel, Hang

Live = Any
"""The fixture `live`, which its conftest defines."""


class Ticket(BaseModel):
    text: str


class Answer(BaseModel):
    category: Literal["billing", "other"]
    human: bool = False


OLD, NEW = {"category": "billing"}, {"category": "other"}
LAST = static(Answer(category="other"))


def test_routes_of_fastapi_answer_while_the_challenger_hangs(live: Live) -> None:
    """Async and sync routes; no answer waits for a draw, and each is counted."""
    app, old = FastAPI(), FakeModel(OLD)
    hang = FakeModel(Hang(), name="new-1")

    @app.post("/async")
    @fallback_chain(LAST, idempotent=True)
    @shadow(hang.pin(), share=1, double=0, concurrency=1, capacity=2, deadline=1)
    @contract(Answer)
    @pinned(old.pin())
    async def atriage(ticket: Ticket, *, model: Model = INJECTED) -> Answer:
        return await model.acomplete(ticket.text)

    @app.post("/sync")
    @shadow(hang.pin(), share=1, double=0, concurrency=1, capacity=2, deadline=1)
    @contract(Answer)
    @pinned(old.pin())
    def triage(ticket: Ticket, *, model: Model = INJECTED) -> Answer:
        return model.complete(ticket.text)

    @app.middleware("http")
    async def here(request: Any, call_next: Any) -> Any:
        with use_runtime(live.runtime):
            return await call_next(request)

    with TestClient(app) as client:
        for path in ("/async", "/sync"):
            for _ in range(6):
                made = client.post(path, json={"text": "t"})
                assert "billing" == made.json()["category"]
        schema = client.get("/openapi.json").json()
    assert "model" not in str(schema["paths"]["/sync"]["post"].get("parameters", ""))
    hang.release()
    live.join()
    counts = live.counts()
    drawn = sum(n for name, n in counts.items() if name.startswith("challenger: "))
    assert (12, 12) == (
        counts["sampled"],
        drawn + counts["dropped: the queue is full"],
    )
    assert counts["dropped: the queue is full"] >= 4


def test_views_of_flask_in_threads(live: Live) -> None:
    """Threads of a WSGI server share one run; request context is not needed later."""
    app, old, new = Flask("shop"), FakeModel(OLD), FakeModel(NEW, name="new-1")

    @app.get("/triage/<text>")
    @fallback_chain(static({"category": "other"}), idempotent=True)
    @shadow(new.pin(), share=1, double=0)
    @contract({"type": "object", "required": ["category"]})
    @pinned(old.pin())
    def triage(text: str, *, model: Model = INJECTED) -> dict[str, str]:
        return model.complete(text)

    def visit(number: int) -> None:
        with use_runtime(live.runtime):
            made = app.test_client().get(f"/triage/t{number}")
            assert {"category": "billing"} == made.get_json()

    threads = [threading.Thread(target=visit, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    live.join()
    counts = live.counts()
    assert (8, 8) == (counts["sampled"], counts["challenger: ok"])
    assert {"/category: value -> other value"} == {
        pair.direction for pair in live.pairs
    }
