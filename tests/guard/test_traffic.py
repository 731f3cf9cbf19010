"""What is counted of traffic, how it comes into the store, and silent swaps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard import Attempt, Kind, Outcome, Pin, config, pins
from llmguard.breaker import BreakerRegistry, State
from llmguard.errors import StoreError
from llmguard.guard._traffic import Mover
from llmguard.outcome import Usage
from llmguard.pins import Lock, to_text
from llmguard.pins.router import ROUTER, Applied
from llmguard.store import SqliteStore
from llmguard.telemetry.activity import process_name
from llmguard.telemetry.traffic import TRAFFIC, Traffic, bin_edges, latency_bin
from llmguard.testing import VirtualClock

PIN = Pin(
    route="triage",
    provider="replay",
    model="m@sha256:1",
    expect_echo=("m-1", "m-1b"),
    version_class="immutable",
)
BLOCKING = Pin(
    route="strict",
    provider="replay",
    model="m@sha256:1",
    expect_echo=("m-1",),
    fingerprint_policy="block",
    version_class="immutable",
)
SILENT = Pin(
    route="silent",
    provider="replay",
    model="m@sha256:2",
    expect_echo=("*",),
    version_class="immutable",
)


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    lock = Lock().with_pin(PIN).with_pin(BLOCKING).with_pin(SILENT)
    Path("models.lock").write_text(to_text(lock), encoding="utf-8")
    config.reset()
    pins.forget()
    TRAFFIC.renew()
    yield
    TRAFFIC.renew()
    config.reset()
    pins.forget()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    clock = VirtualClock(epoch=1_000.0)
    made = SqliteStore(tmp_path / "store.db", clock=clock)
    yield made
    made.close()


def _attempt(kind: Kind = Kind.OK, *, pin: Pin = PIN, **fields: object) -> Attempt:
    given: dict[str, object] = {
        "tier": "triage",
        "tier_index": 0,
        "number": 1,
        "started": 0.0,
        "elapsed": 0.2,
        "served_model": "m-1",
        "pin": pin.id,
    }
    return Attempt(kind=kind, **{**given, **fields})  # type: ignore[arg-type]  # a helper's free keywords


def _outcome(*attempts: Attempt, at: float = 600.0, **fields: object) -> Outcome:
    last = attempts[-1]
    given: dict[str, object] = {
        "call_id": "c",
        "function": "app.f",
        "kind": last.kind,
        "tier": last.tier,
        "tier_index": last.tier_index,
        "elapsed": 0.3,
    }
    return Outcome(attempts=attempts, at=at, **{**given, **fields})  # type: ignore[arg-type]  # a helper's free keywords


def _move(store: SqliteStore, *outcomes: Outcome, mover: Mover | None = None) -> Mover:
    """Count outcomes and move them, as one process does until the next call of this."""
    found = mover or Mover()
    for outcome in outcomes:
        TRAFFIC(outcome)
    found.move(store, BreakerRegistry())
    return found


def _kinds(store: SqliteStore) -> list[str]:
    return [event.kind for event in store.events.list()]


@given(st.floats(1e-6, 1e4))
def test_bins_hold_their_latencies(seconds: float) -> None:
    """A bin's edges are ten percent apart and around what was put in."""
    lower, upper = bin_edges(latency_bin(seconds))
    assert lower <= seconds * (1 + 1e-9)
    assert seconds <= upper * (1 + 1e-9)
    assert lower == 0 or math.isclose(upper / lower, 1.1)


def test_echoes_are_rolled_up(store: SqliteStore) -> None:
    """Per five minutes, with a verdict; only of attempts that got an answer."""
    _move(
        store,
        _outcome(_attempt()),
        _outcome(_attempt(Kind.TIMEOUT, served_model=None), _attempt(number=2)),
        _outcome(_attempt(Kind.WRONG_MODEL, served_model="other")),
        _outcome(_attempt(served_model=None)),
        _outcome(_attempt(pin=SILENT, served_model="whatever")),
        _outcome(_attempt(), at=900.0),
        _outcome(_attempt(Kind.OPEN, served_model=None)),
    )
    rows = store.traffic.served("prod", "triage", at=600.0)
    assert [
        ("", "unavailable", 1),
        ("m-1", "match", 2),
        ("other", "mismatch", 1),
    ] == [(row.model, row.verdict, row.n) for row in rows]
    assert {process_name()} == {row.process for row in rows}
    [silent] = store.traffic.served("prod", "silent", at=600.0)
    assert ("whatever", "unavailable") == (silent.model, silent.verdict)
    assert 1 == len(store.traffic.served("prod", "triage", at=900.0))


