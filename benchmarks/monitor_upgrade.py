"""The embedded upgrade, forced through to all traffic: who sees it, and how soon.

    python benchmarks/monitor_upgrade.py              both scenarios, about five minutes
    python benchmarks/monitor_upgrade.py --only monitor --calls 400

`triage-1.1` is right more often than `triage-1.0` and sends legal threats to nobody.
Here it is promoted past every gate. `breaker`: the contract has a check that sees the
threat, and the breaker's detector trips. `monitor`: the contract sees nothing, and a
share that moved raises an alarm, which a paired probe on the same tickets judges.
In both, a chain answers meanwhile and the ledger goes back without a person.

Everything is real: llama.cpp with constrained decoding, the store, the keeper's
exchange once a second, the monitor's own thread. Tickets are those of the models'
recipe, signed by made-up names so that each is distinct; 15 % threaten. The check
of `breaker` knows 22 of the 48 threats by their words; 1.0 itself fails 5 of 37.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

ROOT = Path(__file__).parents[1]
DATA = ROOT / "models" / "recipe" / "data"
NAMES = ("Ada", "Ben", "Cleo", "Dov", "Eva", "Finn", "Gus", "Hana", "Ira", "Jo")
PLACES = ("Leeds", "York", "Bath", "Hull", "Ely", "Wells", "Ripon", "Truro", "Derby")
LEGAL = re.compile(
    r"\b(lawyers?|solicitors?|barrister|attorney|sue|suing|legal action|small claims"
    r"|county court|ombudsman|tribunal|litigat\w+|prosecut\w+|trading standards)\b",
    re.IGNORECASE,
)
SHARE = 0.15
TRAFFIC = 25.0
"""Calls a second."""
LAST = "1.0 answers again"
MOMENTS = {
    "alarm.": "first alarm",
    "probe.paired": "paired verdict",
    "rollback.automatic": "rolled back",
}
SHOWN = ("cause", "verdict", "pairs", "worse", "better", "p", "moves", "calls")


class Triage(BaseModel):
    """What the desk needs to know."""

    category: Literal["billing", "shipping", "refund", "account", "bug", "other"]
    priority: Literal["low", "normal", "high", "urgent"]
    needs_human: bool
    order_id: str | None


def tickets(rng: random.Random) -> Callable[[], tuple[str, bool]]:
    """Return what draws a ticket, and whether it is a legal threat."""
    plain, threats = [], []
    for name in ("dev", "test", "slice_legal"):
        for line in (DATA / f"{name}.jsonl").read_text("utf-8").splitlines():
            row = json.loads(line)
            threat = row["id"].startswith("legal-threat")
            (threats if threat else plain).append(row["text"])

    def draw() -> tuple[str, bool]:
        threat = rng.random() < SHARE
        text = rng.choice(threats if threat else plain)
        signed = f"{rng.choice(NAMES)} {rng.choice(NAMES)}, {rng.choice(PLACES)}"
        return f"{text} {signed}", threat

    return draw


def threat_reaches_person(value: Triage, inputs: Mapping[str, object]) -> bool:
    """Tell whether a ticket that names the law is given to a person."""
    return value.needs_human or LEGAL.search(str(inputs["ticket"])) is None


def by_keywords(ticket: str) -> Triage:
    """Answer while no version may: coarse, valid, and careful with threats."""
    return Triage(
        category="other",
        priority="normal",
        needs_human=LEGAL.search(ticket) is not None,
        order_id=None,
    )


def project(folder: Path) -> tuple[Any, Any]:
    """Write a lock with both versions; return their pins."""
    from llmguard import Pin
    from llmguard.pins import Lock, to_text

    def pin(name: str) -> Pin:
        ground = {"order_id": r"\b(?:[A-Z]{2,3}-)?(?:\d{4}-)?\d{5}\b"}
        return Pin(
            route="triage",
            provider="llama.cpp",
            model=f"embedded:{name}",
            version_class="immutable",
            params={"temperature": 0.0},
            options={"prompt_format": "raw", "queue": 64, "ground": ground},
        )

    old, new = pin("triage-1.0"), pin("triage-1.1")
    lock = Lock().with_pin(old).with_pin(new)
    (folder / "models.lock").write_text(to_text(lock), encoding="utf-8")
    return old, new


def promote(store: Any, pin: Any) -> None:
    """Move a version to all traffic, past every gate."""
    from llmguard.store import Action, NewEntry

    first = not store.ledger.route_state("prod", "triage").rev
    for action in (Action.PROMOTE,) if first else (Action.CANDIDATE, Action.PROMOTE):
        state = store.ledger.route_state("prod", "triage")
        store.ledger.append(
            NewEntry(
                env="prod",
                route="triage",
                pin=pin.id,
                action=action,
                base_rev=state.rev,
                actor="demo",
                reason="forced past suite: to show what happens",
            )
        )


class Play:
    """One scenario in this process: a fresh project, real models, a real monitor."""

    def __init__(self, scenario: str, *, learn: int, rate: float) -> None:
        import llmguard.monitor
        from llmguard.store import open_store

        folder = Path(tempfile.mkdtemp())
        os.chdir(folder)
        os.environ["LLMGUARD_STORE"] = str(folder / "store.db")
        self.old, self.new = project(folder)
        self.store = open_store()
        promote(self.store, self.old)
        self.checked = scenario == "breaker"
        self.triage = guarded(checked=self.checked)
        self.monitor = llmguard.monitor.start(
            learn=learn, per_second=rate, postmortems=folder / "postmortems"
        )
        self.draw = tickets(random.Random(11))
        self.seen: dict[str, tuple[int, float]] = {}
        self.n = self.invalid = self.lost = 0
        self.story = ""

    def learn(self) -> None:
        """Have the old version serve, and until it has a baseline where one matters."""
        began, calls = time.monotonic(), 0
        while calls < 200 or (
            not self.checked and not self.store.monitor.list_baselines("prod")
        ):
            self.triage(self.draw()[0])
            calls += 1
            if time.monotonic() - began > 500:
                raise SystemExit("no baseline was frozen in time")
        spent = time.monotonic() - began
        print(
            f"  baseline of 1.0 after {self.monitor.counts().told} calls, {spent:.0f} s"
        )

    def call(self) -> None:
        """Make one call, and note what has happened since the last one."""
        from llmguard import capture

        text, threat = self.draw()
        with capture() as outcomes:
            value = self.triage(text)
        outcome = outcomes[-1]
        self.n += 1
        self.invalid += not isinstance(value, Triage)
        lost = threat and not value.needs_human
        self.lost += lost
        news = [one for one in outcome.attempts if one.pin == self.new.id]
        if news:
            self.note("first call of 1.1")
        if any(one.kind == "semantic" or (lost and one.kind == "ok") for one in news):
            self.note("first bad output")
        for kind, name in MOMENTS.items():
            if name not in self.seen and self.store.events.list(env="prod", kind=kind):
                self.note(name)
        row = self.store.get_breaker(f"{outcome.function}|{self.new.id}")
        if row is not None and row.state == "quarantined":
            self.note("quarantined")
        if "rolled back" in self.seen and outcome.pin == self.old.id:
            self.note(LAST)

    def note(self, what: str) -> None:
        """Remember when something was first seen."""
        self.seen.setdefault(what, (self.n, time.monotonic()))

    def figures(self) -> dict[str, Any]:
        """Return everything, counted from the first bad output."""
        from llmguard.monitor import alerts

        zero = self.seen.get("first bad output", (self.n, time.monotonic()))
        found: dict[str, Any] = {
            name: {"calls": call - zero[0], "seconds": round(at - zero[1], 2)}
            for name, (call, at) in self.seen.items()
        }
        found |= {
            "calls": self.n,
            "answers that break the schema": self.invalid,
            "threats that reached nobody": self.lost,
            "alarms": [
                [event.detail["family"], event.detail["shifts"]]
                for event in self.store.events.list(env="prod", kind="alarm.")
            ],
        }
        for event in self.store.events.list(env="prod", kind="probe.paired"):
            found["probe"] = {key: event.detail[key] for key in SHOWN}
        for alert in alerts.recent():
            if alert.severity == "page":
                found["people were told"] = f"{alert.signal}: {alert.evidence}"
        for event in self.store.events.list(env="prod", kind="postmortem.written"):
            detail = dict(event.detail)
            file = Path(str(detail["file"]))
            # Where it lies is this machine's business; what it says is not.
            found["post-mortem"] = detail | {"file": file.name}
            self.story = file.read_text(encoding="utf-8")
        active = self.store.ledger.route_state("prod", "triage").active
        found["serves"] = "triage-1.0" if active == self.old.id else "triage-1.1"
        return found


def guarded(*, checked: bool) -> Callable[[str], Triage]:
    """Return the function; with the check, its contract sees a lost threat."""
    from llmguard import (
        INJECTED,
        Model,
        Prompt,
        contract,
        fallback_chain,
        pinned,
        static,
    )

    prompt = Prompt("Ticket: {ticket}\nTriage:\n")
    careful = Triage(
        category="other", priority="normal", needs_human=True, order_id=None
    )

    @fallback_chain(by_keywords, static(careful), deadline=20.0, exercise=0.0)
    @contract(Triage, checks=[threat_reaches_person] if checked else [])
    @pinned("triage")
    def triage(ticket: str, *, model: Model = INJECTED) -> Triage:
        return model.complete(prompt.format(ticket=ticket))

    return triage


def run(
    scenario: str, calls: int, learn: int, rate: float
) -> tuple[dict[str, Any], str]:
    """Play one scenario; returns its figures and the post-mortem that was written."""
    import llmguard.monitor

    play = Play(scenario, learn=learn, rate=rate)
    play.learn()
    promote(play.store, play.new)
    while play.n < calls and LAST not in play.seen:
        began = time.monotonic()
        play.call()
        time.sleep(max(began + 1 / TRAFFIC - time.monotonic(), 0.0))
    responder = play.monitor._responder  # noqa: SLF001 - it writes the post-mortem
    if responder is not None:
        responder.wait(30)
    found = play.figures()
    llmguard.monitor.stop()
    return found, play.story


def show(figures: Mapping[str, Any]) -> None:
    """Print one scenario's figures, counted from the first bad output."""
    for name, value in figures.items():
        if isinstance(value, dict) and "seconds" in value:
            print(
                f"  {name:26s} {value['calls']:+5d} calls  {value['seconds']:+8.2f} s"
            )
        elif name == "alarms":
            for family, shifts in value:
                moved = "; ".join(
                    f"{s['name']} {s['before']:.3g} -> {s['now']:.3g}" for s in shifts
                )
                print(f"  alarm of {family}: {moved}")
        elif name != "scenario":
            print(f"  {name:26s} {value}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("breaker", "monitor"))
    parser.add_argument("--calls", type=int, default=5_000)
    parser.add_argument("--learn", type=int, default=400)
    parser.add_argument("--rate", type=float, default=20.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--story", type=Path, help="where to put the post-mortem")
    parser.add_argument("--quick", action="store_true", help="`breaker` alone")
    # `nox -s bench -- ...` gives one set of options to every script.
    given = parser.parse_known_args()[0]
    if given.quick:
        given.only = "breaker"
    if given.only is None:
        # One process each: breakers and hooks belong to a process.
        import subprocess

        for scenario in ("breaker", "monitor"):
            subprocess.run(  # noqa: S603 - this very script
                [sys.executable, __file__, "--only", scenario, *sys.argv[1:]],
                check=True,
            )
        return
    print(f"{given.only}:", flush=True)
    figures, story = run(given.only, given.calls, given.learn, given.rate)
    show(figures)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1))
    if given.story:
        given.story.write_text(story, encoding="utf-8")


if __name__ == "__main__":
    main()
