"""A project whose route `triage` has two versions, watched by a real monitor."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from llmguard import (
    INJECTED,
    BreakerPolicy,
    Model,
    contract,
    fallback_chain,
    pinned,
    static,
)
from llmguard.pins import Lock, Pin, to_text
from llmguard.store import Action, NewEntry, Store
from llmguard.testing import FakeModel


class Triage(BaseModel):
    category: Literal["billing", "bug", "other"]
    urgent: bool
    note: str


RULED = Triage(category="other", urgent=True, note="by rule")
WORDS = ("parcel", "invoice", "crash", "refund", "lawyer", "thanks", "late", "login")
Answering = Callable[[Any], object]


def ticket(rng: random.Random, *, angry: float = 0.3) -> str:
    """Return a ticket; a share of them threatens with a lawyer."""
    words = [rng.choice(WORDS[:4]) for _ in range(rng.randint(3, 9))]
    return " ".join([*words, "lawyer"] if rng.random() < angry else words)


def answer(request: Any, *, invert: bool = False) -> str:
    """Answer as a version does that reads the ticket; inverted, it is blind to law."""
    text = str(request.messages[-1].content)
    urgent = "lawyer" in text and not invert
    category = "bug" if "crash" in text else "billing" if "invoice" in text else "other"
    note = f"about {text.split(maxsplit=1)[0]}"
    return json.dumps({"category": category, "urgent": urgent, "note": note})


def inverted(request: Any) -> str:
    return answer(request, invert=True)


def broken(share: float) -> Answering:
    """Return how a version answers that breaks the contract on a share of inputs."""

    def say(request: Any) -> str:
        text = str(request.messages[-1].content)
        return "nonsense" if random.Random(text).random() < share else answer(request)

    return say


class Watched:
    """Two fake versions of `triage`, a lock, a ledger, a guarded function.

    Attributes:
        ask: The guarded function; its last tier is a constant.
        old: Pin of the first version.
        new: Pin of the second.
    """

    def __init__(self, root: Path, store: Store, **answers: Answering) -> None:
        self.store = store
        self.models = {
            name: FakeModel(answers.get(name, answer), name=name)
            for name in ("v1", "v2")
        }
        self.old, self.new = (each.pin("triage") for each in self.models.values())
        lock = Lock().with_pin(self.old).with_pin(self.new)
        (root / "models.lock").write_text(to_text(lock), encoding="utf-8")

        @fallback_chain(static(RULED), attempts=1)
        @contract(Triage)
        @pinned("triage", breaker=BreakerPolicy(calls_per_false_trip=1e4))
        def triage(text: str, *, model: Model = INJECTED) -> Triage:
            return model.complete(text)

        self.ask: Callable[[str], Triage] = triage
        self.name = f"{triage.__module__}.{triage.__qualname__}"

    def promote(self, pin: Pin, *, evidence: tuple[str, ...] = ()) -> None:
        """Move a pin to active, as a person who went past the gates would."""
        first = not self.store.ledger.route_state("prod", "triage").rev
        steps = (Action.PROMOTE,) if first else (Action.CANDIDATE, Action.PROMOTE)
        for action in steps:
            state = self.store.ledger.route_state("prod", "triage")
            self.store.ledger.append(
                NewEntry(
                    env="prod",
                    route="triage",
                    pin=pin.id,
                    action=action,
                    base_rev=state.rev,
                    actor="ann",
                    evidence=evidence if action is Action.PROMOTE else (),
                )
            )

    def says(self, name: str, said: object) -> None:
        """Have a version answer otherwise from now on, under the same name."""
        script = self.models[name]._script
        self.models[name]._script = type(script)(said)

    @property
    def active(self) -> str | None:
        """Id of the pin that the ledger has active."""
        return self.store.ledger.route_state("prod", "triage").active
