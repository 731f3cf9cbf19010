"""The breaker against an independent model of it, under any order of events."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from llmguard.breaker import Permit, State, VersionBreaker
from llmguard.breaker._machine import Machine
from llmguard.outcome import POLICY, Kind, Signal

SETTINGS = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    database=None,
    derandomize=True,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


def test_the_breaker_agrees_with_the_model(against: Any) -> None:
    """Any order of events leaves breaker and model in the same state."""
    run_state_machine_as_test(against(), settings=SETTINGS)


@pytest.mark.slow
def test_the_breaker_agrees_with_the_model_at_length(against: Any) -> None:
    """So do many more and longer runs."""
    long = settings(SETTINGS, max_examples=400, stateful_step_count=60)
    run_state_machine_as_test(against(), settings=long)


@precondition(lambda self: self.permits)
@rule(data=st.data(), what=st.sampled_from("abcdef"), kind=st.sampled_from(list(Kind)))
def _report(self: Any, data: st.DataObject, what: str, kind: Kind) -> None:
    """Record and observe at once, as the guard does after a first attempt."""
    index = data.draw(st.integers(0, len(self.permits) - 1))
    permit, generation, era = self.permits[index]
    fresh = not permit.done
    self.breaker.report(permit, kind, elapsed=0.1, fingerprint=what)
    if fresh:
        self.model.leases.pop(index, None)
        if generation == self.model.generation:
            self.model.finish(kind, 0.1, self.clock.now)
    told = era == self.model.era and POLICY[kind].behaviour is not Signal.IGNORE
    if told:
        self.model.observe(what, kind, self.clock.now)
    if fresh or told:
        self.after()


def test_a_report_is_a_record_and_an_observation(against: Any) -> None:
    """One call under one lock does what the two do one after the other."""
    run_state_machine_as_test(against(report=_report), settings=SETTINGS)


class NoGenerationCheck(Machine):
    def settle(self, permit: Permit, *args: Any, **kwargs: Any) -> None:
        permit.generation = self.generation
        super().settle(permit, *args, **kwargs)


class UnlimitedLeases(Machine):
    def _probe(self, now: float, lease: float) -> Permit | None:
        permit = Permit(self.generation, self.era, now, probe=True)
        self.leases[permit] = now + lease
        return permit


class LeasesNeverExpire(Machine):
    def _probe(self, now: float, lease: float) -> Permit | None:
        return super()._probe(now, math.inf)


class IgnoredCountsAsFailure(Machine):
    def settle(self, permit: Permit, kind: Kind, *args: Any) -> None:
        ignored = POLICY[kind].infra is Signal.IGNORE
        super().settle(permit, Kind.TRANSPORT if ignored else kind, *args)


class IgnoredCountsAsSuccess(Machine):
    def settle(self, permit: Permit, kind: Kind, *args: Any) -> None:
        ignored = POLICY[kind].infra is Signal.IGNORE
        super().settle(permit, Kind.OK if ignored else kind, *args)


class QuarantineExpires(Machine):
    def admit(self, now: float, lease: float | None) -> Permit | None:
        if self.state is State.QUARANTINED and now - self.since > 5.0:
            self.move(State.HALF_OPEN, now, "mutant")
        return super().admit(now, lease)


class NoBackoff(Machine):
    def trip(self, now: float, reason: str, actor: str = "breaker") -> bool:
        self.openings = 0
        return super().trip(now, reason, actor)


class EveryInputCounts(Machine):
    def observe(self, fingerprint: bytes | str, *, failed: bool, now: float) -> bool:
        self.seen.__init__(size=0, seconds=0.0)  # type: ignore[misc]  # - forgets all
        return super().observe(fingerprint, failed=failed, now=now)


class EvidenceOverridesPeople(Machine):
    def quarantine(self, now: float, reason: str, actor: str = "breaker") -> bool:
        return super().quarantine(now, reason, "ana")


class RecordsTwice(VersionBreaker):
    def record(self, permit: Permit, *args: Any, **kwargs: Any) -> None:
        permit.done = False
        super().record(permit, *args, **kwargs)


class QuarantineOnlyInMemory(VersionBreaker):
    def _save(self) -> None:
        pass


MUTANTS = [
    NoGenerationCheck,
    UnlimitedLeases,
    LeasesNeverExpire,
    IgnoredCountsAsFailure,
    IgnoredCountsAsSuccess,
    QuarantineExpires,
    NoBackoff,
    EveryInputCounts,
    EvidenceOverridesPeople,
    RecordsTwice,
    QuarantineOnlyInMemory,
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_the_model_finds_seeded_faults(against: Any, mutant: type[Any]) -> None:
    """A breaker with one fault disagrees with the model."""
    name = "machine_type" if issubclass(mutant, Machine) else "breaker_type"
    quick = settings(SETTINGS, max_examples=200, phases=[Phase.generate])
    with pytest.raises(AssertionError):
        run_state_machine_as_test(against(**{name: mutant}), settings=quick)
