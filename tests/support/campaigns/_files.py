"""Files that were cut off, turned over, or written by something else."""

from __future__ import annotations

import dataclasses
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from llmguard.errors import LLMGuardError
from llmguard.pins import Lock, Pin, read_lock, to_text
from llmguard.store import NewTicket, SqliteStore
from llmguard.suite._journal import JournalWriter, read_journal
from llmguard_fallbacks.queue._spill import replay

from ._limits import guarded_calls
from ._outages import ticketer
from ._room import Room, in_child

__all__ = ["damaged_store", "damaged_texts"]


def damages(data: bytes, chance: random.Random, count: int) -> Iterator[bytes]:
    """Yield damaged copies: cut, with a bit turned, with bytes of something else."""
    yield b""
    yield chance.randbytes(len(data) or 1)
    yield data[: len(data) // 2]
    for _ in range(count):
        copy = bytearray(data)
        place = chance.randrange(len(copy))
        match chance.randrange(4):
            case 0:
                copy[place] ^= 1 << chance.randrange(8)
            case 1:
                del copy[place:]
            case 2:
                size = min(len(copy) - place, chance.randrange(1, 5000))
                copy[place : place + size] = chance.randbytes(size)
            case _:
                copy[place:place] = bytes(chance.randrange(1, 50))
        yield bytes(copy)


def damaged_texts(room: Room) -> None:
    """A damaged lock is refused, a journal read to its damage, a spill set aside."""
    pins = [Pin(route="r", provider="openai", model=f"gpt-4o-2024-0{n}-01")
            for n in (1, 2)]  # fmt: skip
    lock = to_text(Lock().with_pin(pins[0]).with_pin(pins[1])).encode()
    good = room.folder / "good.lock"
    good.write_bytes(lock)
    right = read_lock(good)
    path = room.folder / "models.lock"
    for data in damages(lock, room.chance, 60 * room.size):
        path.write_bytes(data)
        room.did("locks")
        try:
            found = read_lock(path)
        except LLMGuardError:
            continue
        same = all(right.pins.get(key) == pin for key, pin in found.pins.items())
        room.check(same, f"a damaged lock was believed: {data!r}")
    _journals(room)
    _spills(room)


def _journals(room: Room) -> None:
    whole = room.folder / "whole.jsonl"
    with JournalWriter.create(whole, {"suite": "s"}) as journal:
        for number in range(20):
            journal.event("e", number=number)
    path = room.folder / "run.jsonl"
    for data in damages(whole.read_bytes(), room.chance, 60 * room.size):
        path.write_bytes(data)
        room.did("journals")
        try:
            read = read_journal(path)
        except LLMGuardError:
            continue
        room.check(read.size <= len(data), "a journal is longer than its file")
        if whole.read_bytes().startswith(data):
            room.check(len(read.events) == data.count(b"\n") - 1, "events were lost")


def _spills(room: Room) -> None:
    store = SqliteStore(room.folder / "spilled.db", synchronous="OFF")
    folder = room.folder / "spilled"
    folder.mkdir()
    text = json.dumps(
        dataclasses.asdict(
            NewTicket(id="bad", queue="q", key="k", fingerprint="f", inputs={"a": 1})
        )
    ).encode()
    for number, data in enumerate(damages(text, room.chance, 30 * room.size)):
        ident = f"good{number}"
        new = NewTicket(id=ident, queue="q", key=ident, fingerprint="f", inputs={})
        (folder / "bad.json").write_bytes(data)
        (folder / f"{ident}.json").write_text(json.dumps(dataclasses.asdict(new)))
        replay(store, folder)
        room.did("spilled tickets")
        store.tickets.get(ident)
        for left in folder.glob("*.refused"):
            left.unlink()
    store.close()


def damaged_store(room: Room) -> None:
    """A damaged store is an error of a declared type, and calls go on without."""
    whole = room.folder / "whole.db"
    store = SqliteStore(whole)
    ticket = ticketer(store, room.folder / "spill")
    for number in range(60):
        ticket(f"{number}" * 200)
    store.beat("a process", {})
    store.counts.add("prod", [(("f", "p", "", "calls", "ok"), 3)], source="s",
                     number=1, at=0.0)  # fmt: skip
    store.close()
    for name in ("whole.db", "whole.metrics.db"):
        data = (room.folder / name).read_bytes()
        for number, bad in enumerate(damages(data, room.chance, 6 * room.size)):
            folder = room.folder / f"{name}-{number}"
            folder.mkdir()
            for file in ("whole.db", "whole.metrics.db"):
                shutil.copy(room.folder / file, folder / file)
            (folder / name).write_bytes(bad)
            room.lost += in_child(lambda at=folder: _use(at))  # type: ignore[misc]  # bound at once
            room.did("stores")
            shutil.rmtree(folder)


def _use(folder: Path) -> list[str]:
    """Use everything of a damaged store; return what was no declared error."""
    from llmguard.testing import fake_pin, isolated

    told: list[str] = []
    spill = folder / "spill"

    def attempt(name: str, act: Callable[[], object]) -> None:
        try:
            act()
        except LLMGuardError:
            pass
        except Exception as error:  # noqa: BLE001 - that is the loss
            told.append(f"{name} of a damaged store: {error!r}")

    def use() -> None:
        store = SqliteStore(folder / "whole.db")
        attempt("health", lambda: store.health(thorough=True))
        attempt("list", lambda: store.tickets.list(limit=100))
        attempt("claim", lambda: store.tickets.claim(reviewer="r", lease=1.0))
        attempt("breakers", store.list_breakers)
        attempt("counts", lambda: store.counts.series("prod", function="f", since=0.0))
        attempt("ledger", store.ledger.verify)
        attempt("ticket", lambda: ticketer(store, spill)("new"))
        attempt("close", store.close)

    attempt("opening", use)
    # The path instead of the store: as a guarded function has it that was configured.
    attempt("ticket by path", lambda: ticketer(str(folder / "whole.db"), spill)("new"))
    good, _ = guarded_calls(fake_pin({"priority": "high"}))
    with isolated():
        if good() != {"priority": "high"}:
            told.append("a call beside a damaged store was not answered")
    return told