def test_a_swap_is_told_once_per_change(store: SqliteStore) -> None:
    """By whichever process sees it first; again when it comes back later."""
    mover = _move(store, _outcome(_attempt()))
    assert [] == _kinds(store)
    swapped = _outcome(_attempt(Kind.WRONG_MODEL, served_model="other"), at=700.0)
    _move(store, swapped, swapped, mover=mover)
    _move(store, swapped, mover=mover)
    _move(store, swapped)
    [event] = store.events.list()
    assert ("echo.mismatch", PIN.id, "triage") == (event.kind, event.pin, event.route)
    assert {
        "served": "other",
        "fingerprint": "",
        "expected": ["m-1", "m-1b"],
        "models_before": ["m-1"],
        "fingerprints_before": [],
    } == dict(event.detail)
    later = 700.0 + 86_400.0
    _move(store, _outcome(_attempt(), at=later), mover=mover)
    back = _outcome(_attempt(Kind.WRONG_MODEL, served_model="other"), at=later + 9)
    _move(store, back, mover=mover)
    assert ["echo.mismatch"] * 2 == _kinds(store)


def test_other_changes_have_kinds_of_their_own(store: SqliteStore) -> None:
    """Another accepted echo, an echo that stopped, another fingerprint."""
    mover = _move(store, _outcome(_attempt(fingerprint="a")))
    _move(store, _outcome(_attempt(served_model="m-1b", fingerprint="a")), mover=mover)
    _move(store, _outcome(_attempt(fingerprint="b")), mover=mover)
    _move(store, _outcome(_attempt(served_model=None)), mover=mover)
    assert ["echo.changed", "fingerprint.changed", "echo.unavailable"] == _kinds(store)
    event = store.events.list(kind="fingerprint.changed")[0]
    assert (["a"], "b") == (
        event.detail["fingerprints_before"],
        event.detail["fingerprint"],
    )


def test_a_pin_that_never_echoes_is_no_event(store: SqliteStore) -> None:
    """It is reported as unavailable, and nobody is woken."""
    mover = _move(store, _outcome(_attempt(pin=SILENT, served_model=None)))
    _move(store, _outcome(_attempt(pin=SILENT, served_model="x")), mover=mover)
    assert [] == _kinds(store)


def test_a_blocking_policy_quarantines(store: SqliteStore) -> None:
    """Wherever the pin is used; a pin that only records goes on."""
    breakers = BreakerRegistry()
    mine = [breakers.get(f"app.{name}", BLOCKING.id) for name in "fg"]
    others = [breakers.get("app.f", PIN.id)]
    mover = Mover()
    for fingerprint in "ab":
        for pin in (PIN, BLOCKING):
            TRAFFIC(_outcome(_attempt(pin=pin, fingerprint=fingerprint)))
        mover.move(store, breakers)
    assert [State.QUARANTINED] * 2 == [breaker.status for breaker in mine]
    assert [State.CLOSED] == [breaker.status for breaker in others]
    assert ["fingerprint.changed"] * 2 == _kinds(store)


def test_arms_are_counted(store: SqliteStore) -> None:
    """First attempts decide; diverted calls are told apart; units are listed."""
    about = {"experiment": "tone", "arm": "short", "unit": "00ff", "revision": 3}
    local: dict[str, Any] = {"tier": "local", "tier_index": 1, "pin": SILENT}
    usage = Usage(input_tokens=10, output_tokens=2)
    _move(
        store,
        _outcome(_attempt(usage=usage), **about),
        _outcome(_attempt(Kind.SCHEMA), _attempt(number=2), **about),
        _outcome(_attempt(Kind.TIMEOUT), _attempt(**local), **about),
        _outcome(_attempt(Kind.OPEN), _attempt(pin=BLOCKING), **about),
        _outcome(_attempt(Kind.SKIPPED), _attempt(**local), **{**about, "unit": ""}),
        _outcome(_attempt()),
    )
    TRAFFIC.signal(_outcome(_attempt(), **about), "corrected")
    for other in (
        _outcome(_attempt()),
        _outcome(_attempt(Kind.OPEN), _attempt(pin=BLOCKING), **about),
    ):
        TRAFFIC.signal(other, "corrected")
    _move(store)
    rows = store.traffic.arms("prod", "tone")
    found = {row.measure: (row.n, round(row.total, 9)) for row in rows}
    assert {
        "calls": (5, 1.5),
        "valid": (1, 0.0),
        "invalid": (1, 0.0),
        "failed": (1, 0.0),
        "diverted": (1, 0.0),
        "answered": (2, 0.0),
        "corrected": (1, 0.0),
        "input_tokens": (1, 10.0),
        "output_tokens": (1, 2.0),
        "input_tokens_sq": (1, 100.0),
        "output_tokens_sq": (1, 4.0),
        f"latency:{latency_bin(0.2)}": (2, 0.4),
    } == found
    assert {PIN.id} == {row.pin for row in rows}
    [met] = store.traffic.exposures("prod", "tone")
    assert ("00ff", "short", 3, 4) == (met.unit, met.arm, met.rev, met.n)


