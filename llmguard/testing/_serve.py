"""How each fault looks on the wire: one small function per fault."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from ._answers import ANSWER_FAULTS, Answer
from ._chat import chat_body, chat_events
from ._events import Events
from ._faults import FAULTS
from ._messages import messages_body, messages_error, messages_events
from ._responses import responses_body, responses_events
from ._wire import Wire

__all__ = ["Exchange", "error_json", "serve"]

_JSON: Final = {"content-type": "application/json"}
_SSE: Final = {"content-type": "text/event-stream; charset=utf-8"}
_HTML: Final = {"content-type": "text/html; charset=utf-8"}
_PAGE: Final = b"<!doctype html><title>Sign in</title><h1>Captive portal</h1>"
_DRIPS: Final = 50
_LONG_RETRY_AFTER: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request that has been read and now gets its answer or its fault.

    Attributes:
        wire: The connection.
        answer: The good answer.
        api: `chat`, `responses`, `messages` or `models`.
        stream: The client asked for server-sent events.
        usage: The client asked for token counts in the stream.
        delay: Seconds that the slow faults take.
        retry_after: Seconds that `429` asks for.
    """

    wire: Wire
    answer: Answer
    api: str
    stream: bool
    usage: bool
    delay: float
    retry_after: float

    def payload(self) -> bytes:
        """Return the whole good body: JSON, or every event of the stream."""
        if self.stream:
            return b"".join(self.events().all)
        return json.dumps(_BODIES[self.api](self.answer)).encode()

    def events(self) -> Events:
        """Return the events of the good stream."""
        if self.api == "chat":
            return chat_events(self.answer, usage=self.usage)
        if self.api == "messages":
            return messages_events(self.answer)
        return responses_events(self.answer)

    @property
    def headers(self) -> Mapping[str, str]:
        """Content type of the good response."""
        return _SSE if self.stream else _JSON


def _models_body(answer: Answer) -> dict[str, object]:
    model = {"id": answer.model, "object": "model", "owned_by": "llmguard"}
    return {"object": "list", "data": [{**model, "created": answer.created}]}


_BODIES: Final[Mapping[str, Callable[[Answer], dict[str, object]]]] = MappingProxyType(
    {
        "chat": chat_body,
        "messages": messages_body,
        "models": _models_body,
        "responses": responses_body,
    }
)


def serve(fault: str, exchange: Exchange) -> None:
    """Answer `exchange` the way `fault` does."""
    if fault in _STATUS:
        _status(fault, exchange)
    elif FAULTS[fault].stream_only and not exchange.stream:
        _ok(exchange)
    else:
        _SERVE.get(fault, _ok)(exchange)


def error_json(message: str, *, kind: str, code: str | None = None) -> bytes:
    """Return an error body in the shape OpenAI-compatible servers use."""
    error = {"message": message, "type": kind, "param": None, "code": code}
    return json.dumps({"error": error}).encode()


def _ok(exchange: Exchange) -> None:
    if not exchange.stream:
        exchange.wire.body(200, exchange.payload(), _JSON)
        return
    exchange.wire.chunked(exchange.events().all, _SSE)
    exchange.wire.end()


def _ok_gzip(exchange: Exchange) -> None:
    headers = {**exchange.headers, "content-encoding": "gzip"}
    exchange.wire.body(200, gzip.compress(exchange.payload()), headers)


def _ok_chunked(exchange: Exchange) -> None:
    body = exchange.payload()
    pieces = (body[i : i + 7] for i in range(0, len(body), 7))
    exchange.wire.chunked(pieces, exchange.headers)
    exchange.wire.end()


def _reset(exchange: Exchange) -> None:
    exchange.wire.reset()


def _close(exchange: Exchange) -> None:
    exchange.wire.drop()


def _hang(exchange: Exchange) -> None:
    exchange.wire.hold(None)
    exchange.wire.drop()


def _slow_first_byte(exchange: Exchange) -> None:
    if exchange.wire.hold(exchange.delay):
        exchange.wire.drop()
    else:
        _ok(exchange)


