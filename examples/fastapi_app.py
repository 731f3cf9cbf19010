"""A FastAPI route on a chain that ends with a person.

Run it with `uvicorn fastapi_app:app` in this directory, then
`curl localhost:8000/tickets --json '{"text": "my parcel is late"}'`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Body, FastAPI
from fastapi.requests import Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from llmguard import (
    INJECTED,
    Deferred,
    Model,
    contract,
    current_outcome,
    fallback_chain,
    pinned,
)
from llmguard.testing import HttpError, fake_pin
from llmguard_fallbacks import get_ticket, human, rules
from llmguard_fallbacks.rules import Rule, keyword


class Triage(BaseModel):
    """What the desk needs to know."""

    category: Literal["shipping", "other"]
    urgent: bool


app = FastAPI()

# A stand-in for `@pinned("triage")`: a provider that is down.
REMOTE = fake_pin(HttpError(503))


@fallback_chain(
    rules(
        Rule(
            "parcel",
            when=keyword("parcel"),
            then={"category": "shipping", "urgent": False},
        )
    ),
    human("desk"),
    deadline=8.0,
    attempts=1,
)
@contract(Triage)
@pinned(REMOTE)
async def triage(text: str, *, model: Model = INJECTED) -> Triage:
    """Ask the model; rules and a person stand in for it."""
    return await model.acomplete(text)


@app.post("/tickets")
async def new_ticket(text: Annotated[str, Body(embed=True)]) -> dict[str, object]:
    """Answer now, whoever can."""
    answer = await triage(text)
    outcome = current_outcome()
    return {"answer": answer, "tier": outcome.tier if outcome else ""}


@app.exception_handler(Deferred)
async def deferred(request: Request, later: Deferred) -> JSONResponse:
    """Say where the answer will be."""
    url = str(request.url_for("result", ticket_id=later.ticket_id))
    return JSONResponse({"ticket": later.ticket_id}, 202, {"Location": url})


@app.get("/tickets/{ticket_id}")
def result(ticket_id: str) -> dict[str, object]:
    """Return what the person answered, once there is an answer."""
    ticket = get_ticket(ticket_id)
    return {"state": str(ticket.state), "answer": ticket.record.answer}
