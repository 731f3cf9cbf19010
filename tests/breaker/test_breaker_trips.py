"""What trips the breaker, what does not, and what it says then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pybreaker
import pytest

from llmguard.breaker import (
    BreakerOpenError,
    BreakerPolicy,
    State,
    Transition,
    VersionBreaker,
)
from llmguard.errors import CircuitOpenError, PinMismatchError
from llmguard.outcome import POLICY, Kind, Signal

Make = Callable[..., VersionBreaker]


def run(breaker: VersionBreaker, *kinds: Kind, elapsed: float = 0.1) -> None:
    for kind in kinds:
        breaker.record(breaker.acquire(), kind, elapsed=elapsed)


def test_five_infrastructure_failures_in_a_row_open_it(make: Make) -> None:
    """The fifth one does, and the error says why and until when."""
    breaker = make()
    run(breaker, Kind.TIMEOUT, Kind.OK, *[Kind.TRANSPORT] * 4)
    assert breaker.status is State.CLOSED
    run(breaker, Kind.AUTH)
    with pytest.raises(BreakerOpenError) as caught:
        breaker.acquire()
    assert str(caught.value) == (
        "breaker 'f|p-1' is open: 5 infrastructure failures in a row (last: auth); "
        "it lets probes through in 15.0 s"
    )
    assert (caught.value.retry_after, caught.value.pin) == (15.0, "p-1")
    assert isinstance(caught.value, CircuitOpenError)
    assert isinstance(caught.value, pybreaker.CircuitBreakerError)


def test_half_of_twenty_within_the_window_open_it(make: Make) -> None:
    """Ten of nineteen do not, ten of twenty do, even when the last one is good."""
    breaker = make()
    run(breaker, *[Kind.TRANSPORT, Kind.OK] * 9, Kind.TRANSPORT)
    assert breaker.status is State.CLOSED
    run(breaker, Kind.OK)
    assert breaker.status is State.OPEN
    assert breaker.snapshot().reason == "10 of 20 calls failed (last: ok)"


def test_old_failures_leave_the_window(make: Make, clock: Any) -> None:
    """Twenty calls spread over a minute never make a window of twenty."""
    breaker = make()
    for _ in range(40):
        run(breaker, Kind.TRANSPORT, Kind.OK)
        clock.now += 6.0
    assert breaker.status is State.CLOSED


def test_slow_calls_open_it(make: Make) -> None:
    """Sixteen slow ones of twenty do, though every one succeeded."""
    breaker = make()
    run(breaker, *[Kind.OK] * 4)
    run(breaker, *[Kind.OK] * 15, elapsed=20.0)
    assert breaker.status is State.CLOSED
    run(breaker, Kind.OK, elapsed=20.0)
    assert breaker.snapshot().reason == "16 of 20 calls were slow (last: ok)"


def test_a_hang_that_is_cancelled_from_outside_is_a_slow_call(make: Make) -> None:
    """Quick cancellations are nothing; those after a hang open it."""
    breaker = make()
    run(breaker, *[Kind.CANCELLED] * 100)
    assert breaker.snapshot().calls == 0
    run(breaker, *[Kind.CANCELLED] * 20, elapsed=25.0)
    assert breaker.status is State.OPEN


@pytest.mark.parametrize("kind", [k for k in Kind if POLICY[k].infra is Signal.IGNORE])
def test_what_says_nothing_about_the_provider_counts_as_nothing(
    make: Make, kind: Kind
) -> None:
    """It neither opens a closed breaker nor resets a run of failures."""
    breaker = make()
    run(breaker, *[kind] * 30)
    run(breaker, *[Kind.TRANSPORT, kind] * 4)
    assert breaker.snapshot().consecutive == 4
    run(breaker, Kind.TRANSPORT)
    assert breaker.status is State.OPEN


def test_bad_answers_do_not_open_it(make: Make) -> None:
    """A broken contract is no infrastructure failure."""
    breaker = make()
    run(breaker, *[Kind.SCHEMA, Kind.REFUSAL, Kind.EMPTY] * 10)
    assert (breaker.status, breaker.snapshot().failures) == (State.CLOSED, 0)


def test_elapsed_defaults_to_the_time_since_the_permit(make: Make, clock: Any) -> None:
    """The breaker's own clock measures what the caller does not."""
    breaker = make()
    permit = breaker.acquire()
    clock.now += 21.0
    breaker.record(permit, Kind.OK)
    assert breaker.snapshot().slow == 1


