"""Load on a loopback port at a rate that does not wait for answers.

A request is due at its own time, whether or not the ones before it were answered, and
its latency counts from when it was due: a server that stalls is charged for everybody
who had to wait (no coordinated omission). Connections are kept and opened as needed.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

__all__ = ["Load", "get", "quantile", "run_load"]

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_LATE: Final = 30.0


@dataclass(slots=True)
class Load:
    """What became of the requests.

    Attributes:
        codes: Responses by status; 0 for broken connections and none in 30 s.
        seconds: Latency of each request, from when it was due.
        due: When each was due, seconds from the start.
        tiers: Responses by `X-LLMGuard-Tier`.
    """

    codes: Counter[int] = field(default_factory=Counter[int])
    seconds: list[float] = field(default_factory=list[float])
    due: list[float] = field(default_factory=list[float])
    tiers: Counter[str] = field(default_factory=Counter[str])

    def within(self, start: float, end: float) -> list[float]:
        """Return the latencies of requests due in that span."""
        pairs = zip(self.due, self.seconds, strict=True)
        return [took for due, took in pairs if start <= due < end]


class _Client(asyncio.Protocol):
    def __init__(self) -> None:
        self._buffer = b""
        self._waiting: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        found = _LENGTH.search(self._buffer, 0, end + 2)
        whole = end + 4 + (int(found[1]) if found else 0)
        if len(self._buffer) >= whole and self._waiting is not None:
            head, self._buffer = self._buffer[:whole], self._buffer[whole:]
            self._waiting.set_result(head)
            self._waiting = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(exc or ConnectionError("closed"))

    async def ask(self, request: bytes) -> bytes:
        if self.transport.is_closing():
            raise ConnectionError("closed")
        self._waiting = asyncio.get_running_loop().create_future()
        self.transport.write(request)  # type: ignore[attr-defined]  # a stream
        return await self._waiting


async def run_load(
    port: int, paths: Callable[[int], str], *, rate: float, seconds: float
) -> Load:
    """Send `rate` requests a second for some seconds, then wait for what is due.

    Args:
        port: On this machine.
        paths: Gives the path of the n-th request.
        rate: Requests a second, evenly spaced.
        seconds: How long.
    """
    loop = asyncio.get_running_loop()
    load, idle, tasks = Load(), deque[_Client](), set[asyncio.Task[None]]()
    began = loop.time()

    async def ask(text: bytes) -> tuple[_Client, bytes]:
        while idle:
            client = idle.pop()
            try:  # the server may just close what was idle
                return client, await client.ask(text)
            except ConnectionError:
                continue
        client = await _connect(port)
        return client, await client.ask(text)

    async def one(number: int, due: float) -> None:
        text = f"GET {paths(number)} HTTP/1.1\r\nhost: x\r\n\r\n".encode()
        try:
            async with asyncio.timeout(_LATE):
                client, head = await ask(text)
        except (OSError, TimeoutError):
            load.codes[0] += 1
        else:
            idle.append(client)
            load.codes[int(head[9:12])] += 1
            load.tiers[_tier(head)] += 1
        load.due.append(due - began)
        load.seconds.append(loop.time() - due)

    for number in range(int(rate * seconds)):
        due = began + number / rate
        if (pause := due - loop.time()) > 0:
            await asyncio.sleep(pause)
        task = loop.create_task(one(number, due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    for client in idle:
        client.transport.close()
    return load


async def get(port: int, path: str) -> bytes:
    """Return the response to one request, head and body."""
    client = await _connect(port)
    try:
        return await client.ask(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    finally:
        client.transport.close()


def quantile(values: Sequence[float], share: float) -> float:
    """Return a quantile of some values, 0 of none."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


async def _connect(port: int) -> _Client:
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(_Client, "127.0.0.1", port)
    return client


def _tier(head: bytes) -> str:
    found = re.search(rb"\r\nx-llmguard-tier: *([^\r]*)", head, re.IGNORECASE)
    return found[1].decode() if found else ""
