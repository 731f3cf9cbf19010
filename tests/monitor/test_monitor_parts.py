"""The queue, the paired tests, the reports: each part by itself."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

import llmguard.monitor
from llmguard import (
    INJECTED,
    Model,
    capture,
    contract,
    fallback_chain,
    pinned,
    static,
)
from llmguard.errors import ConfigError, StoreError
from llmguard.monitor import Monitor, report_correction, report_downstream
from llmguard.monitor._intake import Intake
from llmguard.monitor._learn import Learner
from llmguard.monitor._paired import (
    FailureTest,
    Said,
    failed,
    flip_test,
    moved,
    similarity,
)
from llmguard.monitor._respond import Responder
from llmguard.monitor._sites import Recent, Sites, Watching
from llmguard.monitor.drift import Calibration, Classifier
from llmguard.outcome import Attempt, Kind
from llmguard.store import SqliteStore
from llmguard.telemetry import Answer
from llmguard.telemetry.tally import TALLY
from llmguard.testing import fake_pin


def _answer(kind: Kind = Kind.OK, pin: str = "p-1", **fields: Any) -> Answer:
    attempt = Attempt(
        tier="t",
        tier_index=0,
        number=fields.pop("number", 1),
        kind=kind,
        started=0,
        elapsed=0.1,
        pin=pin,
    )
    given: dict[str, Any] = {
        "call_id": "c",
        "function": "f",
        "at": 1.0,
        "attempt": attempt,
        "value": "text",
        "text": "text",
        "inputs": {},
    }
    return Answer(**(given | fields))


def test_the_sample_is_bounded_and_everything_is_counted() -> None:
    """Ten a second are taken; failures always; the rest is only counted."""
    now = [0.0]
    intake = Intake(per_second=10, capacity=100, clock=lambda: now[0])
    for i in range(1_000):
        now[0] += 0.001
        intake.offer(_answer(Kind.SCHEMA if i % 100 == 0 else Kind.OK))
    counts = intake.counts()
    assert 1_000 == counts.told == counts.taken + counts.passed + counts.dropped
    assert 25 <= counts.taken <= 32
    kinds = intake.take_kinds()
    assert {("f", "p-1", Kind.OK): 990, ("f", "p-1", Kind.SCHEMA): 10} == dict(kinds)
    assert not intake.take_kinds()
    failures = sum(
        item[0].attempt.kind is Kind.SCHEMA for item in iter(intake.take, None)
    )
    assert 10 == failures


def test_a_full_queue_drops_the_newest_and_keeps_room_for_failures() -> None:
    """Nobody waits; what is lost is counted."""
    intake = Intake(per_second=1e9, capacity=10)
    for _ in range(20):
        intake.offer(_answer())
    for _ in range(20):
        intake.offer(_answer(Kind.SCHEMA))
    counts = intake.counts()
    assert (40, 10, 30) == (counts.told, counts.waiting, counts.dropped)


def test_counts_are_exact_under_threads() -> None:
    """Eight threads, no lost update."""
    intake = Intake(per_second=5, capacity=50)
    threads = [
        threading.Thread(target=lambda: [intake.offer(_answer()) for _ in range(2_000)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = intake.counts()
    assert 16_000 == counts.told == intake.take_kinds().total()
    assert counts.told == counts.taken + counts.passed + counts.dropped


def test_only_first_answers_of_models_count() -> None:
    """A repaired answer, or a rule's, says nothing about a version."""
    monitor = Monitor()
    monitor._launch = lambda: None  # type: ignore[method-assign]  # no thread
    monitor.offer(_answer(number=2))
    monitor.offer(_answer(pin=""))
    assert 0 == monitor.counts().told
    monitor.offer(_answer())
    assert 1 == monitor.counts().told


def test_a_forked_child_starts_empty_and_watches_on() -> None:
    """What waits is the parent's; the child has a thread of its own."""
    monitor = Monitor(per_second=1e6).start()
    try:
        monitor._launch()
        monitor.offer(_answer())
        reading, writing = os.pipe()
        child = os.fork()
        if not child:  # pragma: no cover - the child reports through the pipe
            status = 1
            try:
                empty = monitor.counts().told == 0 and monitor._thread is None
                for _ in range(5):
                    monitor.offer(_answer())
                alive = monitor._thread is not None and monitor._thread.is_alive()
                monitor.stop()
                seen = monitor.evaluated == 5
                os.write(writing, json.dumps([empty, alive, seen]).encode())
                status = 0
            finally:
                os._exit(status)
        os.waitpid(child, 0)
        assert [True, True, True] == json.loads(os.read(reading, 100))
        os.close(reading)
        os.close(writing)
    finally:
        monitor.stop()


