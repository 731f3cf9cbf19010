"""Guarded streams as server-sent events, provisional until their verdict.

    event: chunk      data: {"text": "..."}            provisional
    event: verdict    data: {"kind": "ok", "tier": "triage", "degraded": false}

A contract is final only at a stream's end. Until then a caller shows what it gets as
provisional; the last event says whether it may stay. When the stream fails or breaks
its contract after the first chunk, `broken` decides:

* `"retract"`: a `verdict` event with another kind than `ok` and `"keep": false`; the
  caller removes what it showed.
* `"keep"`: the same with `"keep": true`: what came so far may stay, marked incomplete.
* a function of the error: what it returns is sent as `event: replace`.

Before the first chunk nothing was sent: lower tiers answer, a ticket is a 202.
`stream="buffer"` of `@fallback_chain` holds everything back until the verdict is known.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
)
from typing import Final, Literal, TypeAlias

from ..errors import CallError, Deferred, FallbackExhaustedError
from ..guard import current_outcome
from ..outcome import Outcome

__all__ = ["Broken", "aframes", "frames"]

Broken: TypeAlias = Literal["retract", "keep"] | Callable[[Exception], object]
"""What becomes of a stream that breaks after its first chunk; see the module."""

_BEAT: Final = b": still here\n\n"
_OURS: Final = (CallError, FallbackExhaustedError, Deferred)


def frames(stream: Iterable[object], *, broken: Broken = "retract") -> Iterator[bytes]:
    """Return the events of a sync stream, having waited for its first chunk.

    Args:
        stream: What a guarded generator function returned.
        broken: What becomes of a stream that breaks after its first chunk.

    Raises:
        Deferred: A person will answer.
        CallError, FallbackExhaustedError: Nothing answered; nothing was sent.
    """
    chunks = iter(stream)
    try:
        first = [next(chunks)]
    except StopIteration:
        first = []
    return _frames(first, chunks, broken)


def _frames(
    first: list[object], chunks: Iterator[object], broken: Broken
) -> Iterator[bytes]:
    try:
        for chunk in itertools.chain(first, chunks):
            yield _event("chunk", {"text": chunk})
        yield _verdict(current_outcome(), keep=True)
    except _OURS as error:
        yield from _ending(error, broken)
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()


async def aframes(
    stream: AsyncIterable[object],
    *,
    broken: Broken = "retract",
    heartbeat: float = 15.0,
) -> AsyncIterator[bytes]:
    """Return the events of an async stream, having waited for its first chunk.

    Args:
        stream: What a guarded async generator function returned.
        broken: What becomes of a stream that breaks after its first chunk.
        heartbeat: Seconds without a chunk after which a comment keeps proxies from
            closing the connection.

    Raises:
        Deferred: A person will answer.
        CallError, FallbackExhaustedError: Nothing answered; nothing was sent.
    """
    chunks = aiter(stream)
    try:
        first = [await anext(chunks)]
    except StopAsyncIteration:
        first = []
    return _aframes(first, chunks, broken, heartbeat)


async def _aframes(
    first: list[object],
    chunks: AsyncIterator[object],
    broken: Broken,
    heartbeat: float,
) -> AsyncIterator[bytes]:
    try:
        for chunk in first:
            yield _event("chunk", {"text": chunk})
        while first:
            pulling = asyncio.ensure_future(_pull(chunks))
            try:
                while not (await asyncio.wait([pulling], timeout=heartbeat))[0]:
                    yield _BEAT
            finally:
                if not pulling.done():
                    pulling.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await pulling
            chunk, outcome = pulling.result()
            if chunk is _END:
                yield _verdict(outcome, keep=True)
                return
            yield _event("chunk", {"text": chunk})
        yield _verdict(current_outcome(), keep=True)
    except _OURS as error:
        for frame in _ending(error, broken):
            yield frame
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            await close()


_END: Final = object()


async def _pull(chunks: AsyncIterator[object]) -> tuple[object, Outcome | None]:
    """Get a chunk; at the end, the outcome that the stream left in this context."""
    chunk = await anext(chunks, _END)
    return chunk, current_outcome() if chunk is _END else None


def _ending(error: Exception, broken: Broken) -> Iterator[bytes]:
    """Say that the stream is broken, without a word of what it said."""
    kind = str(getattr(error, "kind", "exhausted"))
    if not isinstance(broken, str):
        yield _event("replace", {"value": broken(error)})
        yield _event("verdict", {"kind": kind, "keep": False, "replaced": True})
        return
    yield _event("verdict", {"kind": kind, "keep": broken == "keep"})


def _verdict(outcome: Outcome | None, *, keep: bool) -> bytes:
    if outcome is None:
        return _event("verdict", {"kind": "ok", "keep": keep})
    return _event(
        "verdict",
        {
            "kind": str(outcome.kind),
            "keep": keep,
            "tier": outcome.tier,
            "degraded": outcome.degraded,
            "version": outcome.pin,
            "call": outcome.call_id,
        },
    )


def _event(name: str, data: object) -> bytes:
    # JSON has no line breaks of its own, so one `data:` line always suffices.
    text = json.dumps(data, ensure_ascii=False, default=_plain)
    return f"event: {name}\ndata: {text}\n\n".encode()


def _plain(value: object) -> object:
    dump = getattr(value, "model_dump", None)
    return dump(mode="json") if callable(dump) else str(value)
