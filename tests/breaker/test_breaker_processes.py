"""Real processes, real forks, a real store: what must outlive a process does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmguard.breaker import (
    BreakerOpenError,
    BreakerRegistry,
    State,
    VersionBreaker,
    _forks,
    command,
)
from llmguard.outcome import Kind
from llmguard.store import SqliteStore, Store, open_store

KEY = "f|p-1"
FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

DIES = """
import os, signal, sys
from llmguard.breaker import BreakerRegistry
from llmguard.outcome import Kind
from llmguard.store import open_store
breaker = BreakerRegistry(store=open_store(sys.argv[1])).get("f", "p-1")
for n in range(100):
    breaker.observe(str(n), Kind.SCHEMA)
    if breaker.protected:
        os.kill(os.getpid(), signal.SIGKILL)
"""

SERVES = """
import sys
from llmguard.breaker import BreakerRegistry
from llmguard.store import open_store
registry = BreakerRegistry(store=open_store(sys.argv[1]))
breaker = registry.get("f", "p-1")
breaker.on_transition(lambda t: print(t.new.value, t.actor, flush=True))
registry.sync()
print("ready", flush=True)
registry.start(interval=0.01)
sys.stdin.read()
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return str(tmp_path / "store.db")


@pytest.fixture
def sqlite(url: str) -> Iterator[Store]:
    store = open_store(url)
    yield store
    store.close()


def python(code: str, url: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_quarantine_survives_kill_9(url: str) -> None:
    """A process that is killed as soon as it quarantined leaves it to the next."""
    with python(DIES, url) as process:
        assert process.wait(timeout=60) == -signal.SIGKILL
    store = SqliteStore(url)
    breaker = BreakerRegistry(store=store).get("f", "p-1")
    with pytest.raises(BreakerOpenError, match="distinct inputs broke") as caught:
        breaker.acquire()
    assert caught.value.quarantined
    store.close()


def test_a_command_reaches_other_processes(url: str, sqlite: Store) -> None:
    """Two running processes follow what a third one writes."""
    with python(SERVES, url) as one, python(SERVES, url) as two:
        assert one.stdout
        assert two.stdout
        assert (one.stdout.readline(), two.stdout.readline()) == ("ready\n", "ready\n")
        for verb, shown in (("open", "forced-open ana\n"), ("resume", "closed ana\n")):
            command(sqlite, KEY, verb, actor="ana")
            assert (one.stdout.readline(), two.stdout.readline()) == (shown, shown)
        for process in (one, two):
            assert process.stdin
            process.stdin.close()
            assert process.wait(timeout=60) == 0


def in_child(work: object) -> str:
    """Fork, run `work` in the child, return what it gave, as text."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - the child is not measured
        try:
            os.write(send, str(work()).encode())  # type: ignore[operator]  # - a callable
        finally:
            os._exit(0)
    os.close(send)
    with os.fdopen(receive) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


@FORKS
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_while_threads_call_leaves_a_working_child() -> None:
    """Forks at any moment: the child's breaker is free, whole and its own."""
    breaker, stop = VersionBreaker("f|p"), threading.Event()

    def hammer() -> None:
        while not stop.is_set():
            breaker.record(breaker.acquire(), Kind.OK, elapsed=0.1)

    def use() -> int:
        before = breaker.snapshot()
        breaker.record(breaker.acquire(), Kind.OK, elapsed=0.1)
        return breaker.snapshot().admitted - before.admitted

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for thread in threads:
        thread.start()
    said = [in_child(use) for _ in range(20)]
    stop.set()
    for thread in threads:
        thread.join()
    assert said == ["1"] * 20
    breaker.record(breaker.acquire(), Kind.OK)


def test_the_child_starts_with_free_locks_and_no_thread() -> None:
    """What the hook in the child does, done here: everything works afterwards."""
    registry = BreakerRegistry()
    breaker = registry.get("f", "p-1")
    registry.start(interval=3600.0)
    left = registry._poller
    _forks._before()
    _forks._in_child()
    assert registry._poller is None
    assert registry.get("f", "p-1").acquire()
    assert registry._poller is not left
    assert breaker.trip("test")
    registry.stop()
    assert left
    left.stop()


def test_a_fork_takes_locks_in_the_order_in_which_calls_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else it waits for a registry that waits for a new breaker: for ever, both."""
    registry, held = BreakerRegistry(), list[type]()
    made = [registry.get("f", f"p-{n}") for n in range(50)]

    def note(kind: type) -> None:
        real = kind.hold  # type: ignore[attr-defined]  # both have it

        def hold(one: object) -> None:
            held.append(kind)
            real(one)

        monkeypatch.setattr(kind, "hold", hold)

    note(BreakerRegistry)
    note(VersionBreaker)
    _forks._before()
    _forks._in_parent()
    assert len(made) <= held.count(VersionBreaker)
    assert BreakerRegistry not in held[held.index(VersionBreaker) :]


@FORKS
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_events_of_the_parent_are_not_told_again_in_the_child() -> None:
    """A fork inside a callback leaves the rest of the queue to the parent."""
    breaker, told, said = VersionBreaker("f|p"), [], []

    def fork(_: object) -> None:
        breaker.force_open("queued behind this callback", "ana")
        said.append(in_child(lambda: (breaker.release("x", "ana"), len(told))))

    breaker.on_transition(lambda t: told.append(t.new) or (len(told) == 1 and fork(t)))
    breaker.trip("test")
    assert said == ["(True, 2)"]
    assert told == [State.OPEN, State.FORCED_OPEN]


@FORKS
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_the_background_thread_comes_back_in_a_child(url: str) -> None:
    """The first `get` in the child starts one of its own."""
    store = open_store(url)
    registry = BreakerRegistry(store=store)
    registry.get("f", "p-1")
    registry.start(interval=0.01)

    def moved() -> str:
        arrived = threading.Event()
        registry.get("f", "p-1").on_transition(lambda _: arrived.set())
        command(open_store(url), KEY, "open", actor="ana")
        return f"{arrived.wait(timeout=30)} {registry.get('f', 'p-1').status}"

    assert in_child(moved) == "True forced-open"
    registry.stop()
    store.close()