def _slow_drip(exchange: Exchange) -> None:
    wire, body = exchange.wire, exchange.payload()
    wire.head(200, {**exchange.headers, "content-length": str(len(body))})
    size = -(-len(body) // _DRIPS)
    for start in range(0, len(body), size):
        if wire.hold(exchange.delay / _DRIPS):
            wire.drop()
            return
        wire.send(body[start : start + size])


def _html(exchange: Exchange) -> None:
    exchange.wire.body(200, _PAGE, _HTML)


def _empty_body(exchange: Exchange) -> None:
    exchange.wire.body(200, b"", exchange.headers)


def _malformed_body(exchange: Exchange) -> None:
    exchange.wire.body(200, b'{"id": "chatcmpl-1", "choices": [{"ind', _JSON)


def _truncated_body(exchange: Exchange) -> None:
    body = exchange.payload()
    length = {"content-length": str(len(body))}
    exchange.wire.head(200, {**exchange.headers, **length})
    exchange.wire.send(body[: len(body) // 2])
    exchange.wire.drop()


def _error_body(exchange: Exchange) -> None:
    body = _error_of(exchange, 500, "The server had an error.", "server_error")
    exchange.wire.body(200, body, _JSON)


def _error_of(
    exchange: Exchange, status: int, message: str, kind: str, code: str | None = None
) -> bytes:
    if exchange.api == "messages":
        return messages_error(status, message)
    return error_json(message, kind=kind, code=code)


def _half_stream(exchange: Exchange) -> None:
    exchange.wire.chunked(exchange.events().half, _SSE)


def _stream_cut(exchange: Exchange) -> None:
    _half_stream(exchange)
    exchange.wire.drop()


def _stream_reset(exchange: Exchange) -> None:
    _half_stream(exchange)
    # A reset discards what the client has not read yet: let it read first.
    if not exchange.wire.hold(0.05):
        exchange.wire.reset()
    exchange.wire.drop()


def _stream_stall(exchange: Exchange) -> None:
    _half_stream(exchange)
    _hang(exchange)


def _stream_no_finish(exchange: Exchange) -> None:
    exchange.wire.chunked(exchange.events().body, _SSE)
    exchange.wire.end()


def _stream_error(exchange: Exchange) -> None:
    _half_stream(exchange)
    message = "The server had an error while processing your request."
    if exchange.api != "responses":
        body = _error_of(exchange, 500, message, "server_error")
    else:
        event = {"type": "error", "code": "server_error", "message": message}
        body = json.dumps({**event, "param": None, "sequence_number": 99}).encode()
    name = b"" if exchange.api == "chat" else b"event: error\n"
    exchange.wire.chunk(name + b"data: " + body + b"\n\n")
    exchange.wire.end()


def _stream_bad_json(exchange: Exchange) -> None:
    _half_stream(exchange)
    exchange.wire.chunk(b'data: {"id": "chatcmpl-1", "choi\n\n')
    exchange.wire.end()


_SERVE: Final[Mapping[str, Callable[[Exchange], None]]] = MappingProxyType(
    {
        "ok_gzip": _ok_gzip,
        "ok_chunked": _ok_chunked,
        "reset": _reset,
        "close": _close,
        "hang": _hang,
        "slow_first_byte": _slow_first_byte,
        "slow_drip": _slow_drip,
        "html": _html,
        "empty_body": _empty_body,
        "malformed_body": _malformed_body,
        "truncated_body": _truncated_body,
        "error_body": _error_body,
        "stream_cut": _stream_cut,
        "stream_reset": _stream_reset,
        "stream_stall": _stream_stall,
        "stream_no_finish": _stream_no_finish,
        "stream_error": _stream_error,
        "stream_bad_json": _stream_bad_json,
        "stream_html": _html,
        # These change the answer, not the protocol.
        **dict.fromkeys(ANSWER_FAULTS, _ok),
    }
)

_STATUS: Final[Mapping[str, tuple[int, str, str | None, str]]] = MappingProxyType(
    {
        "400": (400, "invalid_request_error", None, "The request is invalid."),
        "401": (401, "invalid_request_error", "invalid_api_key", "Wrong API key."),
        "403": (403, "invalid_request_error", None, "No access to this model."),
        "404": (
            404,
            "invalid_request_error",
            "model_not_found",
            "The model does not exist or you do not have access to it.",
        ),
        "408": (408, "server_error", None, "The request took too long."),
        "409": (409, "invalid_request_error", None, "Conflict."),
        "413": (413, "invalid_request_error", None, "The request is too large."),
        "422": (422, "invalid_request_error", None, "The request makes no sense."),
        "429": (429, "requests", "rate_limit_exceeded", "Rate limit reached."),
        "429_long": (429, "requests", "rate_limit_exceeded", "Rate limit reached."),
        "429_quota": (
            429,
            "insufficient_quota",
            "insufficient_quota",
            "You exceeded your current quota.",
        ),
        "500": (500, "server_error", None, "The server had an error."),
        "503": (503, "server_error", None, "The server is overloaded."),
    }
)


def _status(fault: str, exchange: Exchange) -> None:
    status, kind, code, message = _STATUS[fault]
    headers = dict(_JSON)
    if fault == "429":
        headers["retry-after"] = f"{exchange.retry_after:g}"
    elif fault == "429_long":
        headers["retry-after"] = f"{_LONG_RETRY_AFTER:g}"
    body = _error_of(exchange, status, message, kind, code)
    exchange.wire.body(status, body, headers)