def test_a_mismatch_quarantines_at_once(make: Make, clock: Any) -> None:
    """Another version answered: no user traffic, until a person decides."""
    breaker = make()
    error = PinMismatchError("asked for m-1, got m-2", kind=Kind.WRONG_MODEL)
    breaker.record(breaker.acquire(), Kind.WRONG_MODEL, exc=error)
    clock.now += 1e6
    with pytest.raises(BreakerOpenError, match="asked for m-1, got m-2") as caught:
        breaker.acquire()
    assert (caught.value.quarantined, caught.value.retry_after) == (True, None)
    assert "`llmguard breaker resume 'f|p-1'`" in str(caught.value)


class SdkError(Exception):
    status_code = 404


def gone() -> Exception:
    error = PinMismatchError("model retired", kind=Kind.WRONG_MODEL)
    error.__cause__ = SdkError()
    return error


@pytest.mark.parametrize(
    ("error", "said"),
    [(SdkError("no access for key sk-1234"), "SdkError"), (gone(), "model retired")],
)
def test_a_model_that_is_gone_opens_at_once(
    make: Make, error: Exception, said: str
) -> None:
    """A 404 for the pin is no misbehaviour; a provider's words are not repeated."""
    breaker = make()
    breaker.record(breaker.acquire(), Kind.WRONG_MODEL, exc=error)
    shown = breaker.snapshot()
    assert (shown.state, shown.reason) == (
        State.OPEN,
        f"the provider does not know the pinned model: {said}",
    )


def test_a_late_mismatch_of_an_old_generation_changes_nothing(make: Make) -> None:
    """The person who released the breaker knew about it."""
    breaker = make()
    permits = [breaker.acquire() for _ in range(2)]
    breaker.record(permits[0], Kind.WRONG_MODEL, detail="m-2 answered")
    breaker.release("provider repaired it", "ana")
    breaker.record(permits[1], Kind.WRONG_MODEL, detail="m-2 answered")
    assert (breaker.status, breaker.snapshot().stale) == (State.CLOSED, 1)


def test_misbehaviour_quarantines(make: Make) -> None:
    """Distinct inputs that break the contract do, with the count in the reason."""
    breaker = make()
    for n in range(5):
        breaker.observe(f"input {n}", Kind.SCHEMA)
    assert breaker.snapshot().reason == (
        "behaviour: 5 of 5 distinct inputs broke the contract; normal is at most 2.0%"
    )


def test_the_same_bad_input_counts_once(make: Make, clock: Any) -> None:
    """A thousand retries of it are one piece of evidence, until it is forgotten."""
    breaker = make()
    for _ in range(1000):
        breaker.observe(b"same", Kind.BAD_JSON)
    assert breaker.snapshot().observed == 1
    clock.now += 3600.0
    breaker.observe(b"same", Kind.BAD_JSON)
    assert breaker.snapshot().observed == 2


def test_pooled_counts_quarantine_too(make: Make) -> None:
    """What other workers counted feeds the same detector."""
    breaker = make()
    breaker.observe_batch(calls=50, fails=1)
    assert breaker.status is State.CLOSED
    breaker.observe_batch(calls=50, fails=25)
    assert breaker.status is State.QUARANTINED
    breaker.observe_batch(calls=50, fails=25)
    assert breaker.snapshot().observed == 0


def test_behaviour_can_be_switched_off(make: Make) -> None:
    """Then only the infrastructure and facts trip."""
    breaker = make(behaviour=False)
    breaker.observe_batch(calls=50, fails=50)
    for n in range(50):
        breaker.observe(str(n), Kind.SCHEMA)
    assert (breaker.status, breaker.snapshot().observed) == (State.CLOSED, 0)


def test_misbehaviour_while_open_quarantines(make: Make) -> None:
    """Calls under way when the infrastructure failed still are evidence."""
    breaker = make()
    permit = breaker.acquire()
    breaker.trip("test")
    for n in range(5):
        breaker.observe(str(n), Kind.REFUSAL, permit=permit)
    assert breaker.status is State.QUARANTINED


def test_a_verdict_from_before_a_release_is_not_held_against_it(make: Make) -> None:
    """Evidence starts afresh when a person releases a quarantine."""
    breaker = make()
    permit = breaker.acquire()
    breaker.quarantine("test")
    breaker.release("reviewed", "ana")
    breaker.observe("late", Kind.SCHEMA, permit=permit)
    assert breaker.snapshot().observed == 0
    breaker.observe("new", Kind.SCHEMA, permit=breaker.acquire())
    assert breaker.snapshot().observed == 1


def test_a_flapping_version_keeps_backing_off(make: Make, clock: Any) -> None:
    """Only a recovery that outlasts the open period resets the doubling."""
    breaker = make(close_by="streak", streak=1)
    waits = []
    for healthy_for in (0.0, 1.0, 1.0, 500.0, 0.0):
        clock.now += healthy_for
        breaker.trip("test")
        waits.append(breaker.snapshot().retry_after)
        clock.now += waits[-1] or 0.0
        breaker.record(breaker.acquire(), Kind.OK, elapsed=0.1)
    assert waits == [15.0, 30.0, 60.0, 15.0, 30.0]


