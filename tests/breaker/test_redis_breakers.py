"""Breakers on a real Redis: the same protocol, and what a lost server may not cost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from redis_server import RedisServer

from llmguard.breaker import BreakerRegistry, State
from llmguard.errors import ConfigError
from llmguard.outcome import Kind
from llmguard.store import BreakerRow, SqliteStore
from llmguard.store.redis_breakers import (
    RedisBreakers,
    SharedBreakers,
    redis_breakers,
)

from .conftest import ManualClock, MemoryStore

ROW = BreakerRow(key="f|p-1", state="open", reason="because", since=5.0, until=9.0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    found = RedisServer(tmp_path_factory.mktemp("redis"))
    yield found
    found.kill()


@pytest.fixture
def client(server: RedisServer) -> Iterator[Any]:
    found = redis.Redis(port=server.port, decode_responses=True, socket_timeout=1.0)
    found.flushall()
    yield found
    found.close()


@pytest.fixture
def fast(client: Any) -> RedisBreakers:
    return RedisBreakers(client, prefix="t")


def test_rows_are_compared_and_set(fast: RedisBreakers) -> None:
    """A row comes back as it was; a write with an old revision changes nothing."""
    assert None is fast.get_breaker("f|p-1")
    assert 0 == fast.breakers_rev()
    first = fast.put_breaker(ROW)
    assert replace(ROW, rev=1) == first == fast.get_breaker("f|p-1")
    assert None is fast.put_breaker(ROW)
    assert first is not None
    second = fast.put_breaker(replace(first, state="half-open", until=None))
    assert second is not None
    assert (2, None) == (second.rev, second.until)
    assert [second] == list(fast.list_breakers())
    assert 2 == fast.breakers_rev()


def test_of_many_writers_one_wins(server: RedisServer, client: Any) -> None:
    """A probe is reserved by exactly one process."""
    gate = threading.Barrier(12)
    won: list[BreakerRow] = []

    def write() -> None:
        own = redis.Redis(port=server.port, decode_responses=True)
        shared = RedisBreakers(own, prefix="t")
        gate.wait()
        if (row := shared.put_breaker(ROW)) is not None:
            won.append(row)
        own.close()

    threads = [threading.Thread(target=write) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 == len(won)
    assert client.ping()


def test_counts_are_pooled(fast: RedisBreakers, client: Any) -> None:
    """Each process's totals; those of one that is gone for a day disappear."""
    fast.put_breaker_counts("one", {"f|p-1": (3, 1), "g|p-2": (1, 0)})
    fast.put_breaker_counts("two", {"f|p-1": (5, 0)})
    fast.put_breaker_counts("one", {"f|p-1": (4, 1)})
    found = {(c.key, c.process): (c.calls, c.fails) for c in fast.breaker_counts()}
    assert {
        ("f|p-1", "one"): (4, 1),
        ("g|p-2", "one"): (1, 0),
        ("f|p-1", "two"): (5, 0),
    } == found
    client.delete("t:breakers:counts:one")
    assert ["two"] == [count.process for count in fast.breaker_counts()]
    assert {"two"} == client.smembers("t:breakers:counts")


@pytest.fixture
def durable(tmp_path: Path) -> Iterator[SqliteStore]:
    found = SqliteStore(tmp_path / "store.db", synchronous="OFF")
    yield found
    found.close()


def test_a_quarantine_survives_an_emptied_redis(
    fast: RedisBreakers, durable: SqliteStore, client: Any
) -> None:
    """It is in the store, and every process reads it there."""
    clock = ManualClock()
    one = BreakerRegistry(clock=clock)
    one.attach(SharedBreakers(fast, durable, clock=clock))
    one.get("f", "p-1").quarantine("it lies")
    assert "quarantined" == (fast.get_breaker("f|p-1") or ROW).state
    client.flushall()
    two = BreakerRegistry(clock=clock)
    two.attach(SharedBreakers(fast, durable, clock=clock))
    assert State.QUARANTINED is two.get("f", "p-1").status
    clock.now += 1.0
    two.get("f", "p-1").release("looked at it", "ann")
    two.sync()
    one.sync()
    assert State.CLOSED is one.get("f", "p-1").status
    clock.now += 1.0
    one.get("f", "p-1").trip("down")
    one.sync()
    two.sync()
    assert State.OPEN is two.get("f", "p-1").status


