"""A triage service that runs as many processes on several hosts.

Each worker guards its own calls; what they find out, they share through the stores that
the settings name. `gunicorn.conf.py` and the README beside this file run it.
"""

from __future__ import annotations

import os
from typing import Any

import flask

from llmguard import (
    INJECTED,
    BreakerPolicy,
    Model,
    call_context,
    contract,
    fallback_chain,
    pinned,
    static,
)
from llmguard.web.flask import LLMGuard

app = flask.Flask(__name__)
LLMGuard(app, deadline=5.0, key="header:X-User-ID")

# Short, so that a recovery can be watched; the default opens for 15 s.
POLICY = BreakerPolicy(open_for=float(os.environ.get("OPEN_FOR", "15")))
SCHEMA = {
    "type": "object",
    "properties": {"category": {"enum": ["billing", "shipping", "other"]}},
    "required": ["category"],
}


@fallback_chain(static({"category": "other"}), attempts=1)
@contract(SCHEMA)
@pinned("triage", breaker=POLICY)
def triage(ticket: str, *, model: Model = INJECTED) -> dict[str, Any]:
    """Decide what a ticket is about."""
    return model.complete(ticket)


@app.get("/triage/<ticket>")
def route(ticket: str) -> flask.Response:
    """Answer, and say which worker did."""
    with call_context(request_type="web"):
        answer = flask.jsonify(triage(ticket))
    answer.headers["X-Worker"] = str(os.getpid())
    return answer
