"""What calls share goes away: workers, the store, PostgreSQL, Redis."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import pytest
from postgres_server import PostgresServer, find_postgres

from llmguard import contract, fallback_chain, pinned
from llmguard.breaker import BreakerRegistry, State
from llmguard.errors import Deferred, LLMGuardError
from llmguard.outcome import Kind
from llmguard.store import SqliteStore, Store
from llmguard.store._filelock import FileLock
from llmguard.testing import HttpError, fake_pin, isolated
from llmguard_fallbacks import human
from llmguard_fallbacks.queue._spill import replay

from ._room import Room, SkippedError

__all__ = [
    "held_store",
    "killed_workers",
    "postgres_outages",
    "redis_outages",
    "ticketer",
]

SCRIPTS: Final = Path(__file__).parents[2] / "store"
RIGHT: Final = {
    "lost": 0,
    "answered_twice": 0,
    "acked_twice": 0,
    "stuck": 0,
    "integrity": "ok",
}


def ticketer(store: Any, spill: Path) -> Callable[[str], str]:
    """Return a guarded function whose model is down: it gives a ticket's id."""

    @fallback_chain(human("q", store=store, spill=spill, coalesce=False), deadline=20.0)
    @contract({"type": "object"})
    @pinned(fake_pin(HttpError(500)))
    def ask(text: str, *, model: Any = None) -> Any:
        return model.complete(text)

    def ticket(text: str) -> str:
        try:
            with isolated():
                ask(text)
        except Deferred as deferred:
            return deferred.ticket_id
        raise AssertionError("a person answered nobody's ticket")

    return ticket


def all_there(room: Room, store: Store, spill: Path, promised: list[str]) -> None:
    """Bring in what waits, then look for every ticket that was promised."""
    replay(store, spill)
    room.check(not list(spill.glob("*.json")), "tickets wait that nobody brings in")
    for one in promised:
        try:
            store.tickets.get(one)
        except LLMGuardError as error:
            room.lost.append(f"ticket {one}: {error}")
    room.did("tickets promised", len(promised))


def killed_workers(room: Room) -> None:
    """SIGKILL at random moments; a log outside the store knows what was promised."""
    urls = [str(room.folder / "killed.db")]
    server = None
    if (programs := find_postgres()) and find_spec("psycopg"):
        server = PostgresServer(programs)
        server.start()
        urls.append(server.url())
    try:
        for url in urls:
            folder = room.folder / f"log-{len(room.tried)}"
            folder.mkdir()
            kills = 12 * room.size
            words = [SCRIPTS / "kill_campaign.py", folder, url, kills, room.size]
            done = subprocess.run(
                [sys.executable, *map(str, words)],
                capture_output=True,
                text=True,
                check=False,
            )
            kind = "PostgreSQL" if "://" in url else "SQLite"
            room.did(f"kills on {kind}", kills)
            if done.returncode:
                room.lost.append(done.stderr[-500:])
                continue
            report = json.loads(done.stdout)
            room.did("acknowledged", report["asked"] + report["answered"])
            found = {name: report[name] for name in RIGHT}
            room.check(found == RIGHT, f"{kind}: {found}")
    finally:
        if server is not None:
            server.close()


def held_store(room: Room) -> None:
    """Another program keeps the store's lock: tickets are spilled, then brought in."""
    path, spill = room.folder / "held.db", room.folder / "spill"
    store = SqliteStore(path)
    ticket = ticketer(store, spill)
    promised: list[str] = []
    for _ in range(2 * room.size):
        promised.append(ticket("before"))
        with FileLock(Path(f"{path}.lock")):
            # Waits as long as the deadline leaves; then the file system has it.
            promised.append(_hurried(store, spill))
        promised.append(ticket("after"))
        room.did("times held")
    all_there(room, store, spill, promised)
    room.check(store.health(thorough=True).problems == (), "the store is unwell")
    store.close()


def _hurried(store: Store, spill: Path) -> str:
    @fallback_chain(human("q", store=store, spill=spill), deadline=1.0)
    @contract({"type": "object"})
    @pinned(fake_pin(HttpError(500)))
    def ask(text: str, *, model: Any = None) -> Any:
        return model.complete(text)

    try:
        with isolated():
            ask(os.urandom(4).hex())
    except Deferred as deferred:
        return deferred.ticket_id
    raise AssertionError("no ticket")