def test_a_classifier_that_breaks_does_not_end_the_watch() -> None:
    """It is counted; the next answer is read."""

    class Odd:
        def __float__(self) -> float:
            raise RuntimeError("no number")

    odd = Classifier(name="odd", function=lambda *_: Odd())  # type: ignore[arg-type,return-value]  # wrong on purpose
    monitor = Monitor(per_second=1e6, classifiers=[odd])
    monitor._launch = lambda: None  # type: ignore[method-assign]  # no thread
    for _ in range(3):
        monitor.offer(_answer(value="x", text="x"))
    assert 3 == monitor.drain()
    assert (3, 0) == (monitor.evaluated, monitor.failures)


@pytest.mark.parametrize(
    "options", [{"learn": 10}, {"per_second": 0}, {"capacity": 1}, {"per_10k": 0}]
)
def test_senseless_numbers_are_refused(options: dict[str, Any]) -> None:
    """When the monitor is made, not when it should have spoken."""
    with pytest.raises(ConfigError, match="`learn` of at least 200"):
        Monitor(**options)


def test_an_unknown_answer_to_a_change_is_refused() -> None:
    """Taken for `unaccepted`, it would roll back where it was told not to."""
    with pytest.raises(ConfigError, match=r"'nver'.*`never`"):
        Responder(on_change="nver")  # type: ignore[arg-type] # wrong on purpose


def test_the_process_has_one_monitor() -> None:
    """A second start changes nothing; stop ends it."""
    one = llmguard.monitor.start(rollback=False)
    try:
        assert one is llmguard.monitor.start(per_second=3)
        assert one is llmguard.monitor.current()
    finally:
        llmguard.monitor.stop()
    assert llmguard.monitor.current() is None
    llmguard.monitor.stop()
    assert "start" in dir(llmguard.monitor)
    with pytest.raises(AttributeError):
        _ = llmguard.monitor.nothing  # type: ignore[attr-defined]  # wrong on purpose


def test_what_the_store_did_not_take_is_kept(tmp_path: Path) -> None:
    """Figures and learnt outputs wait for the next time."""
    store = SqliteStore(tmp_path / "store.db", synchronous="OFF")
    learner = Learner(env="prod", outputs=200, calibration=Calibration())
    site, _ = Sites(Watching()).get("f", "p-1")
    site.read(_answer(value="a fine answer"))
    site.sketch.told("ok", 3)
    store.close()
    with pytest.raises(StoreError, match="was closed"):
        learner.flush(site, store, 1.0)
    with pytest.raises(StoreError, match="was closed"):
        learner.look(site, store, 1.0, last=True)
    assert (3, 1, 1) == (site.sketch.answers, site.sketch.outputs, len(site.learning))
    again = SqliteStore(tmp_path / "store.db", synchronous="OFF")
    learner.flush(site, again, time.time())
    learner.look(site, again, 1.0, last=True)
    assert '"answers":3' in again.monitor.sketches("prod")[0].body
    again.close()
    assert (0, 0) == (site.sketch.answers, len(site.learning))


class Price(BaseModel):
    amount: int


def test_what_became_of_an_answer_is_counted_under_its_version() -> None:
    """Rejections and corrections; a correction that changes nothing is none."""
    pin = fake_pin('{"amount": 5}')

    @contract(Price)
    @pinned(pin)
    def price(item: str, *, model: Model = INJECTED) -> Price:
        return model.complete(item)

    with capture() as outcomes:
        value = price("tea")
    TALLY.renew()
    report_downstream(outcomes[0], accepted=False)
    report_downstream(outcomes[0], accepted=True)
    assert not report_correction(outcomes[0], {"amount": 5}, answer=value)
    assert report_correction(outcomes[0], Price(amount=6), answer=value)
    assert report_correction(outcomes[0], {"amount": 5})
    signals = TALLY.snapshot().signals
    name = outcomes[0].function
    assert {
        (name, pin.id, "rejected"): 1,
        (name, pin.id, "accepted"): 1,
        (name, pin.id, "corrected"): 2,
    } == dict(signals)


