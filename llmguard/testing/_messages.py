"""Answers in the wire format of `POST /v1/messages`, Anthropic's."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from ._answers import Answer
from ._events import Events, sse

__all__ = ["messages_body", "messages_error", "messages_events"]

_REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "stop": "end_turn",
        "length": "max_tokens",
        "content_filter": "refusal",
        "tool_calls": "tool_use",
    }
)
_ERRORS: Final[Mapping[int, str]] = MappingProxyType(
    {
        400: "invalid_request_error",
        401: "authentication_error",
        403: "permission_error",
        404: "not_found_error",
        413: "request_too_large",
        429: "rate_limit_error",
        503: "overloaded_error",
    }
)


def messages_body(answer: Answer) -> dict[str, object]:
    """Return the body of a plain response."""
    content: list[object] | None = _content(answer)
    if answer.choices != "one":
        content = None if answer.choices == "null" else []
    return {**_message(answer), "content": content, **_end(answer)}


def messages_events(answer: Answer) -> Events:
    """Return the server-sent events of a streamed response."""
    usage = {"output_tokens": answer.tokens[1]}
    finish = [{"type": "message_delta", "delta": _end(answer), "usage": usage}]
    return Events(
        body=tuple(map(_event, _body_events(answer))),
        finish=tuple(map(_event, finish)),
        done=_event({"type": "message_stop"}),
    )


def messages_error(status: int, message: str) -> bytes:
    """Return the body of an error."""
    error = {"type": _ERRORS.get(status, "api_error"), "message": message}
    return json.dumps({"type": "error", "error": error}).encode()


def _message(answer: Answer) -> dict[str, object]:
    given, written = answer.tokens
    return {
        "id": f"msg_{answer.id}",
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": given, "output_tokens": written},
    }


def _end(answer: Answer) -> dict[str, object]:
    refused = answer.refusal is not None
    reason = "refusal" if refused else _REASONS[answer.finish]
    return {"stop_reason": reason, "stop_sequence": None}


def _content(answer: Answer) -> list[object]:
    if answer.tool:
        call = {"type": "tool_use", "id": "toolu_fault_1", "name": answer.tool}
        return [{**call, "input": {}}]
    text = answer.refusal if answer.text is None else answer.text
    return [] if text is None else [{"type": "text", "text": text}]


def _body_events(answer: Answer) -> Iterator[dict[str, object]]:
    yield {"type": "message_start", "message": _message(answer)}
    at = {"index": 0}
    if answer.tool:
        (block,) = _content(answer)
        yield {"type": "content_block_start", **at, "content_block": block}
    else:
        blank = {"type": "text", "text": ""}
        yield {"type": "content_block_start", **at, "content_block": blank}
        for piece in answer.pieces or [answer.refusal or ""]:
            delta = {"type": "text_delta", "text": piece}
            yield {"type": "content_block_delta", **at, "delta": delta}
    yield {"type": "content_block_stop", **at}


def _event(data: Mapping[str, object]) -> bytes:
    return sse(data, event=str(data["type"]))
