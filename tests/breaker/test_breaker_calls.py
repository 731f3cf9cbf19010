"""pybreaker's interface on our breaker: calls, decorators, listeners, commands."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pybreaker
import pytest

from llmguard.breaker import BreakerOpenError, State, VersionBreaker
from llmguard.errors import ConfigError, TierTimeoutError
from llmguard.outcome import Kind

Make = Callable[..., VersionBreaker]


def fail(error: BaseException) -> None:
    raise error


async def afail(error: BaseException) -> None:
    raise error


def numbers(n: int) -> Iterator[int]:
    yield from range(n)
    return "end"  # type: ignore[return-value]  # - what `yield from` gives


async def anumbers(n: int) -> AsyncIterator[int]:
    for i in range(n):
        yield i


def test_private_names_of_pybreaker_that_we_touch() -> None:
    """An upgrade that renames one of these must be noticed here."""
    breaker = pybreaker.CircuitBreaker()
    assert isinstance(breaker._lock, type(threading.RLock()))
    assert isinstance(breaker._state_storage, pybreaker.CircuitBreakerStorage)
    assert breaker._listeners == []
    parameters = list(inspect.signature(pybreaker.CircuitClosedState).parameters)
    assert parameters == ["cb", "prev_state", "notify"]
    source = inspect.getsource(pybreaker.CircuitBreaker.current_state.fget)
    assert "return self._state_storage.state" in source


def test_call_passes_values_and_errors_through(make: Make) -> None:
    """The tripping call raises its own error, and the next one is refused."""
    breaker = make()
    assert breaker.call(max, 1, 2) == 2
    for _ in range(5):
        with pytest.raises(KeyError):
            breaker.call(fail, KeyError("x"))
    with pytest.raises(pybreaker.CircuitBreakerError):
        breaker.call(max, 1, 2)


@pytest.mark.parametrize(
    ("error", "failures"),
    [
        (RuntimeError(), 1),
        (TimeoutError(), 1),
        (TierTimeoutError("late", kind=Kind.TIMEOUT), 1),
        (TierTimeoutError("odd", kind=Kind.SCHEMA), 0),
        (LookupError("excluded by class"), 0),
        (OSError("excluded by predicate"), 0),
        (asyncio.CancelledError(), 0),
        (KeyboardInterrupt(), 0),
        (GeneratorExit(), 0),
    ],
)
def test_what_an_exception_counts_as(error: BaseException, failures: int) -> None:
    """Ours carry their kind; cancellations and excluded ones count as nothing."""
    excluded = [LookupError, lambda e: "predicate" in str(e)]
    breaker = VersionBreaker("f|p", exclude=excluded)
    with pytest.raises(type(error)):
        breaker.call(fail, error)
    assert breaker.snapshot().failures == failures


def test_a_classifier_decides_about_foreign_errors() -> None:
    """The kind it returns is the one that counts."""
    breaker = VersionBreaker("f|p", classify=lambda _: Kind.THROTTLED)
    with pytest.raises(RuntimeError):
        breaker.call(fail, RuntimeError())
    assert breaker.snapshot().calls == 0


def test_an_excluded_class_with_a_metaclass_is_a_class(make: Make) -> None:
    """It excludes its own instances, not everything."""

    class Meta(type):
        pass

    class Odd(Exception, metaclass=Meta):  # noqa: N818 - a name for a test
        pass

    breaker = make()
    breaker.add_excluded_exception(Odd)
    assert breaker.is_system_error(ValueError())
    assert not breaker.is_system_error(Odd())


def test_nothing_is_locked_during_a_call(make: Make) -> None:
    """A second thread gets through while the first is inside its call."""
    breaker, inside, leave = make(), threading.Event(), threading.Event()

    def wait() -> None:
        inside.set()
        leave.wait()

    first = threading.Thread(target=breaker.call, args=(wait,))
    first.start()
    inside.wait()
    assert breaker.call(max, 1, 2) == 2
    leave.set()
    first.join()


def test_coroutines_are_counted_when_they_end(make: Make) -> None:
    """`call`, `acall`, `call_async` and the decorator await before they judge."""
    breaker = make()
    decorated = breaker(afail)
    assert inspect.iscoroutinefunction(decorated)

    async def go() -> None:
        for attempt in (
            lambda: breaker.call(afail, KeyError()),
            lambda: breaker.acall(afail, KeyError()),
            lambda: breaker.call_async(afail, KeyError()),
            lambda: decorated(KeyError()),
        ):
            with pytest.raises(KeyError):
                await attempt()

    asyncio.run(go())
    assert breaker.snapshot().consecutive == 4


def test_generators_are_counted_when_they_end(make: Make) -> None:
    """Exhausted is good, closed early is nothing, raised is a failure."""
    breaker = make()
    assert list(breaker.call(numbers, 3)) == [0, 1, 2]
    assert breaker.snapshot().calls == 1
    stream = breaker(numbers)(3)
    assert inspect.isgeneratorfunction(breaker(numbers))
    next(stream)
    stream.close()
    assert breaker.snapshot().calls == 1
    stream = breaker(numbers)(3)
    next(stream)
    with pytest.raises(KeyError):
        stream.throw(KeyError())
    assert breaker.snapshot().failures == 1


def test_async_generators_are_counted_when_they_end(make: Make) -> None:
    """As generators are; closing the outer one closes the inner one."""
    breaker = make()

    async def go() -> list[int]:
        guarded: Any = breaker(anumbers)
        assert inspect.isasyncgenfunction(guarded)
        early = guarded(3)
        await anext(early)
        await early.aclose()
        return [item async for item in guarded(3)]

    assert asyncio.run(go()) == [0, 1, 2]
    assert (breaker.snapshot().calls, breaker.snapshot().admitted) == (1, 2)


def test_the_decorator_works_with_and_without_parentheses(make: Make) -> None:
    """Both keep the name of the function."""
    breaker = make()
    plain, called = breaker(fail), breaker()(fail)
    assert (plain.__name__, called.__name__) == ("fail", "fail")


def test_a_block_may_say_how_it_ended(make: Make) -> None:
    """`calling` gives the permit; what the block records is what counts."""
    breaker = make()
    with breaker.calling() as permit:
        breaker.record(permit, Kind.TRANSPORT)
    assert (breaker.snapshot().calls, breaker.snapshot().failures) == (1, 1)
    breaker.record(permit, Kind.TRANSPORT)
    assert breaker.snapshot().calls == 1


class Notes(pybreaker.CircuitBreakerListener):
    """Writes down everything it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def before_call(self, cb: Any, func: Any, *args: Any, **kwargs: Any) -> None:
        self.told.append(("before", func.__name__, args, kwargs))

    def success(self, cb: Any) -> None:
        self.told.append(("success",))

    def failure(self, cb: Any, exc: BaseException) -> None:
        self.told.append(("failure", str(exc)))

    def state_change(self, cb: Any, old_state: Any, new_state: Any) -> None:
        self.told.append((old_state.name, new_state.name))


