"""The guarded function that the demo runs: ticket in, decision out, whatever is up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from llmguard import (
    INJECTED,
    BreakerPolicy,
    Model,
    Pin,
    Prompt,
    contract,
    fallback_chain,
    on_pin,
    pinned,
)
from llmguard_fallbacks import human, rules
from llmguard_fallbacks.rules import Rule, all_of, any_of, keyword, not_, regex

__all__ = ["REMOTE_MODEL", "Triage", "build", "local_pin", "remote_pin"]

REMOTE_MODEL = "triage-remote-2026-11-01"
ORDER_ID = r"\b(?:[A-Z]{2,3}-)?(?:\d{4}-)?\d{5}\b"
"""The local model may only name an order number that this finds in the ticket."""

POLICY = BreakerPolicy(open_for=2.0)
"""A shorter first open period than the default 15 s, so that recovery can be seen."""


class Triage(BaseModel):
    """What the support desk needs to know about one ticket."""

    category: Literal["billing", "shipping", "refund", "account", "bug", "other"]
    priority: Literal["low", "normal", "high", "urgent"]
    needs_human: bool
    order_id: str | None


def order_id_appears(value: Triage, inputs: Mapping[str, object]) -> bool:
    """An order number that is not in the ticket is invented."""
    return value.order_id is None or value.order_id in str(inputs["ticket"])


def keyword_rules() -> tuple[Rule, ...]:
    """Return rules that answer only what is plain; the rest is for a person."""

    def answer(category: str) -> dict[str, object]:
        return {
            "category": category,
            "priority": "normal",
            "needs_human": False,
            "order_id": None,
        }

    delicate = any_of(
        keyword("lawyer", "court", "police", "fraud", "hacked", "injured", "fire"),
        regex(r"\d{5}"),
    )
    topics = {
        "shipping": keyword("parcel", "package", "courier", "tracking", "delivery"),
        "refund": keyword("refund", "money back", "return label", "send it back"),
        "account": keyword("password", "log in", "login", "sign in", "profile"),
        "billing": keyword("invoice", "receipt", "charged", "subscription", "price"),
        "bug": keyword("crash*", "error", "freez*", "app", "button", "PDF", "screen"),
    }
    return tuple(
        Rule(topic, when=all_of(words, not_(delicate)), then=answer(topic))
        for topic, words in topics.items()
    )


def remote_pin(endpoint: str) -> Pin:
    """Return the pin of the loopback provider's model."""
    return Pin(
        route="triage",
        provider="openai",
        model=REMOTE_MODEL,
        endpoint=endpoint,
        version_class="versioned",
        params={"temperature": 0},
    )


def local_pin(weights: Path, sha256: str) -> Pin:
    """Return the pin of the embedded model, by the hash of its weights."""
    return Pin(
        route="triage-local",
        provider="llama.cpp",
        model=str(weights),
        version_class="immutable",
        options={
            "gguf_sha256": sha256,
            "prompt_format": "raw",
            "ground": {"order_id": ORDER_ID},
        },
    )


def build(
    remote: Pin, local: Pin, prompt: Prompt, *, queue: str
) -> Callable[[str], Triage]:
    """Return the guarded function, as an application would write it at module level."""

    @fallback_chain(
        on_pin(local),
        rules(*keyword_rules(), name="rules"),
        human(queue),
        deadline=8.0,
        timeout=1.0,
    )
    @contract(Triage, checks=[order_id_appears])
    @pinned(remote, breaker=POLICY)
    def triage(ticket: str, *, model: Model = INJECTED) -> Triage:
        return model.complete(prompt.format(ticket=ticket))

    return triage
