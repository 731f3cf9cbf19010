"""The registry of one process, its background thread, and people's commands."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from typing import Any

import pytest

from llmguard.breaker import (
    BreakerPolicy,
    BreakerRegistry,
    VersionBreaker,
    command,
    find_key,
)
from llmguard.errors import ConfigError, StoreError
from llmguard.store.protocol import BreakerRow

Process = Callable[..., BreakerRegistry]
KEY = "f|p-1"


def test_one_breaker_per_function_and_pin(process: Process) -> None:
    """The same two give the same breaker; `find` and `all` see it."""
    registry = process(store=None)
    breaker = registry.get("f", "p-1")
    assert registry.get("f", "p-1") is breaker
    assert registry.get("f", "p-2") is not breaker
    assert [b.key for b in registry.all()] == ["f|p-1", "f|p-2"]
    assert (registry.find(KEY), registry.find("g|p-1")) == (breaker, None)
    assert registry.sync() is False


def test_two_threads_that_ask_first_get_the_same_breaker(process: Process) -> None:
    """Whoever comes second, while the first is being made, gets the first one's."""
    registry, made = process(), []

    class Overtaken(VersionBreaker):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            made.append(self)
            if len(made) == 1:
                made.append(registry.get("f", "p-1"))

    registry._breaker_type = Overtaken
    assert registry.get("f", "p-1") is registry.get("f", "p-1") is made[-1]


def test_another_policy_reconfigures(process: Process) -> None:
    """A function that is decorated again gets its new thresholds."""
    registry, policy = process(), BreakerPolicy(consecutive=2)
    breaker = registry.get("f", "p-1")
    assert registry.get("f", "p-1", policy=policy).policy is policy
    assert registry.get("f", "p-1", policy=BreakerPolicy(consecutive=2)) is breaker
    assert breaker.policy is policy


def test_retired_pins_are_forgotten_but_not_what_protects(process: Process) -> None:
    """Beyond the capacity the closed one that was unused longest goes."""
    registry = process(capacity=2)
    registry.get("f", "p-1").quarantine("test")
    for pin in ("p-2", "p-3", "p-4"):
        registry.get("f", pin)
    assert [b.key for b in registry.all()] == ["f|p-1", "f|p-4"]
    registry.get("f", "p-4").force_open("test", "ana")
    registry.get("f", "p-5").force_open("test", "ana")
    assert len(registry.all()) == 3


def test_transitions_of_all_breakers_are_told(process: Process) -> None:
    """A callback hears those that exist and those to come."""
    registry, told = process(), []
    registry.get("f", "p-1")
    registry.on_transition(lambda t: told.append((t.key, t.new.value)))
    registry.get("f", "p-1").trip("test")
    registry.get("f", "p-2").trip("test")
    assert told == [("f|p-1", "open"), ("f|p-2", "open")]


def test_commands_check_their_arguments(store: Any, clock: Any) -> None:
    """A wrong verb, no person, or a row that never rests."""
    with pytest.raises(ConfigError, match="use one of open, close, resume"):
        command(store, KEY, "shut", actor="ana")
    with pytest.raises(ConfigError, match="`actor` is 'breaker'"):
        command(store, KEY, "open", actor="breaker")

    def rewrite() -> None:
        row = store.rows[KEY]
        store.put_breaker(BreakerRow(key=KEY, state="open", rev=row.rev))
        store.before_put = rewrite

    store.put_breaker(BreakerRow(key=KEY, state="open"))
    store.before_put = rewrite
    original, store.put_breaker = store.put_breaker, lambda _: None
    with pytest.raises(StoreError, match="changed 10 times in a row"):
        command(store, KEY, "open", actor="ana", clock=clock)
    store.put_breaker = original


def test_commands_that_change_nothing_write_nothing(
    process: Process, store: Any
) -> None:
    """Open on a quarantined key would only weaken it."""
    process().get("f", "p-1").quarantine("test")
    before = store.rows[KEY]
    assert command(store, KEY, "open", actor="ana") == before
    command(store, KEY, "resume", actor="ana")
    after = store.rows[KEY]
    assert command(store, KEY, "resume", actor="ben") == after


def test_keys_are_found_by_their_parts(store: Any) -> None:
    """A function or a pin id will do where only one key has it."""
    for key in ("app.triage|p-1", "app.reply|p-1", "app.reply|p-2"):
        store.put_breaker(BreakerRow(key=key, state="closed"))
    assert find_key(store, "app.triage") == "app.triage|p-1"
    assert find_key(store, "triage") == "app.triage|p-1"
    assert find_key(store, "p-2") == "app.reply|p-2"
    assert find_key(store, "app.reply|p-1") == "app.reply|p-1"
    with pytest.raises(ConfigError, match="names several breakers") as caught:
        find_key(store, "app.reply")
    assert str(caught.value).splitlines()[1:] == ["  app.reply|p-1", "  app.reply|p-2"]
    with pytest.raises(ConfigError, match="names no known breaker"):
        find_key(store, "app")


def test_a_background_thread_exchanges(process: Process, store: Any) -> None:
    """Its first round follows a command; stopping makes a last exchange."""
    registry, moved = process(), threading.Event()
    breaker = registry.get("f", "p-1")
    registry.sync()
    breaker.on_transition(lambda _: moved.set())
    registry.start(interval=0.001)
    registry.start(interval=0.001)
    command(store, KEY, "open", actor="ana")
    assert moved.wait(timeout=30)
    registry.stop()
    breaker.release("test", "ana")
    registry.stop()
    assert store.rows[KEY].state == "forced-open"
    registry.sync()
    assert store.rows[KEY].state == "closed"


def test_the_background_thread_ends_with_its_registry(process: Process) -> None:
    """It does not keep a registry alive that nobody uses."""
    registry = process()
    registry.start(interval=0.001)
    thread = registry._poller._thread  # type: ignore[union-attr]  # - just started
    del registry
    gc.collect()
    thread.join(timeout=30)
    assert not thread.is_alive()


def test_a_store_that_loses_everything_twice_is_told_twice(
    process: Process, store: Any
) -> None:
    """Also where the loss brings back a revision that was seen before."""
    registry = process()
    registry.get("f", "p-1")
    for _ in range(3):
        store.lose()
        registry.sync()
        assert store.get_breaker("f|p-1") is not None
