"""Two weeks of a small deployment, told by the real parts on a virtual clock.

Guarded calls of fake models fill the counts, the log of calls and the breakers; a
suite and a shadow run make the evidence; promotions and a rollback move the ledger.
Only what no short run can make is written down: heartbeats, alarms, an alert.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from store_backends import make_store

from llmguard import (
    call_context,
)
from llmguard.guard._recent import row_of
from llmguard.monitor.drift import Extractor
from llmguard.monitor.drift._baseline import freeze
from llmguard.monitor.drift._fields import fields_of
from llmguard.monitor.sketch import Sketch
from llmguard.pins import Lock, Pin, to_text
from llmguard.pins.routing import RoutingTable
from llmguard.promotion import promote
from llmguard.shadow.live import (
    Shadows,
)
from llmguard.shadow.live._exchange import exchange
from llmguard.store import BaselineRow, Event, SketchRow, Store
from llmguard.suite import Case, Suite, run
from llmguard.suite.expect import schema
from llmguard.telemetry import (
    Answer,
)
from llmguard.telemetry.activity import Activity
from llmguard.telemetry.growth import Growth
from llmguard.telemetry.recent import CallLog, Recent
from llmguard.telemetry.redact import scrub
from llmguard.telemetry.tally import Tally
from llmguard.testing import FakeModel, HttpError, VirtualClock

__all__ = ["DAY", "EPOCH", "HOUR", "SCHEMA", "Scene"]

EPOCH = 1_795_996_800.0  # 2026-11-30 00:00 UTC
HOUR = 3_600.0
DAY = 86_400.0
CATEGORIES = ("billing", "shipping", "refund", "account", "bug", "legal")
SCHEMA = {
    "type": "object",
    "required": ["category", "needs_human"],
    "properties": {
        "category": {"enum": list(CATEGORIES)},
        "needs_human": {"type": "boolean"},
        "reply": {"type": "string"},
    },
}
TICKETS = (
    ("billing", "I was charged twice for order 55{n:03}, please check"),
    ("shipping", "Parcel {n} has not moved for a week"),
    ("refund", "Send me my money back for item {n}"),
    ("legal", "My lawyer will hear of case {n} unless you answer today"),
    ("account", "I cannot log in as user{n}@example.com since Monday"),
    ("bug", "The app shows error {n} when I press save"),
)
GATES = """
[tool.llmguard.gates]
suite = false
horizon = false
[tool.llmguard.gates.canary]
shadow = true
force = ["shadow"]
"""


class Clock(VirtualClock):
    """Whoever waits moves it on, since nobody else would."""

    def sleep(self, seconds: float) -> None:
        """Wait in no time."""
        self.advance(seconds)


class Scene:
    """The deployment: a lock of three versions, a store, calls on a virtual clock."""

    def __init__(self, folder: Path, url: str, *, days: int) -> None:
        self.days = days
        self.clock = Clock(epoch=EPOCH - days * DAY)
        self.store: Store = make_store(url, clock=self.clock, durable=False)
        self.rng = random.Random(11)
        self.outage = False
        old = FakeModel(self._like(0.0, human=1.0), name="desk-1.4")
        new = FakeModel(self._like(0.01, human=0.97), name="desk-1.5")
        bad = FakeModel(self._like(0.12, human=0.3), name="desk-2.0")
        small = FakeModel(self._like(0.02, human=1.0, remote=False), name="desk-small")
        ends = {"shutdown": "2027-01-22", "source": "the provider's page"}
        self.old = old.pin("triage", owner="support desk", lifecycle=ends)
        self.new = new.pin("triage", owner="support desk")
        self.bad = bad.pin("triage", owner="ml team")
        self.small = small.pin("triage-local", owner="ml team")
        lock = Lock()
        for pin in (self.old, self.new, self.bad, self.small):
            lock = lock.with_pin(pin)
        (folder / "models.lock").write_text(to_text(lock), encoding="utf-8")
        (folder / "pyproject.toml").write_text(f"[tool.llmguard]\n{GATES}")
        self.activity, self.tally, self.recent = Activity(), Tally(), Recent()
        self.recent.log = CallLog(per_second=1e6, content=True)
        self.growth = Growth(self.tally)
        self.shadows = Shadows(clock=self.clock)
        self.extractor = Extractor(fields=fields_of(SCHEMA))
        self.sketches: dict[str, Sketch] = {}
        self.rows: dict[str, list[Any]] = {}
        self.runs: list[str] = []

    @property
    def now(self) -> float:
        """Epoch seconds of the story."""
        return self.clock.time()

    def _like(self, broken: float, *, human: float, remote: bool = True) -> Any:
        def say(asked: Any) -> Any:
            if remote and self.outage and self.rng.random() < 0.8:
                return HttpError(503)
            self.clock.advance(self.rng.lognormvariate(-0.4, 0.4))
            return self._say(asked, broken, human)

        return say

    def _say(self, asked: Any, broken: float, human: float) -> Any:
        text = str(asked.messages[-1].content)
        if self.rng.random() < broken:
            return {"category": "legal matters", "needs_human": "yes"}
        category = next((c for c, t in TICKETS if t[:9] in text), "account")
        needs = category in {"legal", "refund"} and self.rng.random() < human
        said = f"Thank you for writing about {category}. " * self.rng.randint(1, 4)
        return {"category": category, "needs_human": needs, "reply": said}

    def hear(self, answer: Answer) -> None:
        """Read an answer as the monitor does."""
        pin = answer.attempt.pin
        if not pin:
            return
        sketch = self.sketches.setdefault(pin, Sketch())
        sketch.told(str(answer.attempt.kind))
        text = json.dumps(answer.value) if answer.text is None else answer.text
        if answer.value is not None:
            row = self.extractor.read(text, answer.value, str(answer.inputs))
            self.rows.setdefault(pin, []).append(row)
            sketch.read(self.extractor.marks, row.marks)
            sketch.sizes["chars"].add(len(text))
            sketch.sizes["seconds"].add(answer.attempt.elapsed)

    def move(
        self, pin: Pin, to: str, *, by: str = "ann@example.com", **more: Any
    ) -> None:
        """Promote a version."""
        given = {"weight": 1_000} if to == "canary" else {}
        promote(
            store=self.store,
            route="triage",
            pin=pin.id,
            to=to,
            env="prod",
            actor=by,
            now=self.now,
            **(given | more),
        )

    def call(self, function: Any, n: int) -> None:
        """Make calls of an hour."""
        self.runtime.routing.table = RoutingTable(
            env="prod",
            rev=self.store.ledger.ledger_rev(),
            routes=self.store.ledger.route_states("prod"),
            read_at=self.now,
        )
        for _ in range(n):
            self.clock.advance(self.rng.uniform(0.5, 0.9 * HOUR / n))
            slice_, text = self.rng.choice(TICKETS)
            number = self.rng.randint(100, 999)
            request = f"req-{self.rng.getrandbits(32):08x}"
            with call_context(request_id=request, intent=slice_, key=str(number)):
                function(text.format(n=number))

    def flush(self) -> None:
        """Do what the keeper and the monitor do."""
        self.store.add_activity(self.activity.drain())
        if batch := self.growth.batch(self.now):
            about: Any = {
                "source": batch.source,
                "number": batch.number,
                "at": self.now,
            }
            self.store.counts.add("prod", batch.rows, **about)
            self.growth.done()
        known = {pin.id: pin for pin in (self.old, self.new, self.bad, self.small)}
        log = self.recent.log
        rows = [row_of(h, "prod", known, log, scrub) for h in self.recent.drain()]
        self.store.calls.add(rows, most=log.rows, keep=400 * DAY)
        for pin, sketch in self.sketches.items():
            body, hour = sketch.to_json(), int(self.now // HOUR)
            row = SketchRow(
                env="prod", function=self.function, pin=pin, hour=hour, body=body
            )
            self.store.monitor.add_sketch(row, lambda one, two: one)
        self.sketches.clear()
        exchange(self.shadows, self.store)

    def baseline(self, pin: Pin) -> None:
        """Freeze how a version answers."""
        made = freeze(
            self.rows[pin.id], self.extractor, function=self.function, pin=pin.id
        )
        self.store.monitor.put_baseline(
            BaselineRow(
                env="prod",
                function=self.function,
                pin=pin.id,
                extractor=made.extractor,
                digest=made.digest,
                outputs=made.outputs,
                at=self.now,
                body=made.to_json(),
            )
        )

    def suite(self, triage: Any, candidate: Pin) -> None:
        """Run a suite against the version that serves."""
        cases = [
            Case(id=f"c{i:02}", inputs={"ticket": t.format(n=i)}, slice=c)
            for i, (c, t) in enumerate(TICKETS * 4)
        ]
        made = Suite(
            name="desk",
            function=triage,
            cases=tuple(cases),
            assertions=(schema(tolerate=0.02, unacceptable=0.2),),
        )
        run(made, candidate, incumbent=self.old, seed=5, store=self.store)

    def beat(self) -> None:
        """Say that two processes live."""
        rev = self.store.ledger.ledger_rev()
        drill = {"proof": "drill", "drill": "app:triage"}
        tiers = [
            {"tier": "triage", "pin": self.new.id, **drill},
            {"tier": "triage-local", "pin": self.small.id, **drill},
            {"tier": "static", "pin": "", "proof": "", "drill": ""},
        ]
        for number, lag in ((1, 0), (2, 1)):
            info = {
                "argv": "gunicorn app:app",
                "routing": {"env": "prod", "rev": rev - lag},
                "functions": {self.function: tiers},
                "calls": {"told": 9_000, "kept": 700, "passed": 8_290, "dropped": 10},
            }
            self.store.beat(f"web-{number}:41{number}", info)

    def event(self, kind: str, pin: Pin, **detail: Any) -> None:
        """Add an event of now."""
        event = Event(env="prod", kind=kind, route="triage", pin=pin.id, detail=detail)
        self.store.events.add(event)
