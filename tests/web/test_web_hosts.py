"""Two hosts with networks of their own: a rollback, a trip, a partition, timed.

Where namespaces cannot be made, the hosts are groups of processes and nothing is cut.
How soon is noted and judged by people: `pytest -m slow -s tests/web/test_web_hosts.py`
prints it.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, cast

import pytest
from gunicorn_host import GunicornHost
from host_network import Namespace, Network, namespaces_work
from postgres_server import PostgresServer
from redis_server import RedisServer

from llmguard.pins import Lock, Pin, edit_lock, load_lock, prepare
from llmguard.promotion import rollback
from llmguard.store import Action, NewEntry, Store, open_store
from llmguard.testing import FaultServer

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[2] / "examples" / "scale_out"
WORKERS = 4
OPEN_FOR = 3.0


@dataclass(frozen=True)
class Seen:
    """One answer: when it was asked for, and by whom it was given."""

    at: float
    took: float
    host: int
    worker: str
    status: int
    tier: str
    version: str


class Caller(threading.Thread):
    """Asks one worker, on one connection, all the time."""

    def __init__(self, host: int, wire: HTTPConnection, into: list[Seen]) -> None:
        super().__init__(daemon=True)
        self.host, self._wire, self._into = host, wire, into
        self._ended = threading.Event()
        self.worker = self.ask().worker

    def ask(self) -> Seen:
        at = time.monotonic()
        self._wire.request("GET", f"/triage/ticket-{time.time_ns()}")
        with self._wire.getresponse() as got:
            got.read()
            head = got.headers
            return Seen(
                at=at,
                took=time.monotonic() - at,
                host=self.host,
                worker=head.get("x-worker", ""),
                status=got.status,
                tier=head.get("x-llmguard-tier", ""),
                version=head.get("x-llmguard-version", ""),
            )

    def run(self) -> None:
        while not self._ended.wait(0.02):
            try:
                self._into.append(self.ask())
            except (HTTPException, OSError):  # gunicorn closed an idle connection
                self._wire.close()

    def end(self) -> None:
        self._ended.set()
        if self.ident is not None:
            self.join(30)
        self._wire.close()


@dataclass
class Fleet:
    """The hosts, what they share, and who asks them."""

    network: Network
    servers: list[GunicornHost]
    provider: FaultServer
    store: Store
    lock: Lock
    pins: tuple[Pin, Pin]
    seen: list[Seen] = field(default_factory=list[Seen])
    callers: list[Caller] = field(default_factory=list[Caller])

    def start(self) -> None:
        """Find a connection to every worker, and ask each all the time."""
        for number, server in enumerate(self.servers):
            found: dict[str, Caller] = {}
            # Others stay open: a worker that has its share leaves the next to others.
            others: list[Caller] = []
            end = time.monotonic() + 60
            while len(found) < WORKERS:
                assert time.monotonic() < end, server.log
                wire = HTTPConnection(server.address, server.port, timeout=20)
                caller = Caller(number, wire, self.seen)
                if found.setdefault(caller.worker, caller) is not caller:
                    others.append(caller)
            self.callers += found.values()
            for caller in others:
                caller.end()
        for caller in self.callers:
            caller.start()

    def end(self) -> None:
        for caller in self.callers:
            caller.end()

    def move(self, pin: Pin, action: Action, weight: int | None = None) -> None:
        state = self.store.ledger.route_state("prod", "triage")
        entry = NewEntry(
            env="prod",
            route="triage",
            pin=pin.id,
            action=action,
            weight=weight,
            base_rev=state.rev,
            actor="test",
        )
        self.store.ledger.append(entry)

    def until(
        self, holds: Callable[[Seen], bool], *, hosts: set[int], since: float
    ) -> float:
        """Wait until each worker of some hosts answers so; return how long it took."""
        wanted = {caller.worker for caller in self.callers if caller.host in hosts}
        end = time.monotonic() + 60
        while True:
            first: dict[str, float] = {}
            for seen in list(self.seen):
                if seen.at >= since and holds(seen):
                    first.setdefault(seen.worker, seen.at)
            if wanted <= first.keys():
                return max(first[worker] for worker in wanted) - since
            assert time.monotonic() < end, (len(first), self.seen[-8:])
            time.sleep(0.05)

    def took(self, start: float, end: float) -> list[float]:
        """Return the seconds that answers of a span took."""
        return [seen.took for seen in self.seen if start < seen.at < end]

    def asked(self) -> set[str]:
        """Return the models that the provider was asked for."""
        return {cast("Any", got.json)["model"] for got in self.provider.requests}


@pytest.fixture
def fleet(tmp_path: Path, postgres_server: PostgresServer) -> Iterator[Fleet]:
    url = postgres_server.url()
    with ExitStack() as stack:
        cache = stack.enter_context(RedisServer(tmp_path))
        provider = stack.enter_context(FaultServer(answer={"category": "billing"}))
        network = stack.enter_context(Network(real=namespaces_work()))
        store = open_store(url)
        stack.callback(store.close)
        place = network.provider(provider.port)
        first, second = (_pin(provider, place, model) for model in ("m-1", "m-2"))
        lock = tmp_path / "models.lock"
        edit_lock(lock, lambda old: old.with_pin(first).with_pin(second))
        stores = network.store(postgres_server.port)
        env = {
            **os.environ,
            "LLMGUARD_STORE": url.replace(f"127.0.0.1:{postgres_server.port}", stores),
            "LLMGUARD_BREAKERS": f"redis://{network.store(cache.port)}/0",
            "LLMGUARD_LOCK": str(lock),
            "LLMGUARD_ENV": "prod",
            "LLMGUARD_WEB_SECRET": "the same in every process",
            "LLMGUARD_EXERCISE": "0",
            "OPENAI_API_KEY": "none",
            "OPEN_FOR": str(OPEN_FOR),
            "GUNICORN_CMD_ARGS": "--worker-connections 6 --threads 2 --keep-alive 60",
        }
        config = EXAMPLE / "gunicorn.conf.py"
        servers = [
            GunicornHost(
                tmp_path,
                config,
                "service:app",
                env,
                address=host.address,
                prefix=host.prefix,
            )
            for host in network.hosts
        ]
        made = Fleet(
            network, servers, provider, store, load_lock(lock), (first, second)
        )
        made.move(first, Action.PROMOTE)
        for server in servers:
            stack.enter_context(server)
        stack.callback(made.end)
        made.start()
        yield made


def _pin(provider: FaultServer, place: str, model: str) -> Pin:
    pin = provider.pin("triage", model=model)
    endpoint = f"http://{place}/v1"
    return prepare(replace(pin, endpoint=endpoint, accept_opaque="of the test"))


def _upgrade(fleet: Fleet) -> float:
    """Make the second version the active one, for everybody."""
    old, new = fleet.pins
    fleet.until(lambda seen: seen.version == old.id, hosts={0, 1}, since=0.0)
    fleet.move(new, Action.CANDIDATE)
    fleet.move(new, Action.CANARY, weight=3_000)
    since = time.monotonic()
    fleet.move(new, Action.PROMOTE)
    return fleet.until(lambda seen: seen.version == new.id, hosts={0, 1}, since=since)


def _back(fleet: Fleet) -> float:
    """Roll back; return when that was durable."""
    store, lock = fleet.store, fleet.lock
    rollback(store=store, route="triage", env="prod", lock=lock, actor="test")
    return time.monotonic()


def test_a_rollback_reaches_every_worker(
    fleet: Fleet, record_property: Callable[[str, object], None]
) -> None:
    """Each goes by it; nobody ever calls anything but the two pins."""
    old, new = fleet.pins
    promoted = _upgrade(fleet)
    since = _back(fleet)
    fleet.until(lambda seen: seen.version == old.id, hosts={0, 1}, since=since)
    time.sleep(1.0)
    late = [s.at - since for s in fleet.seen if s.at > since and s.version == new.id]
    _tell(
        record_property,
        fleet,
        promoted_s=promoted,
        last_old_call_s=max(late, default=0),
    )
    after = [s for s in fleet.seen if s.at > since + max(late, default=0)]
    assert {old.id} == {seen.version for seen in after}
    assert {200} == {seen.status for seen in fleet.seen}
    assert {"m-1", "m-2"} == fleet.asked()


def test_a_trip_and_its_recovery_are_the_fleets(
    fleet: Fleet, record_property: Callable[[str, object], None]
) -> None:
    """All stop calling soon after one found out; few probes bring all back."""
    old, _ = fleet.pins
    fleet.until(lambda seen: seen.version == old.id, hosts={0, 1}, since=0.0)
    fleet.provider.fault = "500"
    since = time.monotonic()
    time.sleep(2 * OPEN_FOR)
    failed = [got.at for got in fleet.provider.requests if got.fault == "500"]
    # The burst ends when everybody's breaker is open; what comes later are probes.
    gaps = [after - before for before, after in itertools.pairwise(failed)]
    calls = next((n for n, gap in enumerate(gaps, 1) if gap > 1.0), len(failed))
    probes = len(failed) - calls
    fleet.provider.fault = "ok"
    back = time.monotonic()
    took = fleet.until(lambda seen: seen.tier == "triage", hosts={0, 1}, since=back)
    _tell(
        record_property,
        fleet,
        all_open_after_s=failed[calls - 1] - failed[0],
        calls_before=calls,
        probes=probes,
        all_back_after_s=took,
    )
    assert 1 <= probes <= 3
    assert {200} == {seen.status for seen in fleet.seen if seen.at > since}


def test_a_host_that_is_cut_off_goes_on_by_itself(
    fleet: Fleet, record_property: Callable[[str, object], None]
) -> None:
    """Last known versions, a breaker of its own, no error; healed, it follows."""
    lost = fleet.network.hosts[1]
    if not isinstance(lost, Namespace):
        pytest.skip(
            "needs root and iproute2: hosts without a network cannot be cut off"
        )
    old, new = fleet.pins
    _upgrade(fleet)
    lost.cut()
    time.sleep(2.0)
    since = _back(fleet)
    seen_by_first = fleet.until(lambda s: s.version == old.id, hosts={0}, since=since)
    time.sleep(2.0)
    # Nobody could tell the lost host: it serves what it knows, and that is pinned.
    known = {s.version for s in fleet.seen if s.host == 1 and s.at > since}
    assert {new.id} == known
    fleet.provider.fault = "500"
    fleet.until(lambda s: s.tier == "static", hosts={0, 1}, since=time.monotonic())
    time.sleep(OPEN_FOR)
    fleet.provider.fault = "ok"
    fleet.until(lambda s: s.tier == "triage", hosts={0, 1}, since=time.monotonic())
    lost.heal()
    healed = time.monotonic()
    took = fleet.until(lambda s: s.version == old.id, hosts={0, 1}, since=healed)
    slowest = max(fleet.took(since, healed))
    _tell(
        record_property,
        fleet,
        rollback_seen_s=seen_by_first,
        followed_after_heal_s=took,
        slowest_answer_s=slowest,
    )
    assert {200} == {seen.status for seen in fleet.seen}
    assert {"m-1", "m-2"} == fleet.asked()


def _tell(record: Callable[[str, object], None], fleet: Fleet, **found: float) -> None:
    figures = {name: round(value, 3) for name, value in found.items()}
    figures |= {"answers": len(fleet.seen), "namespaces": fleet.network.real}
    record("fleet", figures)
    sys.stdout.write(f"{figures} at a load of {os.getloadavg()[0]:.1f}\n")
