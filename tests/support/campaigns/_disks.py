"""Disks that are full, and files that may not grow."""

from __future__ import annotations

import contextlib
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llmguard import INJECTED, Model, fallback_chain, pinned, static
from llmguard.adapters import record_to, register_provider
from llmguard.errors import LLMGuardError
from llmguard.pins import Pin, edit_lock, read_lock
from llmguard.store import SqliteStore
from llmguard.suite._journal import JournalWriter, read_journal
from llmguard.testing import FakeModel, isolated
from llmguard_fallbacks.queue._spill import replay

from ._outages import ticketer
from ._room import Room, SkippedError, in_child

__all__ = ["full_disk", "full_files"]


def full_disk(room: Room) -> None:
    """A file system of two megabytes fills up under everything that is written."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=2M", "tmpfs", str(room.folder)]
    done = subprocess.run(mount, check=False, capture_output=True)
    if not shutil.which("mount") or done.returncode:
        raise SkippedError("mounting a small file system needs root")
    try:
        room.lost += _until_full(room)
        remount = ["mount", "-o", "remount,size=16M", str(room.folder)]
        subprocess.run(remount, check=True)
        room.lost += _after(room.folder)
    finally:
        subprocess.run(["umount", "-l", str(room.folder)], check=True)


def _until_full(room: Room) -> list[str]:
    told: list[str] = []
    folder = room.folder
    store = SqliteStore(folder / "store.db")
    ticket = ticketer(store, folder / "spill")
    lock = folder / "models.lock"
    edit_lock(lock, lambda old: old.with_pin(_pin(0)))
    promised = [ticket("early")]
    (folder / "promised").write_text("")
    journal = JournalWriter.create(folder / "run.jsonl", {"suite": "s"})
    recorded = _recorded(folder / "recording.jsonl")
    writers: dict[str, Callable[[int], object]] = {
        "ticket": lambda n: promised.append(ticket("x" * 4000 + str(n))),
        "lock": lambda n: edit_lock(lock, lambda old: old.with_pin(_pin(n))),
        "journal": lambda n: journal.event("e", number=n, text="x" * 500),
        "recorded call": lambda n: recorded("y" * 3000 + str(n)),
    }
    full: set[str] = set()
    for number in range(1, 3000):
        for name, write in writers.items():
            try:
                write(number)
            except LLMGuardError:
                full.add(name)
            except Exception as error:  # noqa: BLE001 - that is the loss
                full.add(name)
                line = f"{name} on a full disk: {error!r}"
                told += [] if line in told else [line]
        room.did("writes", len(writers))
        if {"ticket", "lock"} <= full and number > 100:
            break
    else:
        told.append("the disk never filled up: nothing was tried")
    # What was promised is in memory of this test only: the disk has no room for it.
    for one in promised:
        try:
            if not (folder / "spill" / f"{one}.json").exists():
                store.tickets.get(one)
        except Exception as error:  # noqa: BLE001 - that is the loss
            told.append(f"promised ticket {one}: {error!r}")
    room.did("tickets promised", len(promised))
    read_lock(lock)
    journal.close()
    read_journal(folder / "run.jsonl")
    store.close()
    return told


def _after(folder: Path) -> list[str]:
    """With room again everything goes on."""
    store = SqliteStore(folder / "store.db")
    ticket = ticketer(store, folder / "spill")
    new = ticket("room again")
    replay(store, folder / "spill")
    store.tickets.get(new)
    problems = store.health(thorough=True).problems
    told = [one for one in problems if "free" not in one]
    edit_lock(folder / "models.lock", lambda old: old.with_pin(_pin(9999)))
    with JournalWriter.resume(read_journal(folder / "run.jsonl"), at=0.0) as journal:
        journal.event("end")
    if read_journal(folder / "run.jsonl").ended is None:
        told.append("the journal did not go on")
    store.close()
    return told


def _pin(number: int) -> Pin:
    return Pin(route="r", provider="fake", model=f"m-{number}-2024-08-06",
               version_class="immutable")  # fmt: skip


def _recorded(path: Path) -> Callable[[str], Any]:
    """Return a guarded function whose provider's answers are recorded."""
    fake = FakeModel("an answer", name="m-1")
    pin = fake.pin("recorded")
    from llmguard.adapters import provider_for

    inner = provider_for(pin)
    register_provider("recorded", lambda _: record_to(path, inner))
    own = Pin(route="rec", provider="recorded", model="m-1", version_class="immutable")

    @fallback_chain(static("fallback"), deadline=10.0)
    @pinned(own)
    def ask(text: str, *, model: Model = INJECTED) -> str:
        return model.complete(text)

    def answer(text: str) -> None:
        with isolated():
            got = ask(text)
        # The disk is no reason to give away a good answer.
        if got != "an answer":
            raise AssertionError(f"answered {got!r} although the model had answered")

    return answer


def full_files(room: Room) -> None:
    """A process whose files may not grow loses nothing that it was promised."""

    def child() -> list[str]:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        folder = room.folder
        store = SqliteStore(folder / "files.db")
        ticket = ticketer(store, folder / "spill")
        promised = [ticket("before")]
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
        told: list[str] = []
        refused = 0
        for number in range(120):
            try:
                promised.append(ticket("x" * 6000 + str(number)))
            except LLMGuardError:
                refused += 1
            except Exception as error:  # noqa: BLE001 - that is the loss
                told = [f"ticket in a file that may not grow: {error!r}"]
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        promised.append(ticket("after"))
        with contextlib.suppress(LLMGuardError):
            replay(store, folder / "spill")
        for one in promised:
            store.tickets.get(one)
        if store.health(thorough=True).problems:
            told.append("the store is unwell")
        store.close()
        return told

    for number in range(room.size):
        room.lost += in_child(child, seconds=120.0)
        room.did("processes")
        shutil.rmtree(room.folder)
        room.folder.mkdir()
        del number
