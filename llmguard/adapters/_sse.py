"""Listens to a stream of server-sent events that somebody else reads.

The bytes go on untouched; what the events amount to is told when the stream ends, or is
closed after the event that ends it. Nothing here can fail the reader.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ..reply import Reply
    from ._openai_stream import Accumulator

__all__ = ["Ear", "overheard"]

_NO_EVENT: Final = (b"", b"[DONE]")
_LONGEST: Final = 8 << 20
"""Bytes of one line; a stream with a longer one is not listened to."""


class Ear:
    """Puts the events of one stream together as they pass.

    Args:
        events: Where each event goes.
        told: Called once with the reply; not at all where the stream was cut.
    """

    def __init__(self, events: Accumulator, told: Callable[[Reply], None]) -> None:
        self._events: Accumulator | None = events
        self._told = told
        self._rest = b""

    def hear(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._events is None:
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line(line.strip())
        if len(self._rest) > _LONGEST:
            self._events, self._rest = None, b""

    def _line(self, line: bytes) -> None:
        head, _, text = line.partition(b":")
        if head != b"data" or self._events is None or text.strip() in _NO_EVENT:
            return
        try:
            self._events.feed(json.loads(text))
        except Exception:  # noqa: BLE001 - the reader's own SDK says what is wrong
            self._events = None

    def end(self) -> None:
        """Tell what was heard; a second time does nothing."""
        events, self._events = self._events, None
        if events is None:
            return
        try:
            reply = events.finish()
        except Exception:  # noqa: BLE001 - cut off, no answer, or no sense
            return
        self._told(reply)


class _Overheard:
    """A response body that somebody listens to."""

    def __init__(self, stream: Any, ear: Ear) -> None:
        self._stream = stream
        self._ear = ear

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _SyncOverheard(_Overheard):
    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            self._ear.hear(chunk)
            yield chunk
        self._ear.end()

    def close(self) -> None:
        self._ear.end()
        self._stream.close()


class _AsyncOverheard(_Overheard):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            self._ear.hear(chunk)
            yield chunk
        self._ear.end()

    async def aclose(self) -> None:
        self._ear.end()
        await self._stream.aclose()


def overheard(response: Any) -> type[Any] | None:
    """Return the kind of body to listen with; None where there is nothing to hear.

    A compressed stream is left alone: httpx unpacks it further up.
    """
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    packed = response.headers.get("content-encoding", "identity").lower()
    if not response.is_success or kind != "text/event-stream" or packed != "identity":
        return None
    is_async = hasattr(response.stream, "__aiter__")
    return _AsyncOverheard if is_async else _SyncOverheard