def test_what_cannot_be_written_waits(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that fails costs time, not counts; each is written once."""
    about = {"experiment": "tone", "arm": "short", "unit": "00ff"}

    def fails(_: object) -> None:
        raise StoreError("disk on fire")

    traffic = store.traffic
    for method in ("add_served", "add_arms", "add_exposures"):
        with monkeypatch.context() as patch:
            patch.setattr(traffic, method, fails)
            with pytest.raises(StoreError, match="on fire"):
                _move(store, _outcome(_attempt(), **about))
        TRAFFIC(_outcome(_attempt(), **about))
    _move(store)
    assert [6] == [row.n for row in traffic.served("prod", "triage", at=600.0)]
    calls = [row.n for row in traffic.arms("prod", "tone") if row.measure == "calls"]
    assert [6] == calls
    assert [6] == [row.n for row in traffic.exposures("prod", "tone")]


def test_what_is_held_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels without end are lost, and counted as lost."""
    monkeypatch.setattr("llmguard.telemetry.traffic._MAX_ROWS", 3)
    traffic = Traffic()
    for number in range(5):
        about = {"experiment": f"e{number}", "arm": "a", "unit": f"{number}"}
        traffic(_outcome(_attempt(served_model=f"m{number}"), **about))
    held = traffic.drain()
    assert [3, 3, 3] == [len(held.echoes), len(held.arms), len(held.exposures)]
    assert traffic.lost > 0


def test_applied_revisions_have_a_beginning_and_an_end(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transition ends the row before; a long one starts anew every hour."""
    now = [1_000.0]
    monkeypatch.setattr("llmguard.guard._traffic.time.time", lambda: now[0])

    def applied(rev: int) -> Applied:
        return Applied(
            at=now[0], env="prod", rev=rev, experiments_rev=0, lock="l", stale=False
        )

    def rows(at: float) -> list[tuple[int, float, float]]:
        found = store.traffic.applied("prod", at=at)
        return [(row.rev, row.at, row.last_at) for row in found]

    ROUTER.take_applied()
    mover = Mover()
    ROUTER.give_back([applied(1)])
    _move(store, mover=mover)
    now[0] = 1_005.0
    _move(store, mover=mover)
    assert [(1, 1_000.0, 1_000.0)] == rows(1_005.0)
    now[0] = 1_012.0
    _move(store, mover=mover)
    assert [(1, 1_000.0, 1_012.0)] == rows(1_012.0)
    now[0] = 1_013.0
    ROUTER.give_back([applied(2)])
    now[0] = 1_014.0
    _move(store, mover=mover)
    assert [(1, 1_000.0, 1_013.0)] == rows(1_012.9)
    assert [(2, 1_013.0, 1_014.0)] == rows(1_014.0)
    now[0] = 4_700.0
    _move(store, mover=mover)
    now[0] = 4_711.0
    _move(store, mover=mover)
    assert [(2, 4_700.0, 4_711.0)] == rows(4_711.0)


def test_transitions_wait_for_the_store(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be written is offered again."""
    ROUTER.take_applied()
    one = Applied(at=5.0, env="prod", rev=1, experiments_rev=0, lock="", stale=True)
    ROUTER.give_back([one])

    def fails(_: object) -> None:
        raise StoreError("disk on fire")

    mover = Mover()
    with monkeypatch.context() as patch:
        patch.setattr(store.traffic, "add_applied", fails)
        with pytest.raises(StoreError, match="on fire"):
            _move(store, mover=mover)
    _move(store, mover=mover)
    [row] = store.traffic.applied("prod", at=5.0)
    assert (1, True) == (row.rev, row.stale)


def test_pins_that_nobody_knows_are_kept_apart(store: SqliteStore) -> None:
    """They have no route and no verdict, but their echoes are not forgotten."""
    stranger = Pin(route="x", provider="replay", model="m@sha256:9")
    _move(store, _outcome(_attempt(pin=stranger)))
    [row] = store.traffic.served("prod", "", at=600.0)
    assert (stranger.id, "m-1", "unavailable") == (row.pin, row.model, row.verdict)
    assert [] == _kinds(store)