def test_a_lost_probe_gives_its_place_back(make: Make, clock: Any) -> None:
    """Three leases of one attempt timeout; the first to run out frees a place."""
    breaker = make()
    breaker.trip("test")
    clock.now += 15.0
    permits = [breaker.acquire(lease=lease) for lease in (2.0, 9.0, None)]
    with pytest.raises(BreakerOpenError, match="3 probes are under way") as caught:
        breaker.acquire()
    assert caught.value.retry_after == 2.0
    clock.now += 2.0
    assert breaker.snapshot().retry_after == 0.0
    assert breaker.acquire().probe
    assert [permit.probe for permit in permits] == [True] * 3


def test_a_slow_probe_is_a_bad_probe(make: Make, clock: Any) -> None:
    """Half-open does not close on calls that would open it again."""
    breaker = make()
    breaker.trip("test")
    clock.now += 15.0
    run(breaker, Kind.OK, Kind.OK, elapsed=20.0)
    assert breaker.status is State.OPEN


def test_commands_tell_whether_they_changed_anything(make: Make) -> None:
    """The second time they do not; each leaves its reason and its actor."""
    breaker = make()
    did = [
        breaker.release("nothing to release", "ana"),
        breaker.trip("test"),
        breaker.trip("again"),
        breaker.force_open("incident 7", "ana"),
        breaker.force_open("incident 7", "ben"),
        breaker.quarantine("detector"),
        breaker.force_closed("override", "ben"),
        breaker.force_closed("override", "ben"),
        breaker.quarantine("detector"),
        breaker.quarantine("judged by hand", "ben"),
        breaker.force_open("weaker", "ana"),
        breaker.release("reviewed", "ana"),
    ]
    yes, no = True, False
    assert did == [no, yes, no, yes, no, no, yes, no, no, yes, no, yes]
    assert (breaker.snapshot().reason, breaker.snapshot().actor) == ("reviewed", "ana")


def test_forced_closed_counts_but_never_trips(make: Make) -> None:
    """A person's word stands, whatever the calls say."""
    breaker = make()
    breaker.force_closed("load test", "ana")
    run(breaker, *[Kind.TRANSPORT] * 30, Kind.WRONG_MODEL)
    for n in range(30):
        breaker.observe(str(n), Kind.SCHEMA)
    shown = breaker.snapshot()
    assert (shown.state, shown.failures, shown.retry_after) == (
        State.FORCED_CLOSED,
        30,
        0.0,
    )


def test_reconfiguring_keeps_the_state(make: Make) -> None:
    """Other thresholds start with empty ledgers."""
    breaker = make()
    run(breaker, *[Kind.TRANSPORT] * 4)
    breaker.reconfigure(BreakerPolicy(consecutive=2))
    run(breaker, Kind.TRANSPORT)
    assert (breaker.status, breaker.snapshot().consecutive) == (State.CLOSED, 1)
    run(breaker, Kind.TRANSPORT)
    assert breaker.status is State.OPEN


def test_transitions_are_told_in_order(make: Make, clock: Any) -> None:
    """Each carries its states, its reason, its time and when probes may come."""
    breaker, told = make(), []
    breaker.on_transition(told.append)
    breaker.trip("test")
    clock.now += 15.0
    breaker.acquire()
    epoch = clock.epoch
    assert told == [
        Transition(
            key="f|p-1",
            old=State.CLOSED,
            new=State.OPEN,
            reason="test",
            actor="breaker",
            at=epoch,
            until=epoch + 15.0,
            generation=1,
        ),
        Transition(
            key="f|p-1",
            old=State.OPEN,
            new=State.HALF_OPEN,
            reason="test",
            actor="breaker",
            at=epoch + 15.0,
            until=epoch + 45.0,
            generation=2,
        ),
    ]


def test_a_callback_may_command_the_breaker(make: Make) -> None:
    """It runs outside the lock, and what it causes is told after it."""
    breaker, told = make(), []

    def stay_open(transition: Transition) -> None:
        told.append(transition.new)
        if transition.new is State.OPEN:
            breaker.force_open("never half-open by itself", "robot")

    breaker.on_transition(stay_open)
    breaker.trip("test")
    assert told == [State.OPEN, State.FORCED_OPEN]


def test_a_callback_that_raises_is_counted(make: Make) -> None:
    """The caller never sees it."""
    breaker = make()
    breaker.on_transition(lambda _: 1 / 0)
    breaker.trip("test")
    shown = breaker.snapshot()
    assert (shown.listener_errors, shown.state) == (1, State.OPEN)
    assert "division" in shown.last_listener_error
