"""Does to one attempt what a fault says, at the place where the model is called."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast

from ..adapters import read_reply
from ..errors import TierFailedError
from ..outcome import Kind
from ..reply import Reply
from ._plan import Fault

if TYPE_CHECKING:
    from ..guard._commands import Run

__all__ = ["ProviderError", "ahit", "hit"]

_REFUSAL: Final = "I'm sorry, but I can't help with that."
_OTHER: Final = "some-other-model"
_STATUS: Final = {"throttled": 429, "auth": 401, "gone": 404}
_BY_TIME: Final = frozenset({"delay", "hang"})
_PAST: Final = 0.5
"""Seconds beyond the attempt that a hang lasts: its thread must end some time."""


class ProviderError(Exception):
    """A provider's error as its SDK would raise it: status and headers.

    Args:
        status_code: The HTTP status.
        retry_after: Seconds for `Retry-After`; 0 for none.
    """

    def __init__(self, status_code: int, *, retry_after: float = 0.0) -> None:
        super().__init__(f"chaos: HTTP {status_code}")
        self.status_code = status_code
        self.headers = {"retry-after": f"{retry_after:g}"} if retry_after else {}
        code = "model_not_found" if status_code == _STATUS["gone"] else None
        self.body = {"error": {"code": code, "message": "chaos"}}


def hit(fault: Fault, run: Run, late: float, call: Callable[[], object]) -> object:
    """Run a sync attempt, or open a stream, under a fault.

    Args:
        fault: The fault.
        run: The attempt.
        late: Seconds that its answer is late.
        call: Runs the attempt as it would be without the fault.
    """
    _refuse(fault)
    if fault.do == "hang" and not run.call.guard.is_stream:
        _sleep(run, max(0.0, run.remaining()) + _PAST)
    value = call()
    if isinstance(value, AsyncIterator):
        return _aspoiled(fault, run, late, cast("AsyncIterator[object]", value))
    if isinstance(value, Iterator):
        return _spoiled(fault, run, late, cast("Iterator[object]", value))
    if late:
        _sleep(run, late)
    return _changed(fault, value)


async def ahit(
    fault: Fault, run: Run, late: float, call: Callable[[], Awaitable[object]]
) -> object:
    """Run an async attempt under a fault; arguments are those of `hit`."""
    _refuse(fault)
    clock = run.call.clock
    if fault.do == "hang":
        await clock.asleep(max(0.0, run.remaining()) + _PAST)
    value = await call()
    if late:
        await clock.asleep(late)
    return _changed(fault, value)


def _sleep(run: Run, seconds: float) -> None:
    run.call.clock.sleep(seconds)


def _refuse(fault: Fault) -> None:
    """Raise what a fault raises instead of calling the model."""
    if fault.do in _STATUS:
        raise ProviderError(_STATUS[fault.do], retry_after=fault.seconds)
    if fault.do == "transport":
        raise ConnectionError("chaos: the connection failed")


def _changed(fault: Fault, value: Any) -> Any:
    """Return what a fault makes of a whole answer."""
    if fault.do in _BY_TIME:
        return value
    if fault.do == "cut":
        raise ConnectionError("chaos: the connection was cut")
    reply = value if isinstance(value, Reply) else read_reply(value)
    text = reply.text or ""
    empty = replace(reply, text=None, value=None, has_value=False, raw=None)
    if fault.do == "change":
        change = cast("Any", fault.change)
        if reply.has_value:
            return replace(empty, value=change(reply.value), has_value=True)
        return replace(empty, text=change(text))
    return {
        "refusal": lambda: replace(empty, refusal=_REFUSAL),
        "filtered": lambda: replace(empty, finish_reason="content_filter"),
        "empty": lambda: replace(empty, text=""),
        "truncated": lambda: replace(
            empty, text=text[: len(text) // 2], finish_reason="length"
        ),
        "bad_json": lambda: replace(empty, text=f'{{"{text[:20]}'),
        "wrong_model": lambda: replace(reply, served_model=_OTHER),
    }[fault.do]()


def _spoiled(
    fault: Fault, run: Run, late: float, chunks: Iterator[object]
) -> Iterator[object]:
    """Hand a stream's chunks on until the fault ends it."""
    try:
        if fault.do == "hang":
            _sleep(run, max(0.0, run.remaining()) + _PAST)
        if late:
            _sleep(run, late)
        for number, chunk in enumerate(chunks):
            if number >= fault.chunks and fault.do not in _BY_TIME:
                break
            yield chunk
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
    _break_off(fault)


async def _aspoiled(
    fault: Fault, run: Run, late: float, chunks: AsyncIterator[object]
) -> AsyncIterator[object]:
    """Do to an async stream what `_spoiled` does to a sync one."""
    clock = run.call.clock
    number = 0
    try:
        if fault.do == "hang":
            await clock.asleep(max(0.0, run.remaining()) + _PAST)
        if late:
            await clock.asleep(late)
        async for chunk in chunks:
            if number >= fault.chunks and fault.do not in _BY_TIME:
                break
            number += 1
            yield chunk
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            await close()
    _break_off(fault)


def _break_off(fault: Fault) -> None:
    """End a stream as the fault says; what was handed on cannot be changed."""
    if fault.do in _BY_TIME:
        return
    if fault.do == "cut":
        raise ConnectionError("chaos: the connection was cut")
    kind = Kind.SEMANTIC if fault.do == "change" else Kind(fault.do)
    raise TierFailedError(f"chaos: the stream ended in `{fault.do}`", kind=kind)
