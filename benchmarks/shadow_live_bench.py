"""What a caller notices of a shadow: latency with it on and off, and CPU per call.

A stub answers after 20 ms, as incumbent and as challenger, in this process; 8 threads
call one guarded function without a pause. Blocks of calls with the shadow on and off
alternate in shuffled order, so a busy spell of the machine falls on all alike; two arms
are off, and their ratio says how much of a difference is the machine's own. The draws
of a block are finished before the next begins, so that none slows an arm that is off.
"""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from _measure import interleave, machine, many, options, report, spread, table
from pydantic import BaseModel

from llmguard import INJECTED, Model, Pin, contract, pinned
from llmguard.adapters import Chunk, Request, register_provider
from llmguard.reply import Reply
from llmguard.shadow.live import SHADOWS, shadow

SECONDS: Final = 0.02
THREADS: Final = 8
TARGET: Final = 1.02
TEXT: Final = '{"name": "Ada", "age": 36}'
Call = Callable[[str], object]


class Person(BaseModel):
    """The task: two fields."""

    name: str
    age: int


@dataclass(frozen=True)
class Stub:
    """A provider that answers after some time."""

    seconds: float
    model: str
    remote: bool = False

    def complete(self, request: Request) -> Reply:
        """Answer."""
        del request
        if self.seconds:
            time.sleep(self.seconds)
        return Reply(text=TEXT, finish_reason="stop", served_model=self.model)

    async def acomplete(self, request: Request) -> Reply:
        """Take no part in this."""
        raise NotImplementedError(request)  # sync answers only

    def stream(self, request: Request) -> Iterator[Chunk]:
        """Take no part in this."""
        raise NotImplementedError(request)  # sync answers only

    def astream(self, request: Request) -> AsyncIterator[Chunk]:
        """Take no part in this."""
        raise NotImplementedError(request)  # sync answers only

    def client(self, timeout: float) -> Any:
        """Take no part in this."""
        raise NotImplementedError(timeout)  # no SDK is behind it

    def async_client(self, timeout: float) -> Any:
        """Take no part in this."""
        raise NotImplementedError(timeout)  # no SDK is behind it

    def close(self) -> None:
        """Hold nothing."""


def _pin(name: str) -> Pin:
    return Pin(route="bench", provider="stub", model=name, version_class="immutable")


def _provider(pin: Pin) -> Stub:
    return Stub(SECONDS if pin.model.startswith("slow") else 0.0, pin.model)


register_provider("stub", _provider)


def _guarded(name: str, **shadowed: Any) -> Call:
    """Return a function of its own name: shadows find theirs by it."""

    def body(text: str, *, model: Model = INJECTED) -> Person:
        return model.complete(text)

    body.__qualname__ = name
    speed = name.partition(" ")[0]
    made = contract(Person)(pinned(_pin(f"{speed}-old"))(body))
    return shadow(_pin(f"{speed}-new"), **shadowed)(made) if shadowed else made


def _block(call: Call, calls: int, into: list[float]) -> None:
    """Call from 8 threads, and note what each call took, in milliseconds."""
    start = threading.Barrier(THREADS)

    def work(number: int) -> None:
        start.wait()
        for each in range(calls):
            began = time.perf_counter()
            call(f"ticket {number}.{each}")
            into.append((time.perf_counter() - began) * 1e3)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _at(share: float, values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def latency(*, quick: bool) -> dict[str, dict[str, float]]:
    """Measure what callers wait, in interleaved blocks."""
    off, on = _guarded("slow"), _guarded("slow on", max_calls=None, capacity=256)
    arms: dict[str, Call] = {"off": off, "off again": off, "on": on}
    calls, rounds = (5, 2) if quick else (50, 40)
    taken: dict[str, list[list[float]]] = {name: [] for name in arms}
    rng, names = random.Random(0), list(arms)
    for number in range(rounds + 1):
        rng.shuffle(names)
        for name in names:
            block: list[float] = []
            _block(arms[name], calls, block)
            SHADOWS.join()
            if number:  # the first round warms up
                taken[name].append(block)
    figures = {name: _figures(taken[name], taken["off"]) for name in arms}
    rows = [[name, *figure.values()] for name, figure in figures.items()]
    title = f"Latency of {THREADS} callers, ms; ratio to off, target {TARGET:g}"
    table(title, ["shadow", *figures["on"]], rows)
    return figures


def _figures(blocks: list[list[float]], base: list[list[float]]) -> dict[str, float]:
    mine = [each for block in blocks for each in block]
    theirs = [each for block in base for each in block]
    return {
        "p50": _at(0.5, mine),
        "p99": _at(0.99, mine),
        "ratio p50": _at(0.5, mine) / _at(0.5, theirs),
        "ratio p99": _at(0.99, mine) / _at(0.99, theirs),
        "median of blocks' p99 ratios": statistics.median(
            _at(0.99, one) / _at(0.99, other)
            for one, other in zip(blocks, base, strict=True)
        ),
    }


def cost(*, quick: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Measure microseconds of CPU that a call costs with nothing to wait for."""
    bare = _guarded("fast")
    cases = {
        "off": many(bare),
        "on, none sampled": many(_guarded("fast none", share=0.0, max_calls=None)),
        "on, 5 % sampled, draws included": _joined(
            _guarded("fast on", capacity=10_000, max_calls=None)
        ),
    }
    samples = interleave(cases, calls=20 if quick else 500, rounds=3 if quick else 31)
    figures = {
        name: spread(samples[name].cpu, samples["off"].cpu, subtract=True)
        for name in cases
        if name != "off"
    }
    rows = [[n, f["median"], f["low"], f["high"]] for n, f in figures.items()]
    table("CPU us per call above off", ["shadow", "median", "25 %", "75 %"], rows)
    return figures, machine(samples)


def _joined(call: Call) -> Callable[[int], object]:
    run = many(call)

    def case(calls: int) -> None:
        run(calls)
        SHADOWS.join()

    return case


def main() -> None:
    asked = options(__doc__ or "")
    figures = latency(quick=asked.quick)
    costs, about = cost(quick=asked.quick)
    report({"latency": figures, "cpu_us": costs}, about, asked.json)


if __name__ == "__main__":
    main()
