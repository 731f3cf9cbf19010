"""The parts by themselves: the lane's threads, a store that is down, odd decorators."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

import pytest

from llmguard import INJECTED, Model, contract, pinned
from llmguard.errors import ConfigError, LockError, StoreError
from llmguard.guard import guard_of
from llmguard.shadow import Draw, Ladder, Severity, decision, ignored, shadow
from llmguard.shadow.live import ShadowOptions
from llmguard.shadow.live._exchange import exchange
from llmguard.shadow.live._lane import Lane
from llmguard.shadow.live._manage import start_shadow
from llmguard.shadow.live._run import LiveRun
from llmguard.shadow.live._spec import ladder_of, spec_of
from llmguard.store import SqliteStore
from llmguard.testing import FakeModel, VirtualClock

Project = Any
"""The fixture `project`, which its conftest defines."""


class Work:
    """What a lane needs of one."""

    def __init__(self) -> None:
        self.context = copy_context()
        self.guard = self
        self.name = "work"


def _lane(do: Callable[[], object], **options: Any) -> tuple[Lane, list[BaseException]]:
    told: list[BaseException] = []
    lane = Lane(
        "test",
        lambda work, loop: do(),
        broken=lambda work, error: told.append(error),
        **{"workers": 2, "capacity": 4, **options},
    )
    return lane, told


def _put(lane: Lane) -> bool:
    return lane.put(Work())  # type: ignore[arg-type] # all that a lane looks at


def test_a_lane_runs_everything_and_its_threads_go_home() -> None:
    """Two at a time; a thread that found nothing to do is gone, and comes again."""
    done: list[str] = []
    lane, told = _lane(lambda: done.append(threading.current_thread().name), idle=0.01)
    for _ in range(3):
        assert _put(lane)
    lane.join()
    assert lane.idle
    while any(t.name == "test" for t in threading.enumerate()):
        pass
    assert _put(lane)
    lane.join()
    assert ["test"] * 4 == done
    assert [] == told
    assert 0 == lane.close()


def test_what_breaks_is_told_and_the_next_one_runs() -> None:
    """Exceptions of any kind end one work only."""
    turns = iter([SystemExit(1), ValueError("x"), None])

    def do() -> None:
        error = next(turns)
        if error is not None:
            raise error

    lane, told = _lane(do, workers=1)
    for _ in range(3):
        _put(lane)
    lane.join()
    assert ["SystemExit", "ValueError"] == [type(each).__name__ for each in told]
    lane.close()


def test_closing_drops_what_waits_and_says_how_much() -> None:
    """What is under way ends by itself; nothing is taken any more."""
    gate, begun = threading.Event(), threading.Event()

    def do() -> None:
        begun.set()
        gate.wait(10)

    lane, _ = _lane(do, workers=1)
    for _ in range(4):
        assert _put(lane)
    assert begun.wait(10)
    assert 3 == lane.close()
    assert not _put(lane)
    gate.set()
    lane.join()


def test_draining_waits_for_what_waits_but_not_for_ever() -> None:
    """All within its seconds, or the rest is dropped."""
    done: list[int] = []
    lane, _ = _lane(lambda: done.append(1), workers=1)
    for _ in range(4):
        _put(lane)
    assert 0 == lane.close(drain=10)
    assert 4 == len(done)
    gate = threading.Event()
    lane, _ = _lane(lambda: gate.wait(10), workers=1)
    for _ in range(4):
        _put(lane)
    assert lane.close(drain=0.01) >= 3
    assert lane.draining
    gate.set()


def test_a_forked_lane_starts_empty() -> None:
    """What waited belongs to the parent."""
    gate = threading.Event()
    lane, _ = _lane(lambda: gate.wait(10), workers=1)
    for _ in range(4):
        _put(lane)
    lane.renew()
    assert (0, True) == (lane.waiting, lane.idle)
    gate.set()


def test_a_caller_waits_for_no_store() -> None:
    """While a draw takes calls from the store's budget, others are sampled."""
    run = LiveRun(
        "s-1",
        subject="triage",
        pin=FakeModel("x").pin("x"),
        options=ShadowOptions(by=("intent",)),
        started_at=0.0,
        clock=VirtualClock(),
    )
    asked, answer = threading.Event(), threading.Event()

    def reserve(key: str, calls: int) -> int:
        assert "s-1" == key
        asked.set()
        answer.wait(10)
        return calls

    drawing = threading.Thread(target=run.take, args=(1, reserve))
    drawing.start()
    assert asked.wait(10)
    found: list[str] = []
    labels = (("intent", "refund"),)
    caller = threading.Thread(target=lambda: found.append(run.stratum(labels)))
    caller.start()
    caller.join(5)
    early = list(found)
    answer.set()
    drawing.join()
    caller.join()
    assert ["intent=refund"] == early