def postgres_outages(room: Room) -> None:
    """The server crashes, stays away, freezes and comes back under calls."""
    programs = find_postgres()
    if programs is None or find_spec("psycopg") is None:
        raise SkippedError("PostgreSQL and psycopg are not installed")
    from llmguard.store.postgres import PostgresStore

    server = PostgresServer(programs)
    server.start()
    spill = room.folder / "spill"
    try:
        store = PostgresStore(server.url())
        ticket = ticketer(store, spill)
        promised = [ticket("well")]
        for number in range(room.size + 1):
            server.stop(signal.SIGQUIT if number % 2 else signal.SIGINT)
            promised += [ticket("down"), ticket("still down")]
            server.start()
            promised.append(ticket("back"))
            room.did("outages")
        promised += _while_frozen(server, ticket)
        room.did("outages")
        promised += _under_restart(room, server, ticket)
        room.did("outages")
        all_there(room, store, spill, promised)
        store.close()
    finally:
        server.close()


def _while_frozen(server: PostgresServer, ticket: Callable[[str], str]) -> list[str]:
    """Every process of the server stops answering, but its sockets stay."""
    process = server.process
    assert process is not None
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    everyone = [process.pid, *map(int, found.stdout.split())]
    for pid in everyone:
        os.kill(pid, signal.SIGSTOP)
    try:
        return [ticket("frozen")]
    finally:
        for pid in everyone:
            os.kill(pid, signal.SIGCONT)


def _under_restart(
    room: Room, server: PostgresServer, ticket: Callable[[str], str]
) -> list[str]:
    """Four callers go on while the server is thrown over and started again."""
    promised: list[str] = []
    stop = threading.Event()

    def call() -> None:
        while not stop.is_set():
            try:
                promised.append(ticket("under fire"))
            except Exception as error:  # noqa: BLE001 - that is the loss
                room.lost.append(f"a call while the server restarts: {error!r}")

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    for _ in range(2 * room.size):
        time.sleep(0.3)
        server.restart(signal.SIGQUIT)
    stop.set()
    for caller in callers:
        caller.join()
    return promised


def redis_outages(room: Room) -> None:
    """Redis freezes, dies, comes back empty: quarantine holds, exchanges stay short."""
    try:
        from redis_server import RedisServer

        server = RedisServer(room.folder)
    except (Exception, pytest.fail.Exception, pytest.skip.Exception) as error:  # noqa: BLE001 - reported
        raise SkippedError(str(error)) from None
    from llmguard.store.redis_breakers import redis_breakers

    durable = SqliteStore(room.folder / "durable.db")
    registry = BreakerRegistry()
    registry.attach(redis_breakers(server.url, durable, env="prod"))
    try:
        for number in range(2 * room.size):
            held = registry.get("f", f"held-{number}")
            held.quarantine("worse", actor="somebody")
            opened = registry.get("f", f"open-{number}")
            while opened.status is State.CLOSED:
                opened.record(opened.acquire(), Kind.TRANSPORT)
            registry.sync()
            _take_away(server, number % 3)
            began = time.monotonic()
            registry.sync()
            registry.sync()
            took = time.monotonic() - began
            room.check(took < 5.0, f"two exchanges took {took:.1f} s")
            fresh = BreakerRegistry()
            fresh.attach(redis_breakers(server.url, durable, env="prod"))
            state = fresh.get("f", f"held-{number}").status
            room.check(state is State.QUARANTINED, f"a quarantine became {state}")
            _give_back(server, number % 3)
            registry.sync()
            room.did("outages")
            room.check(held.status is State.QUARANTINED, "a quarantine was lifted")
            room.check(opened.status is not State.CLOSED, "an open breaker closed")
    finally:
        server.kill()
        durable.close()


def _take_away(server: Any, how: int) -> None:
    if how == 1:
        server._process.send_signal(signal.SIGSTOP)
    else:
        server.kill()


def _give_back(server: Any, how: int) -> None:
    if how == 1:
        server._process.send_signal(signal.SIGCONT)
    else:
        server.start()
