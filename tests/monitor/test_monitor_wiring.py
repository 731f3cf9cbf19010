"""From a bad answer to a rollback: alarms, probes, verdicts, limits."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llmguard import config, pins
from llmguard.breaker import State
from llmguard.guard import Runtime
from llmguard.monitor import Monitor, Responder, alerts
from llmguard.monitor.alerts import Alert
from llmguard.monitor.drift import Calibration
from llmguard.pins.routing import Routed, RoutingTable
from llmguard.store import SqliteStore, Store
from llmguard.testing import HttpError

from .project import RULED, Triage, Watched, broken, inverted, ticket

FAST = {"learn": 200, "per_second": 1e6, "capacity": 100_000, "block": 1.0}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """Make a store and a working directory of a test's own."""
    made = SqliteStore(tmp_path / "store.db", synchronous="OFF")
    yield made
    made.close()


@pytest.fixture
def told() -> Iterator[list[Alert]]:
    """Collect the alerts that people would get."""
    alerts.reset()
    found: list[Alert] = []
    sink = alerts.Call(found.append)
    alerts.add_sink(sink)
    yield found
    alerts.flush()
    alerts.reset()


class World:
    """A watched function under one runtime, one store and one monitor."""

    def __init__(
        self, root: Path, store: Store, runtime: Runtime, **answers: Any
    ) -> None:
        self.runtime, self.store = runtime, store
        self.watched = Watched(root, store, **answers)
        runtime.breakers.attach(store)
        runtime.routing = Routed()
        self.rng = random.Random(3)
        self.responder = Responder(runtime=runtime)
        self.monitor = self.make(self.responder)

    def make(self, responder: Responder, **options: Any) -> Monitor:
        made = Monitor(store=self.store, responder=responder, **(FAST | options))
        how = Calibration(block=1, replicates=20, outputs=1_000)
        made._learner._calibration = how
        # The test reads the queue itself, so that everything happens in order.
        made._launch = lambda: None  # type: ignore[method-assign]  # no thread
        return made.start()

    def refresh(self) -> None:
        """Pick up the ledger, as every process does within a second."""
        routes = self.store.ledger.route_states("prod")
        rev = self.store.ledger.ledger_rev()
        table = RoutingTable(env="prod", rev=rev, routes=routes)
        self.runtime.routing = Routed(table)
        self.runtime.breakers.sync()

    def calls(self, n: int, *, angry: float = 0.3) -> list[Triage]:
        """Make calls one by one; the monitor reads each, alarms are answered."""
        found = []
        for _ in range(n):
            found.append(self.watched.ask(ticket(self.rng, angry=angry)))
            self.monitor.drain()
            assert self.responder.wait()
            self.refresh()
        self.monitor.look(flush=True)
        assert self.responder.wait()
        return found

    def upgrade(self, **how: Any) -> None:
        """Promote v1, learn it, then promote v2."""
        self.watched.promote(self.watched.old)
        self.refresh()
        self.calls(220)
        self.watched.promote(self.watched.new, **how)
        self.refresh()

    def events(self, kind: str) -> list[Any]:
        return list(self.store.events.list(env="prod", kind=kind))


@pytest.fixture
def world(
    tmp_path: Path,
    store: Store,
    runtime: Runtime,
    monkeypatch: pytest.MonkeyPatch,
    told: list[Alert],
) -> Iterator[Callable[..., World]]:
    """Make a world of two versions that answer as given."""
    monkeypatch.chdir(tmp_path)
    config.reset()
    pins.forget()
    made: list[World] = []

    def make(**answers: Any) -> World:
        made.append(World(tmp_path, store, runtime, **answers))
        return made[-1]

    yield make
    for each in made:
        each.monitor.stop()
    config.reset()
    pins.forget()


def test_a_version_that_breaks_the_contract_is_rolled_back_by_itself(
    world: Callable[..., World], told: list[Alert]
) -> None:
    """Users get valid answers throughout; the ledger, the log and people hear of it."""
    w = world(v2=broken(0.6))
    w.upgrade()
    answers = w.calls(60)
    assert w.watched.active == w.watched.old.id
    assert all(isinstance(each, Triage) for each in answers)
    assert RULED in answers
    rolled = w.events("rollback.automatic")
    assert [w.watched.new.id] == [event.pin for event in rolled]
    (verdict,) = w.events("probe.paired")
    assert ("worse", "breaker") == (verdict.detail["verdict"], verdict.detail["cause"])
    # Once the old version is back, it answers, not the constant.
    assert RULED not in w.calls(20)
    alerts.flush()
    assert ["rollback.automatic"] == [
        one.signal for one in told if one.severity == "page"
    ]
    (page,) = [one for one in told if one.severity == "page"]
    assert f"llmguard resume {w.watched.new.id}" == page.command


