"""Two hosts of four gunicorn workers act as one, on PostgreSQL and Redis."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest
from gunicorn_host import Answer, GunicornHost
from redis_server import RedisServer

from llmguard.pins import edit_lock, prepare
from llmguard.testing import FaultServer

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[2] / "examples" / "scale_out"
WORKERS = 8
CONNECTIONS = 5
"""Of one worker: an idle port is otherwise served by whichever worker wakes first."""


@dataclass
class Fleet:
    """The hosts, the provider they call, and the stores between them."""

    hosts: list[GunicornHost]
    provider: FaultServer
    cache: RedisServer

    def many(self, numbers: range, path: str = "/triage/ticket-") -> list[Answer]:
        def ask(number: int) -> Answer:
            return self.hosts[number % len(self.hosts)].get(f"{path}{number}")

        with ThreadPoolExecutor(16) as pool:
            return list(pool.map(ask, numbers))

    def everybody(self, holds: Callable[[Answer], bool], path: str) -> set[str]:
        """Ask until every worker has answered so; return who did."""
        seen: set[str] = set()
        end = time.monotonic() + 60
        number = 0
        while len(seen) < WORKERS:
            if time.monotonic() > end:
                raise AssertionError(f"{len(seen)} of {WORKERS}: {self.logs()}")
            number += 1
            for host in self.hosts:
                for answer in host.spread(f"{path}{number}-", 4 * CONNECTIONS):
                    if holds(answer):
                        seen.add(answer.headers["x-worker"])
        return seen

    def logs(self) -> str:
        return "\n".join(host.log[-3000:] for host in self.hosts)


@pytest.fixture
def fleet(tmp_path: Path, postgres_url: str) -> Iterator[Fleet]:
    with (
        RedisServer(tmp_path) as cache,
        FaultServer(answer={"category": "billing"}) as provider,
    ):
        lock = tmp_path / "models.lock"
        opaque = replace(provider.pin("triage"), accept_opaque="a server of the test")
        pin = prepare(opaque)
        edit_lock(lock, lambda old: old.with_pin(pin))
        env = {
            **os.environ,
            "LLMGUARD_STORE": postgres_url,
            "LLMGUARD_BREAKERS": cache.url,
            "LLMGUARD_LOCK": str(lock),
            "LLMGUARD_WEB_SECRET": "the same in every process",
            "LLMGUARD_EXERCISE": "0",
            "OPEN_FOR": "3",
            "GUNICORN_CMD_ARGS": f"--worker-connections {CONNECTIONS} --threads 2",
        }
        config = EXAMPLE / "gunicorn.conf.py"
        hosts = [GunicornHost(tmp_path, config, "service:app", env) for _ in range(2)]
        with hosts[0], hosts[1]:
            yield Fleet(hosts, provider, cache)


def _tier(answer: Answer) -> str:
    return answer.headers.get("x-llmguard-tier", "")


def test_a_breaker_opens_for_the_whole_fleet(fleet: Fleet) -> None:
    """One worker's finding stops all; the recovery sends few probes, not eight each."""
    good = fleet.everybody(lambda got: _tier(got) == "triage", "/triage/warm-")
    assert WORKERS == len(good)
    fleet.provider.fault = "500"
    answers = fleet.many(range(200))
    assert {200} == {got.status for got in answers}
    opened = fleet.provider.count("500")
    # At worst every worker finds its own five in a row, with two calls under way.
    assert opened <= (5 + 2) * WORKERS
    # A worker whose breaker is closed answers the same after it has asked: all are open
    # when calls that reach every worker no longer reach the provider.
    before, settled = opened, -1
    for number in range(1000, 1000 + 20 * 16, 16):
        if settled == before:
            break
        settled = before
        fleet.many(range(number, number + 16))
        before = fleet.provider.count("500")
    assert settled == before
    # While it is open and half-open: probes of one worker at a time, three at most.
    end = time.monotonic() + 4.5
    number = 0
    while time.monotonic() < end:
        fleet.many(range(number, number + 16))
        number += 16
    assert fleet.provider.count("500") - before <= 3
    fleet.provider.fault = "ok"
    fleet.everybody(lambda got: _tier(got) == "triage", "/triage/again-")


def test_stores_that_die_cost_no_answer(fleet: Fleet, postgres_server: Any) -> None:
    """Redis and PostgreSQL killed and started again under load: 200 all along."""
    fleet.everybody(lambda got: _tier(got) == "triage", "/triage/warm-")
    codes: list[int] = []

    def load(start: int) -> None:
        codes.extend(got.status for got in fleet.many(range(start, start + 60)))

    fleet.cache.kill()
    load(0)
    postgres_server.stop(signal.SIGKILL)
    load(100)
    postgres_server.start()
    load(200)
    fleet.cache.start()
    load(300)
    assert {200} == set(codes)
    assert 240 == len(codes)
    asked = {cast("Any", request.json)["model"] for request in fleet.provider.requests}
    assert 1 == len(asked)  # the pin's own model throughout: never unpinned
    fleet.everybody(lambda got: _tier(got) == "triage", "/triage/after-")
