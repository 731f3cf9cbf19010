"""The function under test: a support ticket in, a decision out, no key, no network.

It runs on the model that is embedded in `llmguard-models`, through the local runtime:
`pip install 'llmguard-toolkit[local]'`. Your own function would name a route of
`models.lock` instead of the `Pin` here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel

from llmguard import INJECTED, Model, Pin, Prompt, contract, pinned

# The prompt that the model was trained on; your prompts are your own.
PROMPT = Prompt("Ticket: {ticket}\nTriage:\n")


def embedded_pin(name: str) -> Pin:
    """Return the pin of an embedded model, such as `triage-1.0`."""
    return Pin(
        route="triage",
        provider="llama.cpp",
        model=f"embedded:{name}",
        version_class="immutable",
        params={"temperature": 0.0},
        options={
            "prompt_format": "raw",
            "queue": 64,  # a suite asks several tickets at once
            "ground": {"order_id": r"\b(?:[A-Z]{2,3}-)?(?:\d{4}-)?\d{5}\b"},
        },
    )


class Triage(BaseModel):
    """What the support desk needs to know about one ticket."""

    category: Literal["billing", "shipping", "refund", "account", "bug", "other"]
    priority: Literal["low", "normal", "high", "urgent"]
    needs_human: bool
    order_id: str | None


def order_id_appears(value: Triage, inputs: Mapping[str, object]) -> bool:
    """Tell whether the order number stands in the ticket; else it is invented."""
    return value.order_id is None or value.order_id in str(inputs["ticket"])


@contract(Triage, checks=[order_id_appears])
@pinned(embedded_pin("triage-1.0"))
def triage(ticket: str, *, model: Model = INJECTED) -> Triage:
    """Decide what a ticket is about, how soon, and whether a person must see it."""
    return model.complete(PROMPT.format(ticket=ticket))
