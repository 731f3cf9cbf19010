"""Clocks that somebody sets: forward by years, back by hours, at a false speed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from llmguard import BreakerPolicy
from llmguard.breaker import BreakerRegistry, State
from llmguard.errors import LLMGuardError
from llmguard.outcome import Kind
from llmguard.store import NewEntry, NewTicket, SqliteStore, legal_moves, new_id
from llmguard.testing import VirtualClock

from ._room import Room, SkippedError

__all__ = ["clock_steps", "faked_clocks"]

HOUR: Final = 3600.0
STEPS: Final = (-HOUR, HOUR, -86_400.0, 30 * 86_400.0, -365 * 86_400.0, 0.5, -0.5)
FAKES: Final = ("-10y", "+20y", "-1h x50", "+1d", "@2000-01-01 00:00:00")
LIBRARY: Final = "/usr/lib/*/faketime/libfaketime.so.1"


def clock_steps(room: Room) -> None:
    """Breakers keep their times, tickets their fencing, the ledger its order."""
    clock = VirtualClock(epoch=1_750_000_000.0)
    store = SqliteStore(room.folder / "clock.db", clock=clock, synchronous="OFF")
    jumps = [*STEPS, *room.chance.choices(STEPS, k=10 * room.size)]
    for number, step in enumerate(jumps):
        _breaker_across(room, clock, step)
        _ticket_across(room, clock, store, step, number)
        _ledger_across(store, number)
        room.did("steps")
    checked = store.ledger.verify()
    room.check(checked.ok, f"the ledger: {checked}")
    room.check(store.health(thorough=True).problems == (), "the store is unwell")
    store.close()
    _under_time_machine(room)


def _breaker_across(room: Room, clock: VirtualClock, step: float) -> None:
    policy = BreakerPolicy(jitter=0.0)
    registry = BreakerRegistry(clock=clock, policy=policy)
    breaker = registry.get("f", "p")
    while breaker.status is State.CLOSED:
        breaker.record(breaker.acquire(), Kind.TRANSPORT)
    clock.step_wall(step)
    clock.advance(policy.open_for - 1.0)
    room.check(not _admits(breaker), f"a step of {step} s let a caller in early")
    clock.advance(2.0)
    room.check(_admits(breaker), f"a step of {step} s kept a breaker open")


def _admits(breaker: Any) -> bool:
    try:
        breaker.acquire()
    except Exception:  # noqa: BLE001 - pybreaker's own, or one of ours
        return False
    return True


def _ticket_across(
    room: Room, clock: VirtualClock, store: SqliteStore, step: float, number: int
) -> None:
    tickets = store.tickets
    ident = new_id(clock.time())
    tickets.enqueue(
        NewTicket(
            id=ident, queue="q", key=ident, fingerprint=ident, inputs={"n": number}
        )
    )
    mine = tickets.claim(reviewer="one", lease=60.0)
    clock.step_wall(step)
    other = tickets.claim(reviewer="two", lease=60.0)
    if mine is None:
        room.lost.append(f"step {number}: nobody could claim {ident}")
        return
    held = other if other is not None and other.id == mine.id else mine
    tickets.answer(mine.id, {"ok": 1}, reviewer=held.claimed_by, token=held.lease_token)
    if held is not mine:
        try:
            tickets.answer(mine.id, {"ok": 2}, reviewer="one", token=mine.lease_token)
            room.lost.append(f"{mine.id} was answered twice")
        except LLMGuardError:
            pass
    room.check(tickets.get(mine.id).answer == {"ok": 1}, f"{mine.id} lost its answer")


def _ledger_across(store: SqliteStore, number: int) -> None:
    state = store.ledger.route_state("prod", "r")
    pin = f"p-{number}"
    store.ledger.append(
        NewEntry(
            env="prod",
            route="r",
            pin=pin,
            action=legal_moves(state, pin)[0],
            base_rev=state.rev,
            actor="somebody",
        )
    )


def _under_time_machine(room: Room) -> None:
    """The real clock's wall is moved under calls; deadlines do not notice."""
    if find_spec("time_machine") is None:
        return
    import time_machine

    from llmguard.testing import fake_pin, isolated

    from ._limits import guarded_calls

    good, agood = guarded_calls(fake_pin({"priority": "high"}))
    for step in STEPS:
        with (
            time_machine.travel(1_750_000_000 + step, tick=True),
            isolated(),
        ):
            room.check(good() == agood() == {"priority": "high"}, f"travelled {step}")
        room.did("travels")


def faked_clocks(room: Room) -> None:
    """Whole commands run in a false time, one after the other on the same files."""
    found = [str(path) for path in Path("/").glob(LIBRARY[1:])]
    if not found:
        raise SkippedError("libfaketime is not installed (Debian: faketime)")
    run = _runner(room.folder, found[0])
    first = run("-1d", "pin", "add", "r", "--provider", "openai", "--model",
                "gpt-4o-2024-08-06")  # fmt: skip
    room.check(first[0] == 0, first[1])
    commands: tuple[tuple[str, ...], ...] = (
        ("pin", "check"),
        ("pin", "list", "--json"),
        ("queue", "list", "--json"),
        ("store", "check", "--json"),
        ("status", "--json"),
        ("which", "r", "--json"),
    )
    for fake in FAKES[: 2 if room.size == 1 else None]:
        for command in commands:
            code, told = run(fake, *command)
            room.did("commands")
            # 1, 3 and 4 say that something was found; a traceback never does.
            name = f"{' '.join(command)} at {fake}"
            room.check(code in {0, 1, 3, 4}, f"{name}: {code} {told}")
            room.check("Traceback" not in told, f"{name}: {told}")


def _runner(folder: Path, library: str) -> Callable[..., tuple[int, str]]:
    def run(fake: str, *words: str) -> tuple[int, str]:
        env = {**os.environ, "LD_PRELOAD": library, "FAKETIME": fake,
               "FAKETIME_DONT_FAKE_MONOTONIC": "1" if "x" not in fake else "0",
               "LLMGUARD_STORE": str(folder / "store.db")}  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "llmguard", *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            env=env,
            timeout=120,
        )
        return done.returncode, done.stdout[-300:] + done.stderr[-1500:]

    return run