def test_an_open_breaker_is_shared_and_not_kept(
    fast: RedisBreakers, durable: SqliteStore
) -> None:
    """What Redis may lose is not written twice."""
    clock = ManualClock()
    one, two = BreakerRegistry(clock=clock), BreakerRegistry(clock=clock)
    for each in (one, two):
        each.attach(SharedBreakers(fast, durable, clock=clock))
        each.get("f", "p-1")
    clock.now += 1.0
    one.get("f", "p-1").trip("down")
    one.sync()
    two.sync()
    assert State.OPEN is two.get("f", "p-1").status
    assert "open" != getattr(durable.get_breaker("f|p-1"), "state", "")


def test_a_person_wins_over_both(fast: RedisBreakers, durable: SqliteStore) -> None:
    """Forced open by one, seen by all, whatever breakers find meanwhile."""
    clock = ManualClock()
    one, two = BreakerRegistry(clock=clock), BreakerRegistry(clock=clock)
    for each in (one, two):
        each.attach(SharedBreakers(fast, durable, clock=clock))
        each.get("f", "p-1")
    one.get("f", "p-1").force_open("maintenance", "ann")
    two.get("f", "p-1").trip("down")
    for each in (one, two, one):
        each.sync()
    assert {State.FORCED_OPEN} == {e.get("f", "p-1").status for e in (one, two)}
    kept = durable.get_breaker("f|p-1")
    assert kept is not None
    assert ("forced-open", "ann") == (kept.state, kept.actor)


def test_a_redis_that_is_down_leaves_the_store(tmp_path: Path) -> None:
    """Quarantines still spread; when it is back, everything is shared again."""
    server = RedisServer(tmp_path)
    clock = ManualClock()
    store = MemoryStore()
    client = redis.Redis(port=server.port, decode_responses=True, socket_timeout=0.5)
    shared = SharedBreakers(RedisBreakers(client), store, clock=clock)
    one, two = BreakerRegistry(clock=clock), BreakerRegistry(clock=clock)
    for each in (one, two):
        each.attach(shared)
        each.get("f", "p-1")
    server.kill()
    one.get("f", "p-1").quarantine("it lies")
    two.sync()
    assert State.QUARANTINED is two.get("f", "p-1").status
    assert shared.problem is not None
    clock.now += 1.0
    one.get("g", "p-2").trip("down")
    one.sync()
    two.get("g", "p-2")
    two.sync()
    assert State.OPEN is two.get("g", "p-2").status
    server.start()
    clock.now += 6.0
    for each in (one, two, one):
        each.sync()
    assert None is shared.problem
    assert State.QUARANTINED is one.get("f", "p-1").status
    clock.now += 1.0
    one.get("h", "p-3").trip("down")
    one.sync()
    two.sync()
    assert State.OPEN is two.get("h", "p-3").status
    client.close()
    server.kill()


def test_a_fleet_pools_through_redis(fast: RedisBreakers) -> None:
    """The registry's counting works on it as on the store."""
    clock = ManualClock()
    shared = SharedBreakers(fast, MemoryStore(), clock=clock)
    fleet = [BreakerRegistry(clock=clock) for _ in range(4)]
    for each in fleet:
        each.get("f", "p-1")
        each.attach(shared)
    for number in range(80):
        fleet[number % 4].get("f", "p-1").observe(f"i-{number}", Kind.SCHEMA)
        for each in fleet:
            each.sync()
    assert {State.QUARANTINED} == {each.get("f", "p-1").status for each in fleet}


def test_a_wrong_url_is_refused() -> None:
    """With the form it should have."""
    with pytest.raises(ConfigError, match="redis://HOST"):
        redis_breakers("http://cache", MemoryStore(), env="prod")
