"""Guarded functions as routes: the framework sees the arguments, not the model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Literal

from fastapi import Depends, FastAPI
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient
from flask import Flask
from pydantic import BaseModel

from llmguard import INJECTED, Model, contract, fallback_chain, pinned, static
from llmguard.testing import fake_pin


class Ticket(BaseModel):
    text: str


class Answer(BaseModel):
    category: Literal["billing", "other"]


REMOTE = fake_pin({"category": "billing"})
OTHER = Answer(category="other")


def tenant() -> str:
    return "acme"


def test_a_guarded_function_is_a_fastapi_route() -> None:
    """Body, query and `Depends` are injected, and the model is no parameter."""
    app = FastAPI()
    seen: list[tuple[str, int, str]] = []

    @app.post("/tickets")
    @fallback_chain(static(OTHER))
    @contract(Answer)
    @pinned(REMOTE)
    async def triage(
        ticket: Ticket,
        who: Annotated[str, Depends(tenant)],
        page: int = 1,
        *,
        model: Model = INJECTED,
    ) -> Answer:
        seen.append((ticket.text, page, who))
        return await model.acomplete(ticket.text)

    @app.post("/sync")
    @contract(Answer)
    @pinned(REMOTE)
    def sync_triage(ticket: Ticket, *, model: Model) -> Answer:
        return model.complete(ticket.text)

    with TestClient(app) as client:
        good = client.post("/tickets?page=3", json={"text": "t"})
        bad = client.post("/tickets", json={"nope": "t"})
        sync = client.post("/sync", json={"text": "t"})
        schema = client.get("/openapi.json").json()
    assert (200, {"category": "billing"}) == (good.status_code, good.json())
    assert [("t", 3, "acme")] == seen
    assert 422 == bad.status_code
    assert {"category": "billing"} == sync.json()
    parameters = schema["paths"]["/tickets"]["post"]["parameters"]
    assert ["page"] == [p["name"] for p in parameters]
    answer = schema["components"]["schemas"]["Answer"]["properties"]["category"]
    assert ["billing", "other"] == answer["enum"]


def test_a_guarded_stream_is_a_streaming_response() -> None:
    """An async generator streams through FastAPI as it is."""
    app = FastAPI()

    @fallback_chain(static("sorry"))
    @contract(str)
    @pinned(fake_pin("many words stream"))
    async def talk(text: str, *, model: Model = INJECTED) -> AsyncIterator[str]:
        async for chunk in model.astream(text):
            yield chunk

    @app.get("/talk")
    async def route(text: str) -> StreamingResponse:
        return StreamingResponse(talk(text))

    with TestClient(app) as client:
        assert "many words stream" == client.get("/talk?text=hi").text


def test_a_guarded_function_is_a_flask_view() -> None:
    """Flask calls views by keyword; sync generators stream."""
    app = Flask(__name__)

    @app.get("/triage/<text>")
    @fallback_chain(static({"category": "other"}))
    @contract({"type": "object", "required": ["category"]})
    @pinned(REMOTE)
    def triage(text: str, *, model: Model = INJECTED) -> dict[str, str]:
        return model.complete(text)

    @fallback_chain(static("sorry"))
    @contract(str)
    @pinned(fake_pin("many words stream"))
    def talk(text: str, *, model: Model = INJECTED) -> Iterator[str]:
        yield from model.stream(text)

    @app.get("/talk/<text>")
    def view(text: str) -> Iterator[str]:
        return talk(text)

    client = app.test_client()
    assert {"category": "billing"} == client.get("/triage/hi").get_json()
    assert "many words stream" == client.get("/talk/hi").get_data(as_text=True)
