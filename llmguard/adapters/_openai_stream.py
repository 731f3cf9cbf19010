"""Put streamed events together, and notice when a stream ended before its end.

Both accumulators are fed events and return the text each one added; `finish` returns
the whole reply, or raises when the provider never said that it was done. They do no
I/O, so one of each serves sync and async.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from ..errors import TierFailedError
from ..outcome import Kind
from ..reply import Reply
from ._duck import get, get_int, get_list, get_text
from ._reply_chat import read_chat
from .classify import failure_from_body
from .replies import read_answer, reply_failure

if TYPE_CHECKING:
    from ..pins import Pin

__all__ = ["Accumulator", "ChatStream", "ResponsesStream", "require_answer"]


class Accumulator(Protocol):
    """What turns events into a reply."""

    def feed(self, event: object) -> str:
        """Take one event; return the text it added."""
        ...

    def finish(self) -> Reply:
        """Return the reply; raise `TierFailedError` when the stream was cut."""
        ...


def require_answer(reply: Reply, pin: Pin) -> Reply:
    """Return the reply, or raise when it holds no answer."""
    failure = reply_failure(reply)
    if failure is None:
        return reply
    raise TierFailedError(
        f"{pin.provider!r} gave no answer for pin {pin.route!r}: {failure.detail}",
        kind=failure.kind,
        pin=pin.id,
    )


def _cut(pin: Pin, *, started: bool) -> TierFailedError:
    """Return the error of a stream that ended in good order, but too early.

    Half an answer is a truncated one; nothing at all is no exchange. A connection that
    broke never gets here: the SDK raises.
    """
    return TierFailedError(
        f"the stream for pin {pin.route!r} ended before the provider said it was done",
        kind=Kind.TRUNCATED if started else Kind.TRANSPORT,
        pin=pin.id,
    )


class ChatStream:
    """Chunks of Chat Completions; done when a chunk carries a `finish_reason`."""

    def __init__(self, pin: Pin, confidence: str) -> None:
        self._pin = pin
        self._confidence = confidence
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._tools: dict[int, dict[str, Any]] = {}
        self._logprobs: list[Any] = []
        self._finish: str | None = None
        self._head: dict[str, Any] = {}

    def feed(self, event: object) -> str:
        """Take one chunk; return the text it added."""
        for name in ("model", "system_fingerprint", "usage"):
            value = get(event, name)
            if value:
                self._head[name] = value
        choices = get_list(event, "choices")
        if not choices:
            return ""
        choice = choices[0]
        self._finish = get_text(choice, "finish_reason") or self._finish
        self._logprobs += get_list(get(choice, "logprobs"), "content")
        return self._feed_delta(get(choice, "delta"))

    def _feed_delta(self, delta: object) -> str:
        self._refusal.append(get_text(delta, "refusal") or "")
        for call in get_list(delta, "tool_calls"):
            self._feed_tool(call)
        text = get_text(delta, "content") or ""
        self._text.append(text)
        return text

    def _feed_tool(self, call: object) -> None:
        index = get_int(call, "index") or 0
        held = self._tools.setdefault(index, {"id": "", "name": "", "arguments": ""})
        held["id"] = get_text(call, "id") or held["id"]
        function = get(call, "function")
        held["name"] += get_text(function, "name") or ""
        held["arguments"] += get_text(function, "arguments") or ""

    def finish(self) -> Reply:
        """Return the reply; raise `TierFailedError` when the stream was cut."""
        if self._finish is None:
            raise _cut(self._pin, started=any(self._text) or bool(self._tools))
        tools = [{"id": t["id"], "function": t} for t in self._tools.values()]
        message = {
            "content": "".join(self._text) or None,
            "refusal": "".join(self._refusal) or None,
            "tool_calls": tools,
        }
        choice = {
            "message": message,
            "finish_reason": self._finish,
            "logprobs": {"content": self._logprobs},
        }
        chat = {**self._head, "object": "chat.completion", "choices": [choice]}
        return require_answer(read_chat(chat, self._confidence), self._pin)


class ResponsesStream:
    """Events of Responses; done at `completed`, `incomplete` or `failed`."""

    def __init__(self, pin: Pin, confidence: str) -> None:
        self._pin = pin
        self._confidence = confidence
        self._response: object = None
        self._started = False

    def feed(self, event: object) -> str:
        """Take one event; return the text it added."""
        kind = get_text(event, "type") or ""
        if kind == "response.output_text.delta":
            self._started = True
            return get_text(event, "delta") or ""
        if kind in {"response.completed", "response.incomplete", "response.failed"}:
            self._response = get(event, "response")
        elif kind == "error":
            failure = failure_from_body(event)
            raise TierFailedError(
                f"the stream for pin {self._pin.route!r} reported: {failure.detail}",
                kind=failure.kind,
                pin=self._pin.id,
            )
        return ""

    def finish(self) -> Reply:
        """Return the reply; raise `TierFailedError` when the stream was cut."""
        if self._response is None:
            raise _cut(self._pin, started=self._started)
        reply = read_answer(self._response, "responses", confidence=self._confidence)
        return require_answer(reply, self._pin)