def test_pybreaker_listeners_are_told(make: Make) -> None:
    """Calls, results and changes among the three states that pybreaker knows."""
    breaker, notes = make(consecutive=2), Notes()
    breaker.add_listener(notes)
    breaker.call(max, 1, 2, key=abs)
    with pytest.raises(KeyError):
        breaker.call(fail, KeyError("x"))
    breaker.record(breaker.acquire(), Kind.CANCELLED)
    breaker.record(breaker.acquire(), Kind.TIMEOUT)
    breaker.force_open("stays open for pybreaker", "ana")
    assert notes.told[0] == ("before", "max", (1, 2), {"key": abs})
    assert notes.told[1:2] + notes.told[3:] == [
        ("success",),
        ("failure", "'x'"),
        ("closed", "open"),
        ("failure", "attempt ended in timeout"),
    ]


def test_pybreaker_properties_read_our_state(make: Make, clock: Any) -> None:
    """The three classic states, the counters and the thresholds."""
    breaker = make()
    breaker.record(breaker.acquire(), Kind.TIMEOUT)
    assert (breaker.current_state, breaker.fail_counter) == ("closed", 1)
    assert breaker._state_storage.opened_at is None
    assert (breaker.fail_max, breaker.reset_timeout, breaker.success_threshold) == (
        5,
        15.0,
        5,
    )
    assert breaker.open() is False
    assert (breaker.state.name, breaker.success_counter) == ("open", 0)
    assert breaker._state_storage.opened_at == datetime.fromtimestamp(clock.epoch, UTC)
    breaker.half_open()
    breaker.record(breaker.acquire(), Kind.OK)
    assert (breaker.current_state, breaker.success_counter) == ("half-open", 1)
    breaker.half_open()
    breaker.close()
    assert breaker.status is State.CLOSED
    assert repr(breaker) == "<VersionBreaker 'f|p-1' closed>"


