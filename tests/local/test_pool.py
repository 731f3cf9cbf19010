"""The pool's rules, with servers made of queues instead of processes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from llmguard.errors import ConfigError, TierUnavailableError
from llmguard.outcome import Kind
from llmguard_fallbacks.local._job import Delta, Failure, Job, Result
from llmguard_fallbacks.local._pool import Pool, Settings

JOB = Job(messages=[{"role": "user", "content": "x"}])
WAIT = 20.0


class FakeLink:
    """A server that does what the test says."""

    def __init__(self) -> None:
        self.sent: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.says: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.living = True

    def alive(self) -> bool:
        return self.living

    def send(self, message: Any) -> None:
        self.sent.put(message)

    def receive(self) -> Any:
        return self.says.get()

    def kill(self) -> None:
        self.living = False
        self.says.put(None)

    close = kill

    def obituary(self) -> str:
        return "exit code 9"

    def forget(self) -> None:
        self.living = False

    def expect(self, operation: str) -> Any:
        """Return the next message to the server, which must be this one."""
        message = self.sent.get(timeout=WAIT)
        assert operation == message["op"]
        return message

    def ready(self) -> FakeLink:
        """Say that the model is loaded."""
        self.expect("load")
        self.says.put({"op": "ready"})
        return self

    def finish(self, text: str) -> None:
        """Answer the job that was sent."""
        number = self.expect("run")["id"]
        self.says.put({"op": "delta", "id": number, "body": text})
        result = Result(text=text, finish_reason="stop").as_json()
        self.says.put({"op": "done", "id": number, "body": result})


class Bench:
    """A pool on fake links, and what its callers heard."""

    def __init__(self, **options: Any) -> None:
        self.links: queue.SimpleQueue[FakeLink] = queue.SimpleQueue()
        self.heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.problem: Exception | None = None
        values = {"slots": 1, "queue": 1, "grace": 0.01} | options
        self.pool = Pool(
            Settings(options={}, prepare=self.prepare, connect=self.connect, **values)
        )

    def prepare(self) -> None:
        if self.problem is not None:
            raise self.problem

    def connect(self) -> FakeLink:
        link = FakeLink()
        self.links.put(link)
        return link

    def submit(self, name: str = "") -> Any:
        return self.pool.submit(
            JOB, budget=WAIT, sink=lambda event: self.heard.put((name, event))
        )

    def started(self) -> FakeLink:
        return self.links.get(timeout=WAIT)

    def next(self) -> Any:
        return self.heard.get(timeout=WAIT)


@pytest.fixture
def make() -> Iterator[Callable[..., Bench]]:
    """Return a maker of benches whose pools are closed when the test ends."""
    made: list[Bench] = []

    def build(**options: Any) -> Bench:
        made.append(Bench(**options))
        return made[-1]

    yield build
    for bench in made:
        bench.pool.close(grace=0.0)


def test_jobs_wait_for_the_model_and_run_in_order(make: Callable[..., Bench]) -> None:
    """The first call starts the worker; the second waits for its turn."""
    bench = make()
    bench.submit("a")
    bench.submit("b")
    link = bench.started().ready()
    link.finish("one")
    assert ("a", Delta(text="one")) == bench.next()
    assert "a" == bench.next()[0]
    link.finish("two")
    assert ("b", Delta(text="two")) == bench.next()


def test_a_worker_that_cannot_be_started_keeps_nobody_waiting(
    make: Callable[..., Bench],
) -> None:
    """Whatever prevents it: the call goes on, and a later one starts another."""
    bench = make()
    bench.problem = RuntimeError("can't start new thread")
    bench.submit("a")
    name, failure = bench.next()
    assert ("a", Kind.SKIPPED) == (name, failure.kind)
    assert "can't start new thread" in failure.message
    bench.problem = None
    bench.submit("b")
    bench.started().ready().finish("one")
    assert ("b", Delta(text="one")) == bench.next()


def test_where_no_thread_can_start_a_call_is_told_at_once(
    make: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its place is free again."""
    bench = make(queue=0)

    def refused(thread: threading.Thread) -> None:
        raise RuntimeError(f"can't start new thread {thread.name}")

    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", refused)
        bench.submit("a")
    name, failure = bench.next()
    assert ("a", Kind.SKIPPED) == (name, failure.kind)
    assert "can't start new thread" in failure.message
    with pytest.raises(TierUnavailableError, match="restarts in"):
        bench.submit("b")


def test_one_more_than_slots_and_places_is_refused(make: Callable[..., Bench]) -> None:
    """Admission counts running and waiting jobs together."""
    bench = make(slots=1, queue=1)
    bench.submit()
    bench.submit()
    with pytest.raises(TierUnavailableError, match=r"busy: 1 slot\(s\) and 1 place"):
        bench.submit()


def test_a_refusal_waits_for_nobody(make: Callable[..., Bench]) -> None:
    """A full pool refuses while another thread holds its lock."""
    bench = make(queue=0)
    bench.submit()
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with bench.pool._lock:
            held.set()
            done.wait(WAIT)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(WAIT)
    with pytest.raises(TierUnavailableError, match="busy"):
        bench.submit()
    assert holder.is_alive()
    done.set()
    holder.join()


