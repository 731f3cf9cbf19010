"""The same triage service on Flask.

Run it with `flask --app app run` in this directory.
"""

from __future__ import annotations

from typing import Any

import flask

from llmguard import INJECTED, Model, contract, current_outcome, fallback_chain, pinned
from llmguard.testing import HttpError, fake_pin
from llmguard.web.flask import LLMGuard
from llmguard_fallbacks import human, rules
from llmguard_fallbacks.rules import Rule, keyword

app = flask.Flask(__name__)
app.config["LLMGUARD_DEADLINE"] = 8.0
app.config["LLMGUARD_KEY"] = "cookie:session"
LLMGuard(app)

REMOTE = fake_pin(HttpError(503))  # a stand-in for `@pinned("triage")`
PARCEL = Rule(
    "parcel", when=keyword("parcel"), then={"category": "shipping", "urgent": False}
)


@fallback_chain(rules(PARCEL), human("desk"), attempts=1)
@contract(
    {
        "type": "object",
        "properties": {
            "category": {"enum": ["shipping", "other"]},
            "urgent": {"type": "boolean"},
        },
        "required": ["category", "urgent"],
    }
)
@pinned(REMOTE)
def triage(text: str, *, model: Model = INJECTED) -> dict[str, Any]:
    """Ask the model; rules and a person stand in for it."""
    return model.complete(text)


@app.post("/tickets")
def new_ticket() -> dict[str, Any]:
    """Answer now, whoever can; `Deferred` becomes a 202 by itself."""
    answer = triage(flask.request.get_json()["text"])
    outcome = current_outcome()
    return {"answer": answer, "tier": outcome.tier if outcome else ""}
