"""One endpoint that answers: from bytes to bytes, with the client watched."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse

from llmguard.reply import Reply

from ._asked import Asked, Head, Reader, Shape
from ._desk import Desk
from ._door import read_json
from ._errors import ApiError
from ._targets import Served

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from ..local import Unenforced

__all__ = ["Endpoint"]

_GONE: Final = 499
"""No answer was sent: the client left (a status that nginx made common)."""
_STREAM: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An ASGI application for one of the two APIs.

    Attributes:
        api: Its name in metrics.
        desk: Answers.
        read: Reads a request.
        shape: Writes the answer.
        now: Unix time in seconds.
        clock: Monotonic time in seconds.
        new_id: Makes unique texts.
    """

    api: str
    desk: Desk
    read: Reader
    shape: Callable[[Head], Shape]
    now: Callable[[], float]
    clock: Callable[[], float]
    new_id: Callable[[], str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        exchange = _Exchange(send=send)
        try:
            await self._handle(Request(scope, receive), exchange)
        except ClientDisconnect:
            exchange.status = _GONE
            self.desk.metrics.gone(exchange.model)
        except ApiError as error:
            await exchange.refuse(error, scope, receive)
        finally:
            self.desk.metrics.request(
                model=exchange.model, api=self.api, status=exchange.status
            )

    async def _handle(self, request: Request, exchange: _Exchange) -> None:
        settings = self.desk.settings
        body = await read_json(request, settings)
        asked = self.read(body, settings.max_tokens)
        served = self.desk.find(asked.model)
        exchange.model = served.name
        with self.desk.place(served):
            exchange.checked_after(await self.desk.check(asked))
            head = Head(id=self.new_id(), created=int(self.now()), asked=asked)
            shape = self.shape(head)
            answer = self._stream if asked.stream else self._whole
            await _unless_gone(request.receive, answer(served, asked, shape, exchange))

    async def _whole(
        self, served: Served, asked: Asked, shape: Shape, exchange: _Exchange
    ) -> None:
        start = self.clock()
        reply = await self.desk.whole(served, asked)
        self._count(served, reply, start)
        await exchange.json(shape.whole(reply))

    async def _stream(
        self, served: Served, asked: Asked, shape: Shape, exchange: _Exchange
    ) -> None:
        start = self.clock()
        try:
            async with aclosing(self.desk.pieces(served, asked)) as pieces:
                async for chunk in pieces:
                    # A failure before the first piece still has a status of its own.
                    if not exchange.begun:
                        self.desk.metrics.began(served.name, self.clock() - start)
                        await exchange.begin(shape.opening())
                    if chunk.text:
                        await exchange.write(shape.delta(chunk.text))
                    if chunk.reply is not None:
                        self._count(served, chunk.reply, start)
                        await exchange.write(shape.closing(chunk.reply))
        except ApiError as error:
            if not exchange.begun:
                raise
            await exchange.write(shape.failed(error))
        await exchange.end()

    def _count(self, served: Served, reply: Reply, start: float) -> None:
        metrics, usage = self.desk.metrics, reply.usage
        metrics.answered(served.name, self.clock() - start)
        if usage is not None:
            metrics.tokens(
                served.name,
                read=usage.input_tokens or 0,
                written=usage.output_tokens or 0,
            )


@dataclass(slots=True, kw_only=True)
class _Exchange:
    """What was sent so far."""

    send: Send
    model: str = ""
    status: int = 500
    begun: bool = False
    headers: dict[str, str] = field(default_factory=dict[str, str])

    def checked_after(self, found: tuple[Unenforced, ...]) -> None:
        """Name the keywords that were held by drawing again, not by the grammar."""
        if found:
            names = sorted({f"{u.keyword} {u.path or '#'}" for u in found})
            text = ", ".join(names)[:500]
            self.headers["llmguard-checked-after"] = text.encode(
                "ascii", "replace"
            ).decode()

    async def json(self, body: dict[str, Any]) -> None:
        """Send a whole answer."""
        self.status = 200
        response = JSONResponse(body, headers=self.headers)
        await response({"type": "http"}, _nothing, self.send)

    async def begin(self, events: Iterable[bytes]) -> None:
        """Send the head and the first events of a stream."""
        self.status, self.begun = 200, True
        extra = [(k.encode(), v.encode()) for k, v in self.headers.items()]
        await self.send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [*_STREAM, *extra],
            }
        )
        await self.write(events)

    async def write(self, events: Iterable[bytes]) -> None:
        """Send events."""
        body = b"".join(events)
        await self.send({"type": "http.response.body", "body": body, "more_body": True})

    async def end(self) -> None:
        """End a stream."""
        await self.send({"type": "http.response.body", "body": b"", "more_body": False})

    async def refuse(self, error: ApiError, scope: Scope, receive: Receive) -> None:
        """Send an error instead of an answer."""
        self.status = error.status
        response = JSONResponse(
            error.body(), status_code=error.status, headers=error.headers()
        )
        await response(scope, receive, self.send)


async def _nothing() -> Any:
    return {"type": "http.disconnect"}


async def _unless_gone(receive: Receive, work: Coroutine[Any, Any, None]) -> None:
    """Run `work`, and cancel it as soon as the client leaves.

    Raises:
        ClientDisconnect: The client left first; the model was stopped.
    """
    task = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        task.result()
    finally:
        task.cancel()
        watch.cancel()
        await asyncio.gather(task, watch, return_exceptions=True)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
