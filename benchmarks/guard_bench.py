"""What a guard costs on the happy path, and what 8 threads through one guard reach.

The provider answers at once in this process, so that nothing but the guard is timed.
Each figure is the guarded call minus the bare body in the same round.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from _measure import (
    Case,
    amany,
    inline,
    interleave,
    machine,
    many,
    options,
    report,
    spread,
    table,
)
from pydantic import BaseModel

from llmguard import INJECTED, Model, Pin, contract, fallback_chain, pinned, static
from llmguard.adapters import Chunk, Request, register_provider
from llmguard.breaker import VersionBreaker
from llmguard.contract import Contract
from llmguard.guard import Runtime, use_runtime
from llmguard.outcome import Kind
from llmguard.reply import Reply

TEXT: Final = '{"name": "Ada", "age": 36}'
REPLY: Final = Reply(text=TEXT, finish_reason="stop", served_model="instant-1")
TARGET_US: Final = 50.0
TARGET_SHARE: Final = 0.95
THREADS: Final = 8


class Person(BaseModel):
    """The task: two fields."""

    name: str
    age: int


@dataclass(frozen=True)
class Instant:
    """A provider that answers at once."""

    remote: bool = False
    bounded: bool = True
    reply: Reply = REPLY

    def complete(self, request: Request) -> Reply:
        """Answer."""
        del request
        return self.reply

    async def acomplete(self, request: Request) -> Reply:
        """Answer."""
        del request
        return self.reply

    def stream(self, request: Request) -> Iterator[Chunk]:
        """Take no part in this."""
        raise NotImplementedError(request)  # whole answers only

    def astream(self, request: Request) -> AsyncIterator[Chunk]:
        """Take no part in this."""
        raise NotImplementedError(request)  # whole answers only

    def client(self, timeout: float) -> Any:
        """Take no part in this."""
        raise NotImplementedError(timeout)  # no SDK is behind it

    def async_client(self, timeout: float) -> Any:
        """Take no part in this."""
        raise NotImplementedError(timeout)  # no SDK is behind it

    def close(self) -> None:
        """Hold nothing."""


PROVIDER = Instant()
PIN = Pin(
    route="bench", provider="instant", model="instant-1", version_class="immutable"
)
LAST = Person(name="nobody", age=0)
register_provider("instant", lambda _pin: PROVIDER)


def body(text: str) -> str:
    del text
    return TEXT


async def abody(text: str) -> str:
    del text
    return TEXT


def pinned_body(text: str, *, model: Model = INJECTED) -> Person:
    return model.complete(text)


def opaque_body(text: str, *, model: Model = INJECTED) -> Person:
    return _same(model.complete(text))


def _same(answer: Person) -> Person:
    """Stand for whatever may hang, as far as the guard can tell."""
    return answer


async def apinned_body(text: str, *, model: Model = INJECTED) -> Person:
    return await model.acomplete(text)


def by_hand(text: str) -> Person:
    return Person.model_validate_json(body(text))


def _parts() -> dict[str, Case]:
    """Return the guard's two large parts, each on its own."""
    breaker, judge, reply = VersionBreaker("bench"), Contract(Person), Reply(text=TEXT)

    def use_breaker(calls: int) -> None:
        for number in range(calls):
            permit = breaker.acquire()
            breaker.record(permit, Kind.OK, elapsed=0.0)
            breaker.observe(f"ticket {number}", Kind.OK, permit=permit)

    def use_contract(calls: int) -> None:
        for _ in range(calls):
            judge.judge(reply)

    return {"breaker alone": use_breaker, "contract alone": use_contract}


def _handover(calls: int) -> None:
    """Hand over to another thread and back, by two bare locks: the least there is."""
    there, back = threading.Lock(), threading.Lock()
    there.acquire()
    back.acquire()

    def answer() -> None:
        for _ in range(calls):
            there.acquire()
            back.release()

    thread = threading.Thread(target=answer)
    thread.start()
    for _ in range(calls):
        there.release()
        back.acquire()
    thread.join()


def _cases(on: asyncio.Runner) -> dict[str, Case]:
    chain, last = fallback_chain(static("none")), fallback_chain(static(LAST))
    full, opaque, afull = (
        last(contract(Person)(pinned(PIN)(each)))
        for each in (pinned_body, opaque_body, apinned_body)
    )
    judged = last(contract(Person)(body))
    return {
        "body": many(body),
        "body + pydantic by hand": many(by_hand),
        **_parts(),
        "two bare locks, there and back": _handover,
        "deadline, chain, breaker": inline(many(chain(body))),
        "... and contract": inline(many(judged)),
        "... and model (all)": inline(many(opaque)),
        "all, a body that waits for its model only": many(full),
        "all, any other body (courier thread)": many(opaque),
        "async body": amany(abody, on),
        "async: deadline, chain, breaker": amany(chain(abody), on),
        "async: all": amany(afull, on),
    }


def overhead(*, quick: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Measure microseconds of CPU per call above the bare body."""
    with asyncio.Runner() as runner:
        samples = interleave(
            _cases(runner), calls=20 if quick else 500, rounds=3 if quick else 41
        )
    figures = {
        name: spread(
            each.cpu,
            samples["async body" if name.startswith("async") else "body"].cpu,
            subtract=True,
        )
        for name, each in samples.items()
        if name not in {"body", "async body", "(loop)"}
    }
    rows = [[n, f["median"], f["low"], f["high"], f["min"]] for n, f in figures.items()]
    head = ["CPU us above the bare body", "median", "25 %", "75 %", "least"]
    table(f"Guard overhead per call; target {TARGET_US:g} us", head, rows)
    return figures, machine(samples)


def _throughput(function: Callable[[str], object], calls: int, on: Runtime) -> float:
    """Return calls per second of 8 threads that start together."""
    start = threading.Barrier(THREADS + 1)

    def work() -> None:
        with use_runtime(on):
            start.wait()
            for number in range(calls):
                function(f"ticket {number}")

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    start.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return THREADS * calls / (time.perf_counter() - began)


def threads(*, quick: bool) -> dict[str, dict[str, float]]:
    """Measure the share of unguarded throughput that a guarded function keeps."""

    def waits(text: str) -> str:
        time.sleep(0.01)
        return body(text)

    guarded = fallback_chain(static(LAST))(contract(Person)(waits))
    couriers, inline = Runtime(), Runtime(couriers=None)
    ways = {
        "bare": (waits, inline),
        "guarded": (guarded, couriers),
        "guarded, no courier": (guarded, inline),
    }
    calls, rounds = (3, 1) if quick else (60, 9)
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, (function, on) in ways.items():
            rate = _throughput(function, calls, on)
            if number:  # the first round warms up
                rates[name].append(rate)
    figures = {
        name: spread(rates[name], rates["bare"], subtract=False) for name in ways
    }
    rows = [[n, f["median"], f["low"], f["high"]] for n, f in figures.items()]
    title = f"{THREADS} threads, a 10 ms function; target {TARGET_SHARE}"
    table(title, ["share of bare throughput", "median", "25 %", "75 %"], rows)
    return figures


def main() -> None:
    asked = options(__doc__ or "")
    figures, about = overhead(quick=asked.quick)
    shares = threads(quick=asked.quick)
    report({"overhead_us": figures, "threads": shares}, about, asked.json)


if __name__ == "__main__":
    main()