def test_pybreaker_setters_work(make: Make) -> None:
    """Setting a threshold changes the policy; setting a state goes there."""
    breaker = make()
    breaker.fail_max, breaker.reset_timeout, breaker.success_threshold = 2, 7.0, 9
    policy = breaker.policy
    assert (policy.consecutive, policy.open_for, policy.streak) == (2, 7.0, 9)
    states = []
    for name in ("open", "half-open", "closed"):
        breaker.state = name
        states.append(breaker.state.name)
    assert states == ["open", "half-open", "closed"]
    breaker._state_storage.state = "open"
    breaker._state_storage.opened_at = datetime.now(UTC)
    assert breaker.status is State.CLOSED


def test_pybreaker_commands_do_not_lift_a_quarantine(make: Make) -> None:
    """`close()` in old code must not undo what a person has to decide."""
    breaker = make()
    breaker.quarantine("test")
    for act in (breaker.close, breaker.half_open):
        with pytest.raises(ConfigError, match=r"release\(reason, actor\)"):
            act()
    assert breaker.open() is False
    assert breaker.current_state == "open"
    assert breaker.status is State.QUARANTINED


def half_opened(make: Make, clock: Any) -> VersionBreaker:
    breaker = make()
    breaker.trip("test")
    clock.now += 15.0
    return breaker


def test_thirty_threads_after_the_open_period_send_three_probes(
    make: Make, clock: Any
) -> None:
    """However they race, three are admitted and the others refused."""
    breaker, start, leave = half_opened(make, clock), threading.Barrier(30), []
    done, results = threading.Event(), []

    def probe() -> None:
        leave.append(1)
        done.wait()

    def caller() -> None:
        start.wait()
        try:
            breaker.call(probe)
        except BreakerOpenError:
            results.append("refused")
            if len(results) == 27:
                done.set()

    threads = [threading.Thread(target=caller) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(leave), len(results)) == (3, 27)


def test_thirty_tasks_after_the_open_period_send_three_probes(
    make: Make, clock: Any
) -> None:
    """The same on an event loop."""
    breaker, sent = half_opened(make, clock), []

    async def probe() -> None:
        sent.append(1)
        await asyncio.sleep(0)

    async def go() -> list[Any]:
        calls = [breaker.acall(probe) for _ in range(30)]
        return await asyncio.gather(*calls, return_exceptions=True)

    refused = [r for r in asyncio.run(go()) if isinstance(r, BreakerOpenError)]
    assert (len(sent), len(refused)) == (3, 27)


def test_a_dead_version_is_left_alone(make: Make) -> None:
    """Once it is open, none of the next forty calls reach it."""
    breaker, reached = make(), []

    def dead() -> None:
        reached.append(1)
        raise ConnectionError

    for _ in range(45):
        with pytest.raises((ConnectionError, BreakerOpenError)):
            breaker.call(dead)
    assert len(reached) == 5


def test_threads_lose_no_count(make: Make) -> None:
    """Eight threads that race leave the sum of what each recorded."""
    breaker = make(min_calls=10**6, consecutive=10**6)
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        for n in range(500):
            kind = Kind.TRANSPORT if n % 2 else Kind.OK
            breaker.record(breaker.acquire(), kind, elapsed=0.1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shown = breaker.snapshot()
    assert (shown.admitted, shown.calls, shown.failures) == (4000, 4000, 2000)
