"""Every fault, in every tier, in every shape of call; then two faults at once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextvars import copy_context
from typing import Any, Final, Literal

from pydantic import BaseModel

from llmguard import (
    INJECTED,
    Model,
    capture,
    contract,
    fallback_chain,
    on_pin,
    pinned,
    static,
)
from llmguard.adapters import close_providers
from llmguard.errors import CallError
from llmguard.guard import RetryPolicy
from llmguard.outcome import POLICY, Kind
from llmguard.pins import Pin
from llmguard.testing import FAULTS, Fault, FaultServer, isolated, no_leaks

from ._room import Room

__all__ = ["HIGH", "LOW", "Shapes", "fault_pairs", "fault_tiers"]


class Triage(BaseModel):
    category: Literal["billing", "other"]
    priority: Literal["low", "high"]


HIGH: Final = {"category": "billing", "priority": "high"}
LOW: Final = {"category": "other", "priority": "low"}
SHAPES: Final = ("sync", "async", "gen", "agen")
SHORT: Final = 1.2
LONG: Final = 20.0


def _sync(ticket: str, *, model: Model = INJECTED) -> Triage:
    return model.complete(ticket)


async def _async(ticket: str, *, model: Model = INJECTED) -> Triage:
    return await model.acomplete(ticket)


def _gen(ticket: str, *, model: Model = INJECTED) -> Iterator[str]:
    yield from model.stream(ticket)


async def _agen(ticket: str, *, model: Model = INJECTED) -> AsyncIterator[str]:
    async for chunk in model.astream(ticket):
        yield chunk


_BODIES: Final[dict[str, Any]] = dict(
    zip(SHAPES, (_sync, _async, _gen, _agen), strict=True)
)


class Shapes:
    """One guarded call in four shapes, over pins from the first tier down."""

    def __init__(self, runner: asyncio.Runner, *pins: Pin, deadline: float) -> None:
        self._runner = runner
        self._pins = pins
        self._deadline = deadline

    def call(self, shape: str) -> Any:
        """Make one call; return its answer as data."""
        first, *lower = self._pins
        chain = fallback_chain(
            *map(on_pin, lower), static(LOW), deadline=self._deadline, stream="buffer"
        )
        func: Any = chain(contract(Triage)(pinned(first)(_BODIES[shape])))
        if shape == "sync":
            return func("hi").model_dump()
        if shape == "gen":
            return json.loads("".join(func("hi")))
        return self._runner.run(_awaited(func, shape), context=copy_context())


async def _awaited(func: Any, shape: str) -> Any:
    if shape == "async":
        return (await func("hi")).model_dump()
    return json.loads("".join([chunk async for chunk in func("hi")]))


def _faults(shape: str) -> list[Fault]:
    streamed = shape in {"gen", "agen"}
    return [fault for fault in FAULTS.values() if streamed or not fault.stream_only]


def _deadline(*faults: Fault) -> float:
    return SHORT if any(f.kind is Kind.TIMEOUT for f in faults) else LONG


class _Bench:
    """A server with any fault on its URLs, and one event loop."""

    def __init__(self, room: Room, server: FaultServer, runner: asyncio.Runner) -> None:
        self.room, self.server, self.runner = room, server, runner
        for shape in SHAPES:  # the first call imports the SDK
            with isolated():
                Shapes(runner, server.pin("warm"), deadline=LONG).call(shape)

    def one(self, shape: str, *faults: Fault) -> None:
        """Call through tiers with these faults; nothing may be lost by it."""
        pins = [
            self.server.pin(f"tier-{number}", fault=fault.name)
            for number, fault in enumerate(faults)
        ]
        made = Shapes(self.runner, *pins, deadline=_deadline(*faults))
        name = f"{shape}, {' then '.join(f.name for f in faults)}"
        answer: Any = None
        try:
            with isolated() as runtime, capture() as outcomes:
                runtime.retry = RetryPolicy(base=0.01, cap=0.01)
                try:
                    answer = made.call(shape)
                except CallError as error:
                    answer = error
        except Exception as error:  # noqa: BLE001 - an error of no declared type
            self.room.lost.append(f"{name}: {error!r}")
            return
        self._judge(name, shape, faults, answer, outcomes[-1].kind)

    def _judge(
        self, name: str, shape: str, faults: tuple[Fault, ...], answer: Any, kind: Kind
    ) -> None:
        self.room.did("calls")
        for place, fault in enumerate(faults):
            expected = fault.expected(stream=shape in {"gen", "agen"})
            if expected is Kind.OK:
                # Under the short deadline the one before may have had it all.
                wanted = (HIGH,) if _deadline(*faults) == LONG else (HIGH, LOW)
                self.room.check(answer in wanted, f"{name}: {answer!r}")
                return
            # What a lower tier's model calls a bad request was no fault of the caller.
            if not POLICY[expected].fall_back and place == 0:
                right = isinstance(answer, CallError) and kind is expected
                late = answer == LOW and _deadline(*faults) == SHORT
                self.room.check(right or late, f"{name}: {answer!r}, {kind}")
                return
        self.room.check(answer == LOW, f"{name}: {answer!r}")


@contextlib.contextmanager
def _bench(room: Room) -> Iterator[_Bench]:
    os.environ.setdefault("OPENAI_API_KEY", "not-a-key")  # for hosts that are not here
    server = FaultServer(answer=HIGH, delay=8.0, retry_after=0.01)
    try:
        with no_leaks(grace=20.0):
            with server, asyncio.Runner() as runner:
                yield _Bench(room, server, runner)
            close_providers()
        room.did("leak checks")
    except AssertionError as leak:
        room.lost.append(str(leak))


def fault_tiers(room: Room) -> None:
    """The whole table, in the first tier and in the second, below one that is down."""
    down = FAULTS["503"]
    with _bench(room) as bench:
        for shape in SHAPES:
            faults = _faults(shape)
            if room.size == 1:
                faults = room.chance.sample(faults, 6)
            for fault in faults:
                bench.one(shape, fault)
                bench.one(shape, down, fault)


def fault_pairs(room: Room) -> None:
    """Any two faults, one below the other, at random."""
    with _bench(room) as bench:
        for _ in range(8 * room.size):
            shape = room.chance.choice(SHAPES)
            bench.one(shape, *room.chance.choices(_faults(shape), k=2))
