"""What a fake says, call by call: plain answers, and the ways a model goes wrong."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from ..clock import Clock
from ..errors import ConfigError
from ..reply import Reply, ToolCall
from ._answers import OTHER_MODEL, REFUSAL_TEXT

__all__ = [
    "Cut",
    "Empty",
    "Filtered",
    "Hang",
    "HttpError",
    "Refusal",
    "Script",
    "Slow",
    "ToolUse",
    "Truncated",
    "Turn",
    "WrongModel",
    "special_reply",
]

_FOREVER: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """The refusal field is set, and there is no answer."""

    text: str = REFUSAL_TEXT


@dataclass(frozen=True, slots=True)
class Truncated:
    """The answer stops at the token limit."""

    text: str = '{"answer": "unfin'


@dataclass(frozen=True, slots=True)
class Filtered:
    """A content filter took the answer."""


@dataclass(frozen=True, slots=True)
class Empty:
    """An empty string."""


@dataclass(frozen=True, slots=True)
class WrongModel:
    """Another version than the pinned one answers."""

    model: str = OTHER_MODEL
    answer: object = "ok"


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A tool call instead of text; `arguments` is JSON text."""

    name: str
    arguments: str = "{}"


@dataclass(frozen=True, slots=True)
class Cut:
    """A stream delivers `text` and breaks; a plain call breaks at once."""

    text: str = ""


@dataclass(frozen=True, slots=True)
class Hang:
    """No answer until the caller's time is up; then `TimeoutError`."""


@dataclass(frozen=True, slots=True)
class Slow:
    """The answer comes after `seconds`, or not if the caller's time is up first."""

    seconds: float
    answer: object = "ok"


class HttpError(Exception):
    """A provider's error status, in the shape that SDK errors have.

    Args:
        status_code: The HTTP status.
        code: The provider's error code, such as `insufficient_quota`.
        retry_after: Seconds that the provider asks to wait.
    """

    def __init__(
        self, status_code: int, *, code: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(f"HTTP {status_code} {code}".rstrip())
        self.status_code = status_code
        self.code = code
        self.headers: Mapping[str, str] = (
            {} if retry_after is None else {"retry-after": f"{retry_after:g}"}
        )
        self.body = {"error": {"code": code or None, "message": "fake"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One entry of a script, resolved for one call.

    Attributes:
        answer: What to say once `delay` is over; exceptions are raised.
        delay: Seconds before that; infinite for a hang.
    """

    answer: object
    delay: float = 0.0

    def waits(self, timeout: float | None) -> tuple[float, bool]:
        """Return the seconds to wait, and whether the caller's time runs out."""
        limit = _FOREVER if timeout is None else max(0.0, timeout)
        return min(self.delay, limit), self.delay > limit


class Script:
    """Hands out entries in order, the last one again and again; thread-safe.

    Args:
        entries: A list of entries, or one entry.
    """

    def __init__(self, entries: object) -> None:
        listed = isinstance(entries, list)
        self._entries = list(cast("list[object]", entries)) if listed else [entries]
        if not self._entries:
            raise ConfigError("the script is empty; give at least one reply")
        self._lock = threading.Lock()
        self._released = threading.Event()

    def next(self, call: object) -> Turn:
        """Return the entry for `call`; functions in the script are called with it."""
        with self._lock:
            more = len(self._entries) > 1
            entry = self._entries.pop(0) if more else self._entries[0]
        return _turn(entry, call)

    def wait(self, seconds: float, clock: Clock | None) -> None:
        """Block for `seconds`; without a clock, `release` ends it early."""
        if clock is not None:
            clock.sleep(seconds)
        else:
            self._released.wait(seconds)

    def release(self) -> None:
        """Let everyone go who waits on this script, now and later."""
        self._released.set()


def _turn(entry: object, call: object) -> Turn:
    if isinstance(entry, Hang):
        return Turn(answer=None, delay=math.inf)
    if isinstance(entry, Slow):
        inner = _turn(entry.answer, call)
        return Turn(answer=inner.answer, delay=entry.seconds + inner.delay)
    if isinstance(entry, type):
        return Turn(answer=cast("type[object]", entry)())  # `raise TimeoutError` style
    if callable(entry):
        return _turn(cast("Callable[[Any], object]", entry)(call), call)
    return Turn(answer=entry)


def special_reply(answer: object, *, model: str | None) -> Reply | None:
    """Return the `Reply` of an entry that stands for a fault; None for others.

    Raises:
        BaseException: The entry is an exception, or a cut.
    """
    match answer:
        case BaseException():
            raise answer.with_traceback(None)
        case Cut():
            raise ConnectionResetError("the scripted connection was cut")
        case Reply():
            return answer
        case _:
            fields = _fields(answer)
            return None if fields is None else Reply(served_model=model, **fields)


def _fields(answer: object) -> dict[str, Any] | None:
    match answer:
        case Refusal(text):
            fields: dict[str, Any] = {"refusal": text, "finish_reason": "stop"}
        case Truncated(text):
            fields = {"text": text, "finish_reason": "length"}
        case Filtered():
            fields = {"finish_reason": "content_filter"}
        case Empty():
            fields = {"text": "", "finish_reason": "stop"}
        case ToolUse(name, arguments):
            calls = (ToolCall(id="call_fake_1", name=name, arguments=arguments),)
            fields = {"finish_reason": "tool_calls", "tool_calls": calls}
        case _:
            return None
    return fields