def test_an_answer_of_no_model_has_no_version_to_blame() -> None:
    """A constant answered; the error says so."""

    @fallback_chain(static(Price(amount=0)))
    @contract(Price)
    @pinned(fake_pin("nonsense"))
    def price(item: str, *, model: Model = INJECTED) -> Price:
        return model.complete(item)

    with capture() as outcomes:
        price("tea")
    with pytest.raises(ConfigError, match="answered by no model"):
        report_downstream(outcomes[0], accepted=False)


def test_recent_inputs_are_distinct_bounded_and_plain() -> None:
    """What cannot be repeated faithfully is not kept."""
    recent = Recent()
    for i in range(300):
        recent.keep({"n": i % 200})
    recent.keep({"x": object()})
    recent.keep({"x": "y" * 40_000})
    recent.keep({"x": float("nan")})
    assert 3 == recent.unkept
    kept = recent.last(1_000)
    assert 128 == len(kept)
    assert {"n": 99} == kept[0]
    assert 5 == len(recent.last(5))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=80))
def test_evidence_depends_on_discordant_pairs_alone(
    pairs: list[tuple[bool, bool]],
) -> None:
    """And in no order: a martingale's product commutes."""
    one, two = FailureTest(), FailureTest()
    for newer, older in pairs:
        one.add(newer=newer, older=older)
    for newer, older in reversed(pairs):
        two.add(newer=newer, older=older)
    assert one.evidence == pytest.approx(two.evidence)
    assert len(pairs) == one.pairs
    assert sum(n and not o for n, o in pairs) == one.worse
    if one.worse == one.better == 0:
        assert 1.0 == one.evidence


def test_a_worse_version_is_told_and_an_equal_one_hardly_ever() -> None:
    """200 races each at 20 % against 1 %, and 10 % against 10 %."""
    rng = random.Random(5)

    def race(newer: float, older: float) -> bool:
        test = FailureTest()
        for _ in range(100):
            test.add(newer=rng.random() < newer, older=rng.random() < older)
            if test.decided:
                return True
        return False

    assert sum(race(0.2, 0.01) for _ in range(200)) > 180
    assert sum(race(0.1, 0.1) for _ in range(200)) <= 6


def _said(*decisions: object) -> list[Said]:
    return [Said(kind=Kind.OK, hashed=[1.0], decisions={".x": d}) for d in decisions]


def test_a_difference_beyond_the_references_own_is_told() -> None:
    """Twelve flips of fifty against a reference that repeats itself."""
    first = _said(*range(50))
    now = _said(*(i if i >= 12 else -1 for i in range(50)))
    assert flip_test(first, first, now) < 0.001
    assert flip_test(first, first, first) == 1.0
    # The same twelve where the reference changes as often by itself.
    other = _said(*(i if i < 38 else -1 for i in range(50)))
    assert flip_test(first, other, now) > 0.05
    assert {"x 0 -> -1": 1, "x 1 -> -1": 1} == dict(list(moved(first, now).items())[:2])


def test_answers_compare_by_decisions_else_by_text() -> None:
    """A failure resembles only a failure."""
    broke = Said(kind=Kind.SCHEMA)
    plain = Said(kind=Kind.OK, hashed=[0.6, 0.8])
    assert 1.0 == similarity(broke, broke)
    assert 0.0 == similarity(broke, plain)
    assert similarity(plain, Said(kind=Kind.OK, hashed=[0.8, 0.6])) == pytest.approx(
        0.96
    )
    two = [{".a": 1, ".b": 2}, {".a": 1, ".b": 3}]
    one, other = (Said(kind=Kind.OK, hashed=[1.0], decisions=d) for d in two)
    assert 0.5 == similarity(one, other)


@pytest.mark.parametrize(
    ("kind", "means"),
    [
        (Kind.OK, False),
        (Kind.LOW_CONFIDENCE, False),
        (Kind.SCHEMA, True),
        (Kind.REFUSAL, True),
        (Kind.WRONG_MODEL, True),
        (Kind.TIMEOUT, None),
        (Kind.TRANSPORT, None),
    ],
)
def test_only_behaviour_counts_in_a_probe(kind: Kind, means: bool | None) -> None:
    """A provider that is down says nothing about a version."""
    assert failed(kind) is means


def test_the_promise_is_shared_by_the_families() -> None:
    """A quarter each, over one simulated stream."""
    assert pytest.approx(0.7788, abs=1e-4) == Calibration().quiet
    strict: Sequence[float] = [Calibration(per_10k=0.1).quiet, Calibration().quiet]
    assert strict[0] > strict[1]
