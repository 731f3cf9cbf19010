"""A store in which two upgrades happened: one smooth, one rolled back by itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmguard.pins import Lock, Pin
from llmguard.pins._lock import Route
from llmguard.store import (
    Action,
    Event,
    EvidenceRow,
    NewEntry,
    SqliteStore,
)
from llmguard.testing import VirtualClock


def make_pin(model: str, **fields: Any) -> Pin:
    """Return a pin of the route `triage`."""
    given = {"provider": "openai", "version_class": "versioned", "owner": "desk"}
    return Pin(route="triage", model=f"gpt-5.2-2025-12-{model}", **(given | fields))


FIRST, SECOND = make_pin("07"), make_pin("08")
THIRD = make_pin("09", params={"temperature": 0.7}, owner="llm team")


class Story:
    """A store, its clock, and how to let things happen."""

    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock(epoch=1_790_000_000.0)
        self.store = SqliteStore(
            folder / "store.db", clock=self.clock, synchronous="OFF"
        )
        self.batch = 0
        self.first, self.second, self.third = FIRST, SECOND, THIRD
        pins = {pin.id: pin for pin in (FIRST, SECOND, THIRD)}
        route = Route(name="triage", active=SECOND.id, allowed=tuple(sorted(pins)))
        self.lock = Lock(pins=pins, routes={"triage": route})

    @property
    def now(self) -> float:
        return self.clock.time()

    def move(self, pin: Pin, action: Action, **fields: Any) -> None:
        state = self.store.ledger.route_state("prod", "triage")
        given: dict[str, Any] = {"actor": "ann"}
        self.store.ledger.append(
            NewEntry(
                env="prod",
                route="triage",
                pin=pin.id,
                action=action,
                base_rev=state.rev,
                **(given | fields),
            )
        )

    def count(self, pin: Pin, n: int, **what: str) -> None:
        [(measure, label)] = what.items()
        self.batch += 1
        self.store.counts.add(
            "prod",
            [(("app.triage", pin.id, "", measure, label), n)],
            source="test",
            number=self.batch,
            at=self.now,
        )

    def event(self, kind: str, pin: Pin, **detail: Any) -> None:
        self.store.events.add(
            Event(env="prod", kind=kind, route="triage", pin=pin.id, detail=detail)
        )

    def evidence(self, kind: str, pin: Pin, verdict: str, **body: Any) -> str:
        text = json.dumps(body)
        digest = f"sha256:{kind}{pin.id}"
        self.store.put_evidence(
            EvidenceRow(
                digest=digest,
                kind=kind,
                function="app.triage",
                subject="ladder",
                pin_digest=pin.identity,
                verdict=verdict,
                at=self.now,
                body=text,
            )
        )
        return digest

    def tell(self) -> None:
        """Let both upgrades happen."""
        self.move(FIRST, Action.CANDIDATE)
        self.move(FIRST, Action.PROMOTE, reason="the first")
        self.clock.advance(3600)
        self.count(FIRST, 990, first="ok")
        self.count(FIRST, 10, first="schema")
        self.count(FIRST, 1000, call="ok")
        self.clock.advance(3600)
        self.move(SECOND, Action.CANDIDATE)
        self.move(SECOND, Action.CANARY, weight=500)
        self.clock.advance(600)
        self.move(SECOND, Action.PROMOTE, reason="cheaper")
        self.count(SECOND, 2000, first="ok")
        self.count(SECOND, 2000, call="ok")
        self.clock.advance(86_400)
        digest = self.evidence(
            "shadow",
            THIRD,
            "ALARM",
            reason="4 of 200 flip",
            worst="legal",
            requests=200,
        )
        self.move(THIRD, Action.CANDIDATE)
        self.move(THIRD, Action.CANARY, weight=1000, evidence=(digest,))
        self.count(THIRD, 60, first="ok")
        self.count(THIRD, 30, first="refusal")
        self.count(THIRD, 60, call="ok")
        self.count(THIRD, 30, call="degraded")
        self.clock.advance(60)
        self.move(THIRD, Action.PROMOTE, reason="forced | <b>", evidence=(digest,))
        self.event(
            "alarm.drift",
            THIRD,
            family="style",
            output=41,
            statistic=9.1,
            threshold=7.0,
            shifts=[{"name": "words", "before": 40.0, "now": 11.0}],
            confounded=True,
        )
        self.count(THIRD, 10, call="degraded")
        self.clock.advance(2)
        self.event("rollback.automatic", THIRD, rev=8)
        self.move(SECOND, Action.ROLLBACK, actor="llmguard", reason="paired probe")
        self.clock.advance(3600)


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    story = Story(tmp_path)
    yield story
    story.store.close()