def _triage() -> Callable[[str], Any]:
    @contract({"type": "object"})
    @pinned("triage")
    def triage(ticket: str, *, model: Model = INJECTED) -> Any:
        return model.complete(ticket)

    return triage


def test_a_store_that_is_down_costs_nothing_that_was_counted(
    project: Project, tmp_path: Any
) -> None:
    """It is written when the store is back; the calls never noticed."""
    triage = _triage()
    run = start_shadow(
        project.store,
        "triage",
        project.b.id,
        ShadowOptions(share=1, double=0),
        actor="ann",
        clock=project.clock,
    )
    project.tick()
    triage("a")
    project.join()
    project.store.close()
    with pytest.raises(StoreError):
        exchange(project.shadows, project.store)
    triage("b")
    project.join()
    project.store = SqliteStore(tmp_path / "store.db", clock=project.clock)
    project.tick()
    counts = project.stored(run.id)
    assert (2, 2) == (counts["sampled"], counts["challenger: ok"])
    assert 1 == len(project.store.shadow.tallies(run.id))
    assert 2 == len(project.store.shadow.pairs(run.id))


def test_a_forked_child_counts_from_nothing(project: Project) -> None:
    """Its parent's counts, tallies and budget are not its own."""
    triage = _triage()
    run = start_shadow(
        project.store,
        "triage",
        project.b.id,
        ShadowOptions(share=1, double=0),
        actor="ann",
        clock=project.clock,
    )
    project.tick()
    triage("a")
    project.join()
    project.tick()
    triage("parent")
    project.join()
    project.shadows.renew()
    triage("child")
    project.join()
    project.tick()
    counts = project.stored(run.id)
    assert (2, 2) == (counts["sampled"], counts["challenger: ok"])
    assert 2 == len(project.store.shadow.tallies(run.id))
    project.shadows.close()
    project.shadows.close()
    row = project.store.shadow.get(run.id)
    assert 3 <= row.calls <= 22  # the child gave back, its parent's block is lost


def test_decorators_that_cannot_be_are_refused(project: Project) -> None:
    """Bare, twice the same thing, a pin that nobody knows."""

    def talk(text: str) -> str:
        return text

    bare: Any = shadow
    with pytest.raises(ConfigError, match=r"write `@shadow\(PIN\)`"):
        bare(talk)
    with pytest.raises(ConfigError, match="put one in the other"):
        shadow(fields={"a": ignored()}, ladder=Ladder())
    with pytest.raises(LockError, match="unknown route 'p-none'"):
        shadow("p-none")
    with pytest.raises(ConfigError, match="twice"):
        shadow()(shadow()(talk))
    spec = spec_of(guard_of(shadow(project.b.id)(talk)))
    assert spec is not None
    assert project.b == spec.pin
    assert project.a == spec_of(guard_of(shadow("triage")(talk))).pin  # type: ignore[union-attr] # it has one


def test_fields_and_ladders_decide_what_parts() -> None:
    """`fields` add to the contract's schema; a ladder stands for all of it."""
    new = FakeModel("x").pin()

    @contract({"type": "object", "properties": {"note": {"type": "string"}}})
    def talk(text: str) -> Any:
        return text

    plain = ladder_of(guard_of(talk)).digest
    fields = ladder_of(guard_of(shadow(new, fields={"note": ignored()})(talk)))
    assert plain != fields.digest
    own = Ladder(output="text")
    assert own is ladder_of(guard_of(shadow(new, ladder=own)(talk)))


def test_a_choice_that_is_declared_critical_keeps_its_names() -> None:
    """Its values are the schema's: no content, and what a reader looks for."""
    schema = {"type": "object", "properties": {"human": {"type": "boolean"}}}
    ladder = Ladder(schema=schema, fields={"human": decision(critical=True)})
    a, b = (Draw(value={"human": each}, has_value=True) for each in (True, False))
    found = ladder.compare(a, b)
    assert found is not None
    assert "true -> false" == found.sealed().direction
    assert Severity.CRITICAL is found.severity
