"""Threads that hang, interrupts that arrive, processes that fork."""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from llmguard import Kind, capture, config, fallback_chain, static
from llmguard.guard import Runtime, guard_of, use_runtime
from llmguard.guard._bulkhead import Bulkhead
from llmguard.guard._isolate import COURIERS, Couriers
from llmguard.guard._keeper import Keeper, _shared
from llmguard.guard._retry import RetryBudget
from llmguard.outcome import Attempt, Outcome
from llmguard.pins.router import ROUTER
from llmguard.store import SqliteStore
from llmguard.telemetry.activity import Activity


@pytest.fixture
def couriers() -> Iterator[Couriers]:
    """A pool that refuses after one zombie."""
    made = Couriers(max_zombies=1)
    with use_runtime(Runtime(couriers=made)):
        yield made
    made.close()


def _settle(couriers: Couriers) -> None:
    """Wait until no zombie is left."""
    for _ in range(20_000):
        if not couriers.zombies:
            return
        threading.Event().wait(0.001)
    raise AssertionError("a zombie never ended")


def test_one_hanging_tier_does_not_take_the_others_along(couriers: Couriers) -> None:
    """Above the limit only the tiers that hung are refused; their neighbours run."""
    release = threading.Event()

    def second(text: str) -> str:
        return f"second {text}"

    @fallback_chain(second, static("x"), timeout=0.05)
    def ask(text: str) -> str:
        release.wait(20)
        return text

    with capture() as outcomes:
        assert ["second a", "second b"] == [ask("a"), ask("b")]
    kinds = [[a.kind for a in o.attempts] for o in outcomes]
    assert [[Kind.TIMEOUT, Kind.OK], [Kind.SKIPPED, Kind.OK]] == [
        [k[0], k[-1]] for k in kinds
    ]
    assert 1 == couriers.hung(guard_of(ask).steps[0])
    release.set()
    _settle(couriers)
    assert 0 == couriers.hung(guard_of(ask).steps[0])
    assert "c" == ask("c")


def test_a_hanging_thread_keeps_its_place() -> None:
    """`concurrency` bounds what is really inside, abandoned or not."""
    release = threading.Event()
    inside: list[int] = []

    @fallback_chain(static("x"), timeout=0.05, concurrency=1, attempts=1)
    def ask() -> str:
        inside.append(1)
        release.wait(20)
        return "y"

    with capture() as outcomes:
        assert ["x", "x"] == [ask(), ask()]
    assert Kind.TIMEOUT is outcomes[0].attempts[0].kind
    skipped = outcomes[1].attempts[0]
    assert (Kind.SKIPPED, "all 1 places are taken") == (skipped.kind, skipped.detail)
    assert 1 == len(inside)
    release.set()
    _settle(COURIERS)
    assert "y" == ask()


def test_an_interrupt_while_waiting_leaves_the_thread() -> None:
    """Control-C ends the call at once, whatever its thread still does."""
    release, heard = threading.Event(), threading.Event()
    main = threading.main_thread().ident
    assert main is not None

    def stop(number: int, frame: object) -> NoReturn:
        heard.set()
        raise KeyboardInterrupt

    @fallback_chain(static("x"))
    def ask() -> str:
        # One that arrives just before the wait does not end it: send until it is heard.
        while not heard.wait(0.05):
            signal.pthread_kill(main, signal.SIGINT)
        release.wait(20)
        return "y"

    before = signal.signal(signal.SIGINT, stop)
    try:
        with capture() as outcomes, pytest.raises(KeyboardInterrupt):
            ask()
    finally:
        signal.signal(signal.SIGINT, before)
        release.set()
    assert [Kind.CANCELLED] == [o.kind for o in outcomes]
    _settle(COURIERS)


def test_an_exit_inside_a_tier_goes_up() -> None:
    """`SystemExit` is no failure of the tier."""

    @fallback_chain(static("x"))
    def ask() -> str:
        raise SystemExit(3)

    with capture() as outcomes, pytest.raises(SystemExit):
        ask()
    assert [Kind.CANCELLED] == [o.kind for o in outcomes]


def test_a_process_without_threads_says_so() -> None:
    """When no thread can be started the tier is passed over."""

    def tired(pool: object, job: object) -> NoReturn:
        raise RuntimeError("can't start new thread")

    @fallback_chain(static("x"))
    def ask() -> str:
        return "y"

    with use_runtime(Runtime(couriers=Couriers(hire=tired))), capture() as outcomes:
        assert "x" == ask()
    assert Kind.SKIPPED is outcomes[0].attempts[0].kind


