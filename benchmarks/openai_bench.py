"""A guarded `openai` call beside the same call unguarded, and how fast it fails over.

The server is a stub in another process on this machine: no network, no TLS, an answer
at once. Against a real model, which takes a second, the difference is not measurable.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from _measure import (
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
from _stub import MODEL, stub
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from llmguard import (
    INJECTED,
    Model,
    Pin,
    contract,
    fallback_chain,
    on_pin,
    pinned,
    static,
)
from llmguard.guard import Runtime, use_runtime

TARGET: Final = 1.03
DEADLINE: Final = 3.0


class Person(BaseModel):
    """The task: two fields."""

    name: str
    age: int


LAST = Person(name="nobody", age=0)
FORMAT: Final[Any] = {
    "type": "json_schema",
    "json_schema": {"name": "Person", "schema": Person.model_json_schema()},
}


def _pin(route: str, endpoint: str) -> Pin:
    return Pin(
        route=route,
        provider="openai",
        model=MODEL,
        endpoint=f"{endpoint}/v1",
        version_class="immutable",
    )


def _ask(text: str) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"model": MODEL, "messages": messages, "response_format": FORMAT}


def _same(answer: Person) -> Person:
    """Stand for whatever may hang, as far as the guard can tell."""
    return answer


def _guard(function: Callable[..., Any]) -> Callable[..., Any]:
    return fallback_chain(static(LAST))(contract(Person)(function))


def _sync_functions(url: str) -> dict[str, Callable[[str], object]]:
    client = OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
    pin = _pin("bench", url)

    def create(text: str) -> Any:
        return client.chat.completions.create(**_ask(text))

    def unguarded(text: str) -> Person:
        return Person.model_validate_json(create(text).choices[0].message.content)

    @pinned(pin)
    def raw_client(text: str, *, model: Model = INJECTED) -> Any:
        return model.client.chat.completions.create(**_ask(text))

    @pinned(pin)
    def complete(text: str, *, model: Model = INJECTED) -> Person:
        return model.complete(text)

    @pinned(pin)
    def opaque(text: str, *, model: Model = INJECTED) -> Person:
        return _same(model.complete(text))

    return {
        "unguarded": unguarded,
        "guarded, own client": _guard(create),
        "guarded, model.complete": _guard(complete),
        "guarded, model.complete and more": _guard(opaque),
        "guarded, model.client": _guard(raw_client),
    }


def _async_functions(url: str) -> dict[str, Callable[[str], Awaitable[object]]]:
    client = AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
    pin = _pin("bench", url)

    async def create(text: str) -> Any:
        return await client.chat.completions.create(**_ask(text))

    async def unguarded(text: str) -> Person:
        answer = await create(text)
        return Person.model_validate_json(answer.choices[0].message.content)

    @pinned(pin)
    async def complete(text: str, *, model: Model = INJECTED) -> Person:
        return await model.acomplete(text)

    return {
        "async unguarded": unguarded,
        "async guarded, own client": _guard(create),
        "async guarded, model.acomplete": _guard(complete),
    }


def ratios(url: str, *, quick: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Measure guarded calls as multiples of the unguarded one of the same round."""
    with asyncio.Runner() as runner:
        cases = {n: many(f) for n, f in _sync_functions(url).items()}
        for name in ("guarded, own client", "guarded, model.complete and more"):
            cases[f"{name}, no courier"] = inline(cases[name])
        for name, function in _async_functions(url).items():
            cases[name] = amany(function, runner)
        samples = interleave(cases, calls=2 if quick else 20, rounds=3 if quick else 61)
    figures: dict[str, Any] = {}
    for name in cases:
        base = samples["async unguarded" if name.startswith("async") else "unguarded"]
        own = samples[name]
        figures[name] = {
            "us": spread(own.cpu, subtract=True),
            "cpu": spread(own.cpu, base.cpu, subtract=False),
            "wall": spread(own.wall, base.wall, subtract=False),
        }
    rows = [
        [n, f["us"]["median"], *_quartiles(f["cpu"]), *_quartiles(f["wall"])]
        for n, f in figures.items()
    ]
    head = ["openai call, loopback", "CPU us", "CPU x", "25 %", "75 %"]
    title = f"Guarded / unguarded, same round; target {TARGET}"
    table(title, [*head, "wall x", "25 %", "75 %"], rows)
    return figures, machine(samples)


def _quartiles(of: dict[str, float]) -> tuple[float, float, float]:
    return of["median"], of["low"], of["high"]


def _closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def failover(url: str, *, quick: bool) -> dict[str, Any]:
    """Time the first call of a function whose model has just gone bad."""
    figures: dict[str, Any] = {}
    for name, endpoint in {
        "port closed": _closed_port(),
        "500 to every request": f"{url}/fail",
        "hangs": f"{url}/hang",
    }.items():
        seconds = [_first_call(endpoint, url) for _ in range(1 if quick else 5)]
        figures[name] = spread(seconds, subtract=True)
    rows = [[n, f["median"], f["min"], f["high"]] for n, f in figures.items()]
    title = f"Seconds to the second model's answer, deadline {DEADLINE:g} s"
    table(title, ["first model", "median", "least", "75 %"], rows)
    return figures


def _first_call(endpoint: str, healthy: str) -> float:
    second = on_pin(_pin("second", healthy), reserve=0.5)

    @fallback_chain(second, static(LAST), deadline=DEADLINE)
    @contract(Person)
    @pinned(_pin("first", endpoint))
    def ask(text: str, *, model: Model = INJECTED) -> Person:
        return model.complete(text)

    with use_runtime(Runtime()):
        began = time.perf_counter()
        answer = ask("a ticket")
        seconds = time.perf_counter() - began
    if answer == LAST:
        raise SystemExit(f"{endpoint}: the second model did not answer")
    return seconds


def main() -> None:
    asked = options(__doc__ or "")
    with stub() as url:
        figures, about = ratios(url, quick=asked.quick)
        times = failover(url, quick=asked.quick)
    report({"ratios": figures, "failover_s": times}, about, asked.json)


if __name__ == "__main__":
    main()