def test_every_place_is_given_back_once(make: Callable[..., Bench]) -> None:
    """Answered, given up, crashed, refused by a worker that waits: all free again."""
    bench = make(slots=1, queue=2)
    first, given_up, crashed = (bench.submit(name) for name in "abc")
    bench.pool.abandon(given_up)
    link = bench.started().ready()
    link.finish("one")
    assert ["a", "a"] == [bench.next()[0] for _ in range(2)]
    link.expect("run")
    link.says.put(None)
    name, failure = bench.next()
    assert ("c", Kind.TRANSPORT) == (name, failure.kind)
    for ticket in (first, given_up, crashed):
        bench.pool.abandon(ticket)
    for _ in range(3):
        bench.submit()
    with pytest.raises(TierUnavailableError, match="busy"):
        bench.submit()


def test_an_abandoned_job_leaves_the_queue(make: Callable[..., Bench]) -> None:
    """A caller that stops waiting makes room, and nothing runs for it."""
    bench = make()
    bench.submit("a")
    waiting = bench.submit("b")
    bench.pool.abandon(waiting)
    bench.submit("c")
    link = bench.started().ready()
    link.finish("one")
    link.finish("two")
    assert ["a", "a", "c", "c"] == [bench.next()[0] for _ in range(4)]


def test_a_worker_that_does_not_obey_is_killed(make: Callable[..., Bench]) -> None:
    """After the grace the process goes, and the next job gets a new one."""
    bench = make()
    ticket = bench.submit("a")
    link = bench.started().ready()
    link.expect("run")
    bench.pool.abandon(ticket)
    assert ticket.number == link.expect("cancel")["id"]
    name, failure = bench.next()
    assert ("a", Kind.TRANSPORT) == (name, failure.kind)
    bench.submit("b")
    bench.started().ready().finish("fresh")
    assert ("b", Delta(text="fresh")) == bench.next()


def test_a_job_that_ends_in_time_is_not_punished(make: Callable[..., Bench]) -> None:
    """Abandoning a finished job sends nothing."""
    bench = make()
    ticket = bench.submit("a")
    link = bench.started().ready()
    link.finish("one")
    assert [Delta, Result] == [type(bench.next()[1]) for _ in range(2)]
    bench.pool.abandon(ticket)
    bench.submit("b")
    link.finish("two")
    assert ("b", Delta(text="two")) == bench.next()


def test_the_second_crash_in_a_row_holds_restarts_back(
    make: Callable[..., Bench],
) -> None:
    """The first restart is at once; then calls are refused, with the reason."""
    bench = make()
    for _ in range(2):
        bench.submit("a")
        link = bench.started().ready()
        link.expect("run")
        link.kill()
        assert "exit code 9" in bench.next()[1].message
    with pytest.raises(TierUnavailableError, match=r"restarts in 0\.\d s; .*code 9"):
        bench.submit("b")


def test_an_answer_forgives_earlier_crashes(make: Callable[..., Bench]) -> None:
    """Crashes count in a row: after an answer the next restart is at once again."""
    bench = make()
    for _ in range(4):
        bench.submit("a")
        link = bench.started().ready()
        link.finish("fine")
        assert [Delta, Result] == [type(bench.next()[1]) for _ in range(2)]
        bench.submit("b")
        link.expect("run")
        link.kill()
        assert Kind.TRANSPORT == bench.next()[1].kind


def test_a_death_between_calls_costs_no_call(make: Callable[..., Bench]) -> None:
    """A worker found dead is not given the next job."""
    bench = make()
    bench.submit("a")
    link = bench.started().ready()
    link.finish("one")
    assert [Delta, Result] == [type(bench.next()[1]) for _ in range(2)]
    link.living = False
    bench.submit("b")
    link.says.put(None)
    bench.started().ready().finish("two")
    assert ("b", Delta(text="two")) == bench.next()


def test_a_model_that_does_not_load_fails_those_who_wait(
    make: Callable[..., Bench],
) -> None:
    """Everybody hears the reason at once, and the next call as well."""
    bench = make()
    bench.submit("a")
    bench.submit("b")
    link = bench.started()
    link.expect("load")
    link.says.put({"op": "failed", "message": "no such layer"})
    link.says.put(None)
    expected = Failure(kind=Kind.SKIPPED, message="no such layer")
    assert [("a", expected), ("b", expected)] == [bench.next(), bench.next()]
    bench.submit("c")
    last = bench.started()
    last.says.put({"op": "failed", "message": "no such layer"})
    last.says.put(None)
    assert ("c", expected) == bench.next()
    with pytest.raises(TierUnavailableError, match="no such layer"):
        bench.submit("d")


def test_wrong_weights_never_start_a_worker(make: Callable[..., Bench]) -> None:
    """What `prepare` refuses is told to the caller; nothing is connected."""
    bench = make()
    bench.problem = ConfigError("wrong sha256")
    bench.submit("a")
    expected = Failure(kind=Kind.SKIPPED, message="wrong sha256")
    assert ("a", expected) == bench.next()
    assert bench.links.empty()


def test_two_slots_start_two_workers_only_when_needed(
    make: Callable[..., Bench],
) -> None:
    """The second worker starts with the second job at once in hand."""
    bench = make(slots=2)
    bench.submit("a")
    first = bench.started().ready()
    first.expect("run")
    assert bench.links.empty()
    bench.submit("b")
    bench.started().ready().finish("two")
    assert ("b", Delta(text="two")) == bench.next()


def test_closing_fails_what_runs_and_refuses_the_rest(
    make: Callable[..., Bench],
) -> None:
    """After `close` running and waiting jobs have ended, and new ones are refused."""
    bench = make()
    bench.submit("a")
    bench.submit("b")
    bench.started().ready().expect("run")
    bench.pool.close()
    assert {"a", "b"} == {bench.next()[0] for _ in range(2)}
    with pytest.raises(TierUnavailableError, match="closed"):
        bench.submit("c")
