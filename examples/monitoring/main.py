"""What a service's answers are like: objectives, a baseline, figures to scrape.

The embedded `triage-1.0` answers the tickets of the example suite; no key, no network
(`pip install 'llmguard-toolkit[local,monitor]'`). Run it in an empty folder:

    python main.py          # 5 rounds of 66 tickets, then what was seen
    llmguard monitor status ; llmguard slo status ; llmguard metrics
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

os.environ.setdefault("LLMGUARD_STORE", "monitoring.db")

from pydantic import BaseModel

import llmguard.monitor
from llmguard import (
    INJECTED,
    Model,
    Pin,
    Prompt,
    capture,
    contract,
    fallback_chain,
    pinned,
    slo,
    static,
)
from llmguard.monitor import report_correction
from llmguard.store import open_store
from llmguard.telemetry import prometheus

PROMPT = Prompt("Ticket: {ticket}\nTriage:\n")  # what the model was trained on
TICKETS = Path(__file__).parents[1] / "suites" / "triage.jsonl"
LEARN = 200


class Triage(BaseModel):
    """What the support desk needs to know about one ticket."""

    category: Literal["billing", "shipping", "refund", "account", "bug", "other"]
    priority: Literal["low", "normal", "high", "urgent"]
    needs_human: bool
    order_id: str | None


SAFE = Triage(category="other", priority="normal", needs_human=True, order_id=None)
MODEL = Pin(
    route="triage",
    provider="llama.cpp",
    model="embedded:triage-1.0",
    version_class="immutable",
    params={"temperature": 0.0},
    options={
        "prompt_format": "raw",
        "ground": {"order_id": r"\b(?:[A-Z]{2,3}-)?(?:\d{4}-)?\d{5}\b"},
    },
)


@fallback_chain(static(SAFE))
@contract(
    Triage,
    slos=[
        slo.schema_valid(0.99, owner="support"),
        slo.degraded(0.05),
        slo.corrected(0.1),
        slo.within(2.0, share=0.95),
    ],
)
@pinned(MODEL)
def triage(ticket: str, *, model: Model = INJECTED) -> Triage:
    """Decide what a ticket is about, how soon, and whether a person must see it."""
    return model.complete(PROMPT.format(ticket=ticket))


def tickets() -> Iterator[str]:
    """Return the tickets of the example suite."""
    with TICKETS.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)["ticket"]


def main() -> None:
    """Answer tickets while they are watched; print what a scrape would see."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    llmguard.monitor.start(learn=LEARN, per_second=1000.0)
    answered = 0
    for _ in range(rounds):
        for ticket in tickets():
            triage(ticket)
            answered += 1
    print(f"{answered} tickets were answered and watched")
    store, end = open_store(), time.monotonic() + 120
    while not store.monitor.list_baselines("prod") and time.monotonic() < end:
        time.sleep(0.2)
    frozen = len(store.monitor.list_baselines("prod"))
    print(f"{frozen} baseline is frozen: what comes next is held against it")
    with capture() as outcomes:
        answer = triage("My solicitor will write to you about order 48213.")
    # Whoever reads it later says what would have been right: it counts for the version.
    right = answer.model_copy(update={"priority": "urgent", "needs_human": True})
    report_correction(outcomes[0], right)
    print(
        "\n".join(scraped("llmguard_calls", "llmguard_slo_events", "llmguard_signals"))
    )
    llmguard.monitor.stop()


def scraped(*names: str) -> Iterator[str]:
    """Return the lines that Prometheus would read of some metrics."""
    for line in prometheus.render().splitlines():
        if line.startswith(names):
            yield line


if __name__ == "__main__":
    main()
