"""A service whose provider goes wrong; run as a program in an empty folder.

`python incident.py FAULT` writes `shop.py` and a lock, has 30 good answers, then 30
calls under a fault of `llmguard.testing.FaultServer`; the store keeps what they did.
"""

from __future__ import annotations

import contextlib
import importlib
import subprocess
import sys
from pathlib import Path

from llmguard import Deferred, warm_up
from llmguard.guard._keeper import KEEPER
from llmguard.testing import FaultServer

GOOD = {"category": "billing", "urgent": False}
SHOP = """
from typing import Literal

from llmguard import INJECTED, Model, contract, fallback_chain, pinned, slo
from llmguard_fallbacks import human, rules
from pydantic import BaseModel


class Triage(BaseModel):
    category: Literal["billing", "shipping", "other"]
    urgent: bool


def late(ticket: str) -> Triage | None:
    return Triage(category="shipping", urgent=False) if "late" in ticket else None


@fallback_chain(rules(late), human("triage", sla=3600), deadline=20.0, exercise=0)
@contract(
    Triage,
    slos=[
        slo.answered(0.999, owner="shop"),
        slo.degraded(0.05, owner="shop"),
        slo.schema_valid(0.995, owner="shop"),
    ],
)
@pinned("triage")
def triage(ticket: str, *, model: Model = INJECTED) -> Triage:
    return model.complete(ticket)
"""


def main(fault: str) -> None:
    """Make it happen, and have everything told to the store."""
    Path("shop.py").write_text(SHOP)
    with FaultServer("ok", answer=GOOD) as server:
        model = ("--model", "m-2026-08-01", "--accept-opaque", "a server of our own")
        where = ("--provider", "openai", "--endpoint", server.base_url)
        add = ("llmguard", "pin", "add", "triage", *where, *model, "--owner", "shop")
        subprocess.run(add, check=True, stdout=subprocess.DEVNULL)
        sys.path.insert(0, "")
        triage = importlib.import_module("shop").triage
        warm_up(triage)
        for i in range(30):
            triage(f"ticket {i}")
        server.fault = fault
        for i in range(30):
            with contextlib.suppress(Deferred):
                triage(
                    f"my parcel {i} is late"
                    if i % 3
                    else f"Do you have lamp {i} in green as well?"
                )
    KEEPER.stop()


if __name__ == "__main__":
    main(sys.argv[1])
