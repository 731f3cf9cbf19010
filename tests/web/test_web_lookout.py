"""One timer watches over all requests, and only over those that take their time."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any

from llmguard.testing import run_virtual
from llmguard.web._connection import Connection, Lookout

Message = MutableMapping[str, Any]
WHOSE: ContextVar[float] = ContextVar("whose")


class _Exchange:
    """One request to an application that takes some time and never reads."""

    def __init__(self, lookout: Lookout, seconds: float) -> None:
        self.asked: list[float] = []
        self.whose: float | None = None
        self._lookout, self._seconds = lookout, seconds
        self._began = asyncio.get_running_loop().time()

    async def run(self) -> None:
        WHOSE.set(self._seconds)
        connection = Connection(self._receive, self._send, extra=list)
        await connection.run(self._app, {}, self._lookout)

    async def _app(self, *_: Any) -> None:
        await asyncio.sleep(self._seconds)

    async def _receive(self) -> Message:
        self.asked.append(asyncio.get_running_loop().time() - self._began)
        self.whose = WHOSE.get()
        return await asyncio.get_running_loop().create_future()

    async def _send(self, message: Message) -> None: ...


def test_only_slow_requests_are_watched() -> None:
    """The server is asked of a caller once a request is not answered soon."""

    async def main() -> list[_Exchange]:
        lookout = Lookout(asyncio.get_running_loop())
        exchanges = [_Exchange(lookout, seconds) for seconds in (0.01, 0.2, 0.04, 0.3)]
        async with asyncio.TaskGroup() as group:
            for exchange in exchanges:
                group.create_task(exchange.run())
        return exchanges

    quick, slow, quick_too, slow_too = run_virtual(main())
    assert [] == quick.asked == quick_too.asked
    for exchange, seconds in ((slow, 0.2), (slow_too, 0.3)):
        (at,) = exchange.asked
        assert 0.0499 <= at < 0.07
        assert seconds == exchange.whose, "each in the context of its own request"


def test_a_late_request_is_watched_too() -> None:
    """Whatever came before it, every slow request is looked at within its moment."""

    async def main() -> list[list[float]]:
        lookout = Lookout(asyncio.get_running_loop())
        exchanges: list[_Exchange] = []
        async with asyncio.TaskGroup() as group:
            for number in range(200):
                each = _Exchange(lookout, 0.5 if number % 3 else 0.001)
                exchanges.append(each)
                group.create_task(each.run())
                await asyncio.sleep(0.004)
            await asyncio.sleep(5)
            last = _Exchange(lookout, 0.5)
            exchanges.append(last)
            group.create_task(last.run())
        return [exchange.asked for exchange in exchanges]

    *found, last = run_virtual(main())
    for number, asked in enumerate(found):
        assert bool(number % 3) == bool(asked)
        assert all(0.0499 <= at < 0.07 for at in asked)
    assert 1 == len(last)