@pytest.mark.slow
def test_a_trip_is_no_rollback_when_both_versions_fail(
    world: Callable[..., World], told: list[Alert]
) -> None:
    """Then the inputs have changed: the chain answers, and people are told."""
    w = world()
    w.upgrade()
    for name in ("v1", "v2"):
        w.watched.says(name, broken(0.7))
    answers = w.calls(60)
    assert w.watched.active == w.watched.new.id
    (verdict,) = w.events("probe.paired")
    assert "same" == verdict.detail["verdict"]
    assert RULED == answers[-1]
    assert [] == w.events("rollback.")
    alerts.flush()
    (page,) = [one for one in told if one.severity == "page"]
    assert "breaker.quarantined" == page.signal
    assert "Not rolled back" in page.evidence


def test_a_silent_inversion_is_seen_by_its_field_and_judged_on_the_same_inputs(
    world: Callable[..., World], told: list[Alert]
) -> None:
    """Every answer is valid; the share of `urgent` is not what it was."""
    w = world(v2=inverted)
    # Not tickets whose categories move by chance in those first outputs too.
    w.rng = random.Random(4)
    w.upgrade()
    before = len(w.watched.models["v2"].calls)
    w.calls(150)
    assert w.watched.active == w.watched.old.id
    assert len(w.watched.models["v2"].calls) - before < 200
    alarm = w.events("alarm.")[0]
    # The prompts stayed what they were, so nothing is put down to other inputs.
    assert "alarm.drift" == alarm.kind
    assert alarm.detail["explained"] < 0
    assert w.watched.old.id == alarm.detail["against"]
    assert "urgent=true" in {shift["name"] for shift in alarm.detail["shifts"]}
    (verdict,) = w.events("probe.paired")
    assert "changed" == verdict.detail["verdict"]
    assert "urgent True -> False" in verdict.detail["moves"]
    breaker = w.runtime.breakers.get(w.watched.name, w.watched.new.id)
    assert breaker.status is State.QUARANTINED
    (review,) = w.events("postmortem.written")
    assert "urgent True -> False" in review.detail["names"]
    assert "--upgrade" in review.detail["command"]
    alerts.flush()
    assert "rollback.automatic" in {one.signal for one in told}


@pytest.mark.slow
def test_a_change_that_was_accepted_is_told_and_stays(
    world: Callable[..., World], told: list[Alert]
) -> None:
    """It was promoted on evidence: people decide."""
    w = world(v2=inverted)
    w.upgrade(evidence=("sha256:" + "0" * 64,))
    w.calls(150)
    assert w.watched.active == w.watched.new.id
    assert ["changed"] == [e.detail["verdict"] for e in w.events("probe.paired")]
    alerts.flush()
    signals = {one.signal for one in told}
    assert any(signal.endswith(".probe") for signal in signals)
    assert "rollback.automatic" not in signals


@pytest.mark.slow
def test_other_inputs_raise_no_rollback(world: Callable[..., World]) -> None:
    """The same version, three times as many angry tickets."""
    w = world()
    w.upgrade()
    w.calls(150, angry=0.95)
    assert w.watched.active == w.watched.new.id
    assert {"same"} >= {e.detail["verdict"] for e in w.events("probe.paired")}
    assert [] == w.events("rollback.")


@pytest.mark.slow
def test_a_second_rollback_within_the_hour_is_left_to_people(
    world: Callable[..., World], told: list[Alert]
) -> None:
    """Ping-pong between versions would help nobody."""
    w = world(v2=broken(0.6))
    w.upgrade()
    w.calls(60)
    assert w.watched.active == w.watched.old.id
    state = w.store.ledger.route_state("prod", "triage")
    assert () == state.previous_active
    for name in ("v1", "v2"):
        w.watched.says(name, broken(0.9))
    w.calls(60)
    assert w.watched.active == w.watched.old.id
    assert 1 == len(w.events("rollback.automatic"))
    alerts.flush()
    assert any("knows no version before" in one.evidence for one in told)


@pytest.mark.slow
def test_versions_that_trip_together_freeze_rollbacks(
    world: Callable[..., World], told: list[Alert]
) -> None:
    """Two within ten minutes: the contract or the inputs are suspect."""
    w = world(v2=broken(0.6))
    w.upgrade()
    w.runtime.breakers.get(w.watched.name, "p-other").quarantine("behaviour: x")
    assert w.responder.wait()
    w.calls(60)
    assert w.watched.active == w.watched.new.id
    alerts.flush()
    assert any("within ten minutes too" in one.evidence for one in told)


@pytest.mark.slow
def test_a_probe_that_cannot_ask_decides_nothing(
    world: Callable[..., World], told: list[Alert]
) -> None:
    """The provider of the old version is down: no verdict, no rollback."""
    w = world(v2=broken(0.6))
    w.upgrade()
    w.watched.models["v1"]._script = type(w.watched.models["v1"]._script)(
        HttpError(500)
    )
    w.calls(60)
    assert w.watched.active == w.watched.new.id
    assert ["undecided"] == [e.detail["verdict"] for e in w.events("probe.paired")]


