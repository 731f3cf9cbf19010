"""A triage service with its console: people answer at `/console` what nothing else can.

Run it with `uvicorn app:app` in this directory.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Body, FastAPI
from pydantic import BaseModel, Field

from llmguard import INJECTED, Model, contract, fallback_chain, pinned
from llmguard.testing import fake_pin
from llmguard.web.fastapi import guard_responses, install
from llmguard_fallbacks import human
from llmguard_fallbacks.console import ConsoleSettings, console_app


class Item(BaseModel):
    """Something that was ordered."""

    name: str
    count: int = Field(ge=1)


class Triage(BaseModel):
    """What the desk needs to know."""

    category: Literal["shipping", "refund", "other"]
    order_id: int | None = Field(description="As the customer wrote it, if at all.")
    items: list[Item]


app = FastAPI()
install(app)

# A stand-in for `@pinned("triage")`: a model that counts zero lamps, every time.
MISTAKEN = {
    "category": "refund",
    "order_id": 1043,
    "items": [{"name": "lamp", "count": 0}],
}
REMOTE = fake_pin(MISTAKEN)


@fallback_chain(
    human(
        "desk",
        sla=4 * 3600,
        title="Triage a message",
        instructions="What does the customer want, and of which order?",
    ),
    attempts=1,
)
@contract(Triage)
@pinned(REMOTE)
async def triage(text: str, *, model: Model = INJECTED) -> Triage:
    """Ask the model; a person stands in for it."""
    return await model.acomplete(text)


@app.post("/tickets", responses=guard_responses())
async def new_ticket(text: Annotated[str, Body(embed=True)]) -> Triage:
    """Answer now, or 202 with a link to the answer that a person will give."""
    return await triage(text)


# The names by which browsers call this service; behind HTTPS its public one.
app.mount("/console", console_app(settings=ConsoleSettings(hosts=("localhost",))))
