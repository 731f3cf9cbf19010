"""The function of the drill: its model is a route of `models.lock`, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel

from llmguard import INJECTED, Model, Prompt, contract, fallback_chain, pinned, static

# The prompt that the embedded models were trained on; your prompts are your own.
PROMPT = Prompt("Ticket: {ticket}\nTriage:\n")


class Triage(BaseModel):
    """What the support desk needs to know about one ticket."""

    category: Literal["billing", "shipping", "refund", "account", "bug", "other"]
    priority: Literal["low", "normal", "high", "urgent"]
    needs_human: bool
    order_id: str | None


def order_id_appears(value: Triage, inputs: Mapping[str, object]) -> bool:
    """Tell whether the order number stands in the ticket; else it is invented."""
    return value.order_id is None or value.order_id in str(inputs["ticket"])


NOBODY_KNOWS = Triage(
    category="other", priority="high", needs_human=True, order_id=None
)


@fallback_chain(static(NOBODY_KNOWS))
@contract(Triage, checks=[order_id_appears])
@pinned("triage")
def triage(ticket: str, *, model: Model = INJECTED) -> Triage:
    """Decide what a ticket is about, how soon, and whether a person must see it."""
    return model.complete(PROMPT.format(ticket=ticket))
