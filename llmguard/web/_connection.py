"""One HTTP exchange over ASGI: notices that the caller left, adds headers."""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import Context, copy_context
from typing import Any, Final, TypeAlias

__all__ = ["Connection", "Lookout", "wire_name"]

_Message: TypeAlias = MutableMapping[str, Any]
_SOON: Final = 0.05
"""Seconds after which somebody looks whether the caller is still there: who answers
sooner, without reading the request, is spared the task."""
_TICK: Final = 0.01
"""Seconds between two looks at least, however many requests there are."""
_AHEAD: Final = 64 * 1024
"""Bytes of a body read before the application asks; then the sender has to wait."""


@functools.lru_cache(maxsize=256)
def wire_name(name: str) -> bytes:
    """Return the name of a header as ASGI has it."""
    return name.lower().encode("latin-1")


class Lookout:
    """Looks after connections that take longer than a moment, with one timer for all.

    Args:
        loop: The event loop that serves them.
    """

    __slots__ = ("_context", "_timer", "_waiting", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._waiting: deque[tuple[float, Connection]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        # Of no request: each would keep the context of the one before it alive.
        self._context = Context()

    def add(self, connection: Connection) -> None:
        """Have a connection's `look` called soon."""
        due = self.loop.time() + _SOON
        self._waiting.append((due, connection))
        if self._timer is None:
            self._timer = self.loop.call_at(due, self._look, context=self._context)

    def _look(self) -> None:
        waiting, now = self._waiting, self.loop.time()
        while waiting and (waiting[0][0] <= now or waiting[0][1].finished):
            waiting.popleft()[1].look()
        self._timer = None
        if waiting:
            soonest = max(waiting[0][0], now + _TICK)
            self._timer = self.loop.call_at(soonest, self._look, context=self._context)


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
        finished: True once nobody needs to look for the caller any more.
    """

    __slots__ = (
        "_ahead",
        "_arrived",
        "_context",
        "_extra",
        "_gone",
        "_left",
        "_problem",
        "_read",
        "_reader",
        "_receive",
        "_send",
        "_taken",
        "_task",
        "finished",
        "started",
    )

    _ahead: int
    _arrived: asyncio.Event
    _read: deque[_Message]
    _taken: asyncio.Event

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
        self.started = self.finished = False
        self._left = False
        self._task: asyncio.Task[Any] | None = None
        self._context: Context | None = None
        self._reader: asyncio.Task[None] | None = None
        self._gone: _Message | None = None
        self._problem: Exception | None = None

    async def run(
        self,
        app: Callable[..., Awaitable[None]],
        scope: MutableMapping[str, Any],
        lookout: Lookout,
    ) -> None:
        """Run the application in this task, until it ends or the caller leaves."""
        self._task = asyncio.current_task()
        self._context = copy_context()
        lookout.add(self)
        try:
            await app(scope, self.receive, self.send)
        except asyncio.CancelledError:
            # Somebody else may cancel this task as well: that one is passed on.
            if not self._left or self._task is None or self._task.uncancel():
                raise
        finally:
            self.finished = True
            self._task = self._context = None
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
                (wire_name(name), value.encode("latin-1"))
                for name, value in self._extra()
            ]
            own = {name for name, _ in added}
            kept = [pair for pair in message.get("headers", ()) if pair[0] not in own]
            message = {**message, "headers": [*kept, *added]}
        elif message["type"] == "http.response.body" and not message.get("more_body"):
            self.finished = True
        await self._send(message)

    def look(self) -> None:
        """See from now on whether the caller leaves, unless it has its answer."""
        if not self.finished:
            self._watch()

    def _watch(self) -> None:
        if self._reader is None:
            self._read, self._ahead = deque(), 0
            self._arrived, self._taken = asyncio.Event(), asyncio.Event()
            reading = self._read_ahead()
            self._reader = asyncio.get_running_loop().create_task(
                reading, name="llmguard-request", context=self._context
            )

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
        if not self.finished and self._task is not None:
            self._left = True
            self._task.cancel("the caller closed the connection")
