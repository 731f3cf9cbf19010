"""One HTTP exchange over ASGI: notices that the caller left, adds headers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias

__all__ = ["Connection"]

_Message: TypeAlias = MutableMapping[str, Any]
_SOON: Final = 0.05
"""Seconds after which somebody looks whether the caller is still there: who answers
sooner, without reading the request, is spared the task."""
_AHEAD: Final = 64 * 1024
"""Bytes of a body read before the application asks; then the sender has to wait."""


class Connection:
    """Stands between the server and the application for one request.

    Servers tell that the caller left to whoever asks for the next message, and many
    applications never ask: so one small task reads ahead, and when the caller leaves
    it cancels the task that serves the request. A model then stops working for
    nobody, and guarded calls count that as nothing.

    Args:
        receive: The server's.
        send: The server's.
        extra: Gives the headers to add once the response starts.

    Attributes:
        started: True once the application has begun its response.
    """

    def __init__(
        self,
        receive: Callable[[], Awaitable[_Message]],
        send: Callable[[_Message], Awaitable[None]],
        *,
        extra: Callable[[], list[tuple[str, str]]],
    ) -> None:
        self._receive = receive
        self._send = send
        self._extra = extra
        self.started = False
        self._finished = False
        self._left = False
        self._task: asyncio.Task[Any] | None = None
        self._reader: asyncio.Task[None] | None = None
        self._read: deque[_Message] = deque()
        self._ahead = 0
        self._arrived = asyncio.Event()
        self._taken = asyncio.Event()
        self._gone: _Message | None = None
        self._problem: Exception | None = None

    async def run(
        self, app: Callable[..., Awaitable[None]], scope: MutableMapping[str, Any]
    ) -> None:
        """Run the application in this task, until it ends or the caller leaves."""
        self._task = asyncio.current_task()
        soon = asyncio.get_running_loop().call_later(_SOON, self._look)
        try:
            await app(scope, self.receive, self.send)
        except asyncio.CancelledError:
            # Somebody else may cancel this task as well: that one is passed on.
            if not self._left or self._task is None or self._task.uncancel():
                raise
        finally:
            self._finished = True
            soon.cancel()
            if self._reader is not None:
                self._reader.cancel()

    async def receive(self) -> _Message:
        """Give the application the next message; at the end, that the caller left."""
        self._watch()
        while not self._read:
            if self._gone is not None:
                return self._gone
            if self._problem is not None:
                raise self._problem
            self._arrived.clear()
            await self._arrived.wait()
        message = self._read.popleft()
        self._ahead -= len(message.get("body", b""))
        self._taken.set()
        return message

    async def send(self, message: _Message) -> None:
        """Pass the application's message on, with headers of ours at the start."""
        if message["type"] == "http.response.start":
            self.started = True
            added = [
                (name.lower().encode("latin-1"), value.encode("latin-1"))
                for name, value in self._extra()
            ]
            own = {name for name, _ in added}
            kept = [pair for pair in message.get("headers", ()) if pair[0] not in own]
            message = {**message, "headers": [*kept, *added]}
        elif message["type"] == "http.response.body" and not message.get("more_body"):
            self._finished = True
        await self._send(message)

    def _look(self) -> None:
        if not self._finished:
            self._watch()

    def _watch(self) -> None:
        if self._reader is None:
            reading = self._read_ahead()
            self._reader = asyncio.create_task(reading, name="llmguard-request")

    async def _read_ahead(self) -> None:
        try:
            while (message := await self._receive())["type"] != "http.disconnect":
                self._read.append(message)
                self._ahead += len(message.get("body", b""))
                self._arrived.set()
                while self._ahead > _AHEAD:
                    self._taken.clear()
                    await self._taken.wait()
        except Exception as error:  # noqa: BLE001 - the application's to see
            self._problem = error
        else:
            self._gone = message
            self._end()
        self._arrived.set()

    def _end(self) -> None:
        if not self._finished and self._task is not None:
            self._left = True
            self._task.cancel("the caller closed the connection")
