"""Forks amid calls, and processes that get no more threads or descriptors."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from llmguard import INJECTED, Model, contract, fallback_chain, pinned, static
from llmguard.adapters import close_providers
from llmguard.errors import LLMGuardError
from llmguard.guard._isolate import COURIERS
from llmguard.store import SqliteStore
from llmguard.testing import FaultServer, HttpError, fake_pin, isolated
from llmguard_fallbacks.queue._spill import replay

from ._calls import HIGH, LOW
from ._outages import ticketer
from ._room import Room, in_child

__all__ = ["few_descriptors", "few_threads", "forks"]


def guarded_calls(pin: Any) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return a call and an async call that end in a static answer."""

    @fallback_chain(static(LOW), deadline=10.0)
    @contract({"type": "object", "required": ["priority"]})
    @pinned(pin)
    def triage(text: str, *, model: Model = INJECTED) -> Any:
        return model.complete(text)

    @fallback_chain(static(LOW), deadline=10.0)
    @contract({"type": "object", "required": ["priority"]})
    @pinned(pin)
    async def atriage(text: str, *, model: Model = INJECTED) -> Any:
        return await model.acomplete(text)

    return lambda: triage("hi"), lambda: asyncio.run(atriage("hi"))  # type: ignore[arg-type]  # a coroutine function


def forks(room: Room) -> None:
    """Children of a busy process answer calls and make tickets of their own."""
    store = SqliteStore(room.folder / "forks.db")
    ticket = ticketer(store, room.folder / "spill")
    good, agood = guarded_calls(fake_pin(HIGH))
    bad, _ = guarded_calls(fake_pin(HttpError(500)))
    stop = threading.Event()
    promised: list[str] = []

    def busy() -> None:
        while not stop.is_set():
            with isolated():
                good(), bad()
            promised.append(ticket("parent"))

    def child() -> list[str]:
        told: list[str] = []
        for name, call, right in (
            ("sync", good, HIGH), ("failing", bad, LOW), ("async", agood, HIGH)
        ):  # fmt: skip
            told += _tell(f"{name} in a child", call, right)
        return told + _tell("a child's ticket", lambda: _kept(store, [ticket("c")]), 1)

    threads = [threading.Thread(target=busy) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(8 * room.size):
            room.lost += in_child(child, seconds=60.0)
            room.did("forks")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    room.did("tickets promised", _kept(store, promised))
    store.close()


def _tell(name: str, call: Callable[[], object], *right: object) -> list[str]:
    """Make a call; return what was lost by it."""
    try:
        with isolated():
            answer = call()
    except Exception as error:  # noqa: BLE001 - that is the loss
        return [f"{name}: {error!r}"]
    return [] if answer in right else [f"{name}: {answer!r}"]


def _kept(store: SqliteStore, promised: list[str]) -> int:
    """Look for every ticket; return how many there are."""
    for one in promised:
        store.tickets.get(one)
    return len(promised)


@contextlib.contextmanager
def _no_threads() -> Iterator[None]:
    """Let no thread start: its stack finds no room, while small things still do."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = threading.stack_size(1 << 30)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + (256 << 20), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        threading.stack_size(before)


def few_threads(room: Room) -> None:
    """Without threads calls are answered below, tickets kept; later all is well."""

    def child() -> list[str]:
        store = SqliteStore(room.folder / "threads.db")
        spill = room.folder / "spill"
        ticket = ticketer(store, spill)
        good, agood = guarded_calls(fake_pin(HIGH))
        COURIERS.close()  # those that wait for work
        time.sleep(0.05)
        promised: list[str] = []
        with _no_threads():
            if _starts_a_thread():
                return ["a thread could be started: nothing was tried"]
            told = _tell("sync without threads", good, HIGH, LOW)
            told += _tell("async without threads", agood, HIGH, LOW)
            told += _tell("ticket", lambda: promised.append(ticket("none")), None)
        told += _tell("afterwards", good, HIGH)
        promised.append(ticket("after"))
        replay(store, spill)
        _kept(store, promised)
        store.close()
        return told

    for _ in range(room.size):
        room.lost += in_child(child)
        room.did("processes without threads")


def _starts_a_thread() -> bool:
    try:
        threading.Thread(target=int).start()
    except RuntimeError:
        return False
    return True


@contextlib.contextmanager
def _no_descriptors() -> Iterator[None]:
    """Use up every descriptor but the ones that are open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    held: list[int] = []
    try:
        with contextlib.suppress(OSError):
            while True:
                held.append(os.open("/dev/null", os.O_RDONLY))
        yield
    finally:
        for one in held:
            os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def few_descriptors(room: Room) -> None:
    """Without descriptors calls are answered below; what is promised is kept."""
    with FaultServer(answer=HIGH) as server:
        for _ in range(room.size):
            room.lost += in_child(lambda: _without_descriptors(room.folder, server))
            room.did("processes without descriptors")


def _without_descriptors(folder: Path, server: FaultServer) -> list[str]:
    store, spill = SqliteStore(folder / "descriptors.db"), folder / "spill"
    ticket = ticketer(store, spill)
    good, agood = guarded_calls(server.pin("m"))
    promised = [ticket("before")]
    told = _tell("before", good, HIGH)
    close_providers()

    def another() -> None:
        with contextlib.suppress(LLMGuardError):  # refused, so nothing is promised
            promised.append(ticket("none left"))

    with _no_descriptors():
        told += _tell("without descriptors", good, HIGH, LOW)
        told += _tell("ticket without descriptors", another, None)
    told += _tell("afterwards", good, HIGH) + _tell("async afterwards", agood, HIGH)
    promised.append(ticket("after"))
    replay(store, spill)
    _kept(store, promised)
    store.close()
    return told
