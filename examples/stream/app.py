"""A guarded stream as server-sent events: provisional chunks, then a verdict.

Run it with `uvicorn app:app` in this directory, then `curl -N localhost:8000/talk`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from llmguard import INJECTED, Model, contract, fallback_chain, pinned, static
from llmguard.testing import Cut, fake_pin
from llmguard.web.fastapi import event_stream, install

app = FastAPI()
install(app, deadline=20.0)

# Stand-ins for `@pinned("talk")`: one that answers, one that breaks off half-way.
GOOD = fake_pin("Your parcel is on its way and should arrive tomorrow.")
BROKEN = fake_pin(Cut("Your parcel is on its way and should arrive tomorrow."))
SORRY = "I cannot say right now; a colleague will write to you."


@fallback_chain(static(SORRY))
@contract(str)
@pinned(GOOD)
async def talk(question: str, *, model: Model = INJECTED) -> AsyncIterator[str]:
    """Answer word by word."""
    async for chunk in model.astream(question):
        yield chunk


@fallback_chain(static(SORRY))
@contract(str)
@pinned(BROKEN)
async def mumble(question: str, *, model: Model = INJECTED) -> AsyncIterator[str]:
    """Break off half-way."""
    async for chunk in model.astream(question):
        yield chunk


@app.get("/talk")
async def good(question: str = "Where is it?") -> StreamingResponse:
    """Chunks, and a verdict that they may stay."""
    return await event_stream(talk(question))


@app.get("/mumble")
async def broken(question: str = "Where is it?") -> StreamingResponse:
    """Chunks, what replaces them, and a verdict that they must go."""
    return await event_stream(mumble(question), broken=lambda _error: SORRY)
