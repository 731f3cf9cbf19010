"""An upgrade in shadow under live traffic: better on the whole, blind to one thing.

`triage-1.0` answers; `triage-1.1`, which a benchmark prefers, sees the same tickets and
serves none. Both are embedded: no key, no network (`pip install
'llmguard-toolkit[local]'`). Run it in an empty folder:

    python main.py      # sends the example suite's tickets twice, then reports
    llmguard shadow report __main__.triage --store shadow.db --html report.html
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from llmguard import INJECTED, Model, Pin, Prompt, call_context, contract, pinned
from llmguard.shadow import decision, shadow

PROMPT = Prompt("Ticket: {ticket}\nTriage:\n")  # what both models were trained on
TICKETS = Path(__file__).parents[1] / "suites" / "triage.jsonl"


def embedded(name: str) -> Pin:
    """Return the pin of an embedded model."""
    return Pin(
        route="triage",
        provider="llama.cpp",
        model=f"embedded:{name}",
        version_class="immutable",
        params={"temperature": 0.0},
        options={
            "prompt_format": "raw",
            "ground": {"order_id": r"\b(?:[A-Z]{2,3}-)?(?:\d{4}-)?\d{5}\b"},
        },
    )


class Triage(BaseModel):
    """What the support desk needs to know about one ticket."""

    category: Literal["billing", "shipping", "refund", "account", "bug", "other"]
    priority: Literal["low", "normal", "high", "urgent"]
    needs_human: bool
    order_id: str | None


@shadow(
    embedded("triage-1.1"),
    share=1.0,  # a demonstration; live traffic is sampled at 0.05 by default
    double=0.25,
    by=("slice",),
    fields={"needs_human": decision(critical=True)},  # any change of it matters
    content=True,  # tickets and answers are kept, personal data blanked
    capacity=512,
    deadline=60.0,
    on_exit="drain",
    drain_seconds=120.0,
)
@contract(Triage)
@pinned(embedded("triage-1.0"))
def triage(ticket: str, *, model: Model = INJECTED) -> Triage:
    """Decide what a ticket is about, how soon, and whether a person must see it."""
    return model.complete(PROMPT.format(ticket=ticket))


def tickets() -> Iterator[Mapping[str, str]]:
    """Return the tickets of the example suite; every slice of it is a stratum."""
    with TICKETS.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def serve(rounds: int = 2) -> int:
    """Answer every ticket, as an application would; returns how many there were."""
    sent = 0
    for _ in range(rounds):
        for one in tickets():
            with call_context(slice=one["slice"]):
                triage(one["ticket"])
            sent += 1
    return sent


def main() -> None:
    """Serve, wait for the shadow, and print what it found."""
    os.environ.setdefault("LLMGUARD_STORE", "shadow.db")
    from llmguard.shadow import render
    from llmguard.shadow.live import SHADOWS, report_of
    from llmguard.store import open_store

    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    print(f"{serve(rounds)} tickets were answered by triage-1.0")
    SHADOWS.join()
    SHADOWS.close()
    store = open_store()
    print(render.text(report_of(store, store.shadow.runs()[0])))


if __name__ == "__main__":
    main()