def _in_child(work: Any) -> bytes:
    """Run `work` in a forked child and return what it says."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:  # pragma: no cover - the child's coverage is not collected
        faulthandler.dump_traceback_later(20, exit=True)  # never hang the suite
        try:
            os.write(writer, str(work()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    try:
        return os.read(reader, 4096)
    finally:
        os.close(reader)
        os.waitpid(child, 0)


def test_a_child_finds_free_locks_and_places() -> None:
    """A fork while other threads are inside leaves nobody inside in the child."""
    bulkhead, budget, runtime = Bulkhead(1), RetryBudget(), Runtime()
    assert bulkhead.enter()
    with bulkhead._lock, budget._lock, runtime._lock:
        said = _in_child(
            lambda: (
                bulkhead.enter(),
                budget.withdraw(),
                runtime.budget("k").withdraw(),
            )
        )
    assert b"(True, True, True)" == said
    assert not bulkhead.enter()
    bulkhead.leave()
    bulkhead.leave()
    assert 0 == bulkhead.taken


def test_a_child_answers_while_a_courier_hangs() -> None:
    """Threads of the parent are not missed in the child."""
    release = threading.Event()

    @fallback_chain(static("x"), timeout=0.05, concurrency=1, attempts=1)
    def ask(hang: int) -> str:
        if hang:
            release.wait(20)
        return "y"

    assert "x" == ask(1)
    said = _in_child(lambda: (ask(0), COURIERS.zombies))
    release.set()
    _settle(COURIERS)
    assert b"('y', 0)" == said


def _outcome(kind: Kind = Kind.OK, tier_index: int = 0, ticket: str = "") -> Outcome:
    attempt = Attempt(
        tier="t",
        tier_index=0,
        number=1,
        kind=kind,
        started=0.0,
        elapsed=0.1,
        ticket_id=ticket,
    )
    return Outcome(
        call_id="c",
        function="f",
        kind=kind,
        tier="t",
        tier_index=tier_index,
        attempts=(attempt,),
    )


def test_a_child_does_not_count_its_parents_calls_again() -> None:
    """Counts that the parent has not stored yet stay the parent's."""
    keeper = Keeper()
    keeper.activity(_outcome())
    with keeper.activity._lock:
        said = _in_child(lambda: len(keeper.activity.drain()))
    assert b"0" == said
    assert 2 == len(keeper.activity.drain())


@pytest.mark.parametrize("name", ["llmguard-keeper", "llmguard-router"])
def test_a_call_goes_on_where_no_thread_can_start(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is written for now; the thread that did start is not left behind."""
    start = threading.Thread.start
    started: list[threading.Thread] = []

    def refused(thread: threading.Thread) -> None:
        if thread.name == name:
            raise RuntimeError("can't start new thread")
        start(thread)
        started.append(thread)

    keeper = Keeper()
    monkeypatch.setattr(keeper, "exchange", lambda: None)
    monkeypatch.setattr(threading.Thread, "start", refused)
    monkeypatch.setattr(ROUTER, "_thread", None)
    keeper.wake()
    keeper.wake()
    for thread in started:
        thread.join(10)
        assert not thread.is_alive()
    assert 1 == caplog.text.count("nothing is written to the store for now")
    assert keeper._thread is None


def test_a_wrong_setting_of_redis_leaves_breakers_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The package may be missing, too: news by the store are better than none."""
    monkeypatch.setenv("LLMGUARD_BREAKERS", "redis://cache:99999/0")
    config.reset()
    store = SqliteStore(tmp_path / "store.db", synchronous="OFF")
    assert store is _shared(store)
    assert "breakers are shared through the store" in caplog.text
    store.close()
    config.reset()


@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        (_outcome(), "ok"),
        (_outcome(tier_index=1), "degraded"),
        (_outcome(Kind.SKIPPED, -1, ticket="t-1"), "deferred"),
        (_outcome(Kind.CANCELLED, -1), "cancelled"),
        (_outcome(Kind.TIMEOUT, -1), "timeout"),
    ],
)
def test_calls_are_counted_under_one_word(outcome: Outcome, word: str) -> None:
    """A cancelled or failed call is told apart from one that another tier answered."""
    activity = Activity()
    activity(outcome)
    assert [word] == [row["kind"] for row in activity.drain() if not row["tier"]]


def test_where_no_thread_starts_background_work_runs_in_its_own() -> None:
    """A process that ends starts no more threads; what it owes is done all the same."""

    class Tired(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    pool = Couriers(hire=lambda couriers, job: Tired(), inline=True)
    told: list[str] = []
    job = pool.submit(threading.current_thread, lambda: told.append("done"))
    assert job is not None
    assert job.wait(0)
    assert threading.current_thread() is job.value
    assert ["done"] == told
    failed = pool.submit(lambda: 1 / 0)
    assert failed is not None
    assert failed.wait(0)
    assert isinstance(failed.error, ZeroDivisionError)
