"""A triage service: a guarded function is a route, a person may answer later.

Run it with `uvicorn app:app` in this directory.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Body, FastAPI
from pydantic import BaseModel

from llmguard import INJECTED, Model, contract, fallback_chain, pinned
from llmguard.testing import HttpError, fake_pin
from llmguard.web.fastapi import LastOutcome, guard_responses, install
from llmguard_fallbacks import human, rules
from llmguard_fallbacks.rules import Rule, keyword


class Triage(BaseModel):
    """What the desk needs to know."""

    category: Literal["shipping", "other"]
    urgent: bool


app = FastAPI()
# Deadlines of callers, request ids, sticky users, 202 for tickets, 503 when all failed.
install(app, deadline=8.0, key="header:X-User-ID")

# A stand-in for `@pinned("triage")`: a provider that is down.
REMOTE = fake_pin(HttpError(503))
PARCEL = Rule(
    "parcel", when=keyword("parcel"), then={"category": "shipping", "urgent": False}
)


@fallback_chain(rules(PARCEL), human("desk"), attempts=1)
@contract(Triage)
@pinned(REMOTE)
async def triage(text: str, *, model: Model = INJECTED) -> Triage:
    """Ask the model; rules and a person stand in for it."""
    return await model.acomplete(text)


@app.post("/tickets", responses=guard_responses())
async def new_ticket(
    text: Annotated[str, Body(embed=True)], outcome: LastOutcome
) -> dict[str, object]:
    """Answer now, whoever can; `Deferred` becomes a 202 by itself."""
    answer = await triage(text)
    story = outcome()
    return {"answer": answer, "tier": story.tier if story else ""}