@pytest.mark.slow
def test_a_baseline_is_frozen_once_and_shared(world: Callable[..., World]) -> None:
    """Another process adopts it instead of learning again."""
    w = world()
    w.watched.promote(w.watched.old)
    w.refresh()
    w.calls(120)
    assert 0 == len(w.store.monitor.list_baselines("prod"))
    w.monitor.stop()
    w.monitor = w.make(Responder(runtime=w.runtime))
    w.calls(100)
    (row,) = w.store.monitor.list_baselines("prod")
    assert (200, w.watched.old.id) == (row.outputs, row.pin)
    w.monitor.stop()
    w.monitor = w.make(Responder(runtime=w.runtime))
    w.calls(3)
    (site,) = w.monitor.sites.all.values()
    assert site.own
    assert 3 == site.follower.outputs if site.follower else False
    (hour,) = w.store.monitor.sketches("prod")[:1]
    assert "chars" in hour.body


@pytest.mark.slow
def test_a_version_that_changes_under_its_name_is_known_by_its_canaries(
    tmp_path: Path, world: Callable[..., World], told: list[Alert]
) -> None:
    """The provider swaps the model; its own answers at promotion are the witness."""
    w = world()
    rng = random.Random(8)
    canaries = [{"text": ticket(rng, angry=0.4)} for _ in range(60)]
    w.monitor.stop()
    w.responder = Responder(runtime=w.runtime, canaries={w.watched.name: canaries})
    w.monitor = w.make(w.responder)
    w.upgrade(evidence=("sha256:" + "0" * 64,))
    w.calls(220)
    assert w.watched.new.id in {
        row.pin for row in w.store.monitor.list_baselines("prod")
    }
    w.watched.says("v2", inverted)
    w.calls(150)
    # Accepted as it was, not as it is.
    assert w.watched.active == w.watched.old.id
    assert "changed" in [e.detail["verdict"] for e in w.events("probe.paired")]


@pytest.mark.slow
def test_an_alarm_that_another_process_answers_may_come_again(
    world: Callable[..., World],
) -> None:
    """This one asks nobody, but it must not be deaf from then on."""
    w = world()
    w.upgrade()
    w.calls(220)
    (site,) = [x for x in w.monitor.sites.all.values() if x.pin == w.watched.new.id]
    key = f"probe/prod/{site.route}/{site.function}/{site.pin}"
    assert w.store.counts.lease(key, hold=3_600.0)
    w.watched.says("v2", inverted)
    w.calls(60)
    assert [] == w.events("probe.paired")
    assert w.events("alarm.drift")
    assert site.follower is not None
    assert site.follower.outputs < 60  # it began anew
    assert w.watched.active == w.watched.new.id


@pytest.mark.slow
def test_the_monitor_works_without_a_store(runtime: Runtime, tmp_path: Path) -> None:
    """In memory alone: a baseline, alarms, no rollback."""
    from llmguard import INJECTED, Model, contract, pinned
    from llmguard.testing import fake_pin

    rng = random.Random(1)

    def says(request: Any) -> str:
        text = " ".join(rng.choice(("good", "fine", "well")) for _ in range(8))
        return f"- {text}" if "list" in str(request.messages[-1].content) else text

    @contract(str)
    @pinned(fake_pin(says))
    def talk(text: str, *, model: Model = INJECTED) -> str:
        return model.complete(text).text or ""

    monitor = Monitor(**(FAST | {"prompts": False}))
    monitor._launch = lambda: None  # type: ignore[method-assign]  # no thread
    monitor.start()
    try:
        for i in range(400):
            talk("list" if i > 250 else "prose")
            monitor.drain()
            monitor.look()
        (site,) = monitor.sites.all.values()
        assert site.own
        assert site.follower is not None
        assert site.follower.alarmed
        assert 0 == monitor.failures, monitor.last_error
        assert 400 == monitor.counts().told == monitor.evaluated
    finally:
        monitor.stop()


def test_the_thread_reads_and_stops(world: Callable[..., World]) -> None:
    """The real one: it starts with the first answer and drains when it is stopped."""
    w = world()
    w.watched.promote(w.watched.old)
    w.refresh()
    w.monitor.stop()
    monitor = Monitor(store=w.store, **FAST).start()
    w.monitor = monitor
    for _ in range(30):
        w.watched.ask(ticket(w.rng))
    assert any(t.name == "llmguard-monitor" for t in threading.enumerate())
    monitor.stop()
    assert 30 == monitor.evaluated
    (row,) = w.store.monitor.sketches("prod")
    assert '"answers":30' in row.body
    w.watched.ask(ticket(w.rng))
    assert 30 == monitor.counts().told
