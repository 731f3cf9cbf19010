"""One worker of `queue_bench.py`: asks, takes and answers on one library's queue.

Runs in the environment that has the library. Each line on stdin is a number of seconds
to work; the answer is one line of JSON: the seconds of every step.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

TEXT = "x" * 900
Steps = dict[str, list[float]]


def llmguard(url: str) -> Callable[[Steps], bool]:
    """A ticket with its events, as the human tier makes them."""
    from llmguard.store import NewTicket, new_id, open_store

    store = open_store(url)

    def cycle(took: Steps) -> bool:
        one = new_id(time.time())
        new = NewTicket(id=one, queue="q", key=one, fingerprint=one, inputs={"t": TEXT})
        a = time.perf_counter()
        store.tickets.enqueue(new)
        b = time.perf_counter()
        ticket = store.tickets.claim(reviewer="bench", queue="q")
        c = time.perf_counter()
        if ticket is None:
            return False
        store.tickets.answer(ticket.id, 1, reviewer="bench", token=ticket.lease_token)
        _note(took, a, b, c, time.perf_counter())
        return True

    return cycle


def huey(path: str) -> Callable[[Steps], bool]:
    """A task whose result is stored; each step durable (`fsync=True`)."""
    from huey import SqliteHuey  # type: ignore[import-not-found]  # in its own environment

    queue = SqliteHuey(filename=path, fsync=True, timeout=60)

    @queue.task()  # type: ignore[untyped-decorator]  # an untyped library
    def answered(text: str) -> int:
        return len(text)

    def cycle(took: Steps) -> bool:
        a = time.perf_counter()
        queue.enqueue(answered.s(TEXT))
        b = time.perf_counter()
        task = queue.dequeue()
        c = time.perf_counter()
        if task is None:
            return False
        queue.execute(task)
        _note(took, a, b, c, time.perf_counter())
        return True

    return cycle


async def procrastinate(url: str) -> Callable[[Steps], Awaitable[bool]]:
    """A job deferred, fetched and finished, with its events."""
    from procrastinate import App, PsycopgConnector  # type: ignore[import-not-found]  # in its own environment
    from procrastinate.jobs import Status  # type: ignore[import-not-found]  # likewise

    app = App(connector=PsycopgConnector(conninfo=url, min_size=1, max_size=2))

    @app.task(queue="q")  # type: ignore[untyped-decorator]  # not installed here
    async def answered(text: str) -> int:
        return len(text)

    await app.open_async()
    jobs = app.job_manager
    worker = await jobs.register_worker()

    async def cycle(took: Steps) -> bool:
        a = time.perf_counter()
        await answered.defer_async(text=TEXT)
        b = time.perf_counter()
        job = await jobs.fetch_job(["q"], worker)
        c = time.perf_counter()
        if job is None:
            return False
        await jobs.finish_job(job, Status.SUCCEEDED, delete_job=False)
        _note(took, a, b, c, time.perf_counter())
        return True

    return cycle


def _note(took: Steps, a: float, b: float, c: float, d: float) -> None:
    took["enqueue"].append(b - a)
    took["claim"].append(c - b)
    took["answer"].append(d - c)


def _empty() -> Steps:
    return {"enqueue": [], "claim": [], "answer": []}


def serve(cycle: Callable[[Steps], bool]) -> None:
    """Work as long as each line says."""
    cycle(_empty())
    print("ready", flush=True)
    for line in sys.stdin:
        took = _empty()
        end = time.perf_counter() + float(line)
        while time.perf_counter() < end:
            cycle(took)
        print(json.dumps(took), flush=True)


async def aserve(url: str) -> None:
    """Work as long as each line says, in one event loop."""
    cycle = await procrastinate(url)
    await cycle(_empty())
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        took = _empty()
        end = time.perf_counter() + float(line)
        while time.perf_counter() < end:
            await cycle(took)
        print(json.dumps(took), flush=True)


def main(kind: str, url: str) -> Any:
    """Serve one library's queue."""
    if kind == "procrastinate":
        return asyncio.run(aserve(url))
    return serve({"llmguard": llmguard, "huey": huey}[kind](url))


if __name__ == "__main__" and sys.argv[2:]:
    main(sys.argv[1], sys.argv[2])
