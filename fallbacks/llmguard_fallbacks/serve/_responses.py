"""Responses: `POST /v1/responses`, the part of it that needs no stored state."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from llmguard.adapters import Message
from llmguard.reply import Reply

from ._asked import Asked, Head, read_content, read_format, read_sampling
from ._errors import ApiError
from ._fields import Fields

__all__ = ["ResponsesShape", "read_responses"]

_IGNORED: Final = (
    "user",
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "parallel_tool_calls",
    "stream_options",
)
_REFUSED: Final[Mapping[str, object]] = {
    "background": False,
    "conversation": None,
    "include": [],
    "max_tool_calls": None,
    "previous_response_id": None,
    "prompt": None,
    "reasoning": {},
    "tools": [],
    "tool_choice": "none",
    "top_logprobs": 0,
    "truncation": "disabled",
}


def read_responses(body: object, limit: int) -> Asked:
    """Return a request of the Responses API.

    Args:
        body: The JSON that was sent.
        limit: The most tokens an answer may have; 0 for what the context holds.

    Raises:
        ApiError: It is not valid, or asks for what this server does not do.
    """
    fields = Fields(body)
    model = fields.required_text("model")
    instructions = fields.text("instructions")
    schema, name, shown = _read_text(fields)
    params = read_sampling(fields, "max_output_tokens", limit=limit)
    asked = Asked(
        model=model,
        messages=[*_system(instructions), *_read_input(fields)],
        schema=schema,
        schema_name=name,
        params=params,
        stream=fields.flag("stream"),
        echo={
            "instructions": instructions,
            "max_output_tokens": params.get("max_tokens"),
            "temperature": params.get("temperature"),
            "top_p": params.get("top_p"),
            "text": {"format": shown},
        },
    )
    fields.ignore(*_IGNORED)
    fields.only(_REFUSED)
    fields.done()
    return asked


def _system(instructions: str | None) -> list[Message]:
    if not instructions:
        return []
    return [Message(role="system", content=instructions)]


def _read_text(fields: Fields) -> tuple[Any, str, dict[str, Any]]:
    text = fields.table("text")
    if text is None:
        return None, "", {"type": "text"}
    schema, name = read_format(text.table("format"), nested=False)
    text.only({"verbosity": "medium"})
    text.done()
    if schema is None:
        return None, "", {"type": "text"}
    if name == "json_object":
        return schema, name, {"type": "json_object"}
    shown = {"type": "json_schema", "name": name, "schema": schema, "strict": True}
    return schema, name, shown


def _read_input(fields: Fields) -> list[Message]:
    given = fields.any("input")
    if isinstance(given, str) and given:
        return [Message(role="user", content=given)]
    if not isinstance(given, list) or not given:
        raise ApiError(
            400,
            "`input` must be a string or an array of messages, and not be empty",
            code="missing_required_parameter",
            param="input",
        )
    return [_item(item, i) for i, item in enumerate(given)]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - JSON


def _item(data: object, index: int) -> Message:
    at = f"input[{index}]"
    fields = Fields(data, at=at)
    kind = fields.text("type") or "message"
    if kind != "message":
        raise ApiError(
            400,
            f"`{at}.type` = {kind!r} is not supported; this server takes messages",
            code="unsupported_parameter",
            param=at,
        )
    return read_content(fields.any("role"), fields.any("content"), at)


class ResponsesShape:
    """Writes answers in the words of the Responses API."""

    def __init__(self, head: Head) -> None:
        self._head = head
        self._number = -1
        self._text: list[str] = []

    def whole(self, reply: Reply) -> dict[str, Any]:
        """Return a whole answer as one JSON object."""
        cut = reply.finish_reason == "length"
        status = "incomplete" if cut else "completed"
        return {
            **self._base(status),
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "output": [self._item(reply.text or "", status)],
            "usage": _usage(reply),
            "llmguard": {
                "confidence": reply.confidence,
                "field_confidence": dict(reply.field_confidence or {}),
                "fingerprint": reply.fingerprint,
            },
        }

    def opening(self) -> Iterator[bytes]:
        """Yield the events before the first text."""
        begun = self._base("in_progress")
        yield self._event("response.created", response=begun)
        yield self._event("response.in_progress", response=begun)
        empty: dict[str, Any] = {**self._item("", "in_progress"), "content": []}
        yield self._event("response.output_item.added", output_index=0, item=empty)
        yield self._at_part("response.content_part.added", part=_part(""))

    def delta(self, text: str) -> Iterator[bytes]:
        """Yield the event of a piece of text."""
        self._text.append(text)
        yield self._at_part("response.output_text.delta", delta=text, logprobs=[])

    def closing(self, reply: Reply) -> Iterator[bytes]:
        """Yield the events of the end."""
        text = reply.text or "".join(self._text)
        whole = self.whole(reply)
        yield self._at_part("response.output_text.done", text=text, logprobs=[])
        yield self._at_part("response.content_part.done", part=_part(text))
        item = whole["output"][0]
        yield self._event("response.output_item.done", output_index=0, item=item)
        yield self._event(f"response.{whole['status']}", response=whole)

    def failed(self, error: ApiError) -> Iterator[bytes]:
        """Yield the error."""
        body = error.body()["error"]
        failed = {
            **self._base("failed"),
            "error": {"code": "server_error", "message": str(error)},
        }
        yield self._event("response.failed", response=failed)
        yield self._event("error", **{k: body[k] for k in ("code", "message", "param")})

    def _base(self, status: str) -> dict[str, Any]:
        return {
            "id": f"resp_{self._head.id}",
            "object": "response",
            "created_at": self._head.created,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "metadata": {},
            "model": self._head.asked.model,
            "output": [],
            "parallel_tool_calls": False,
            "previous_response_id": None,
            "store": False,
            "tool_choice": "none",
            "tools": [],
            "truncation": "disabled",
            "usage": None,
            **self._head.asked.echo,
        }

    def _item(self, text: str, status: str) -> dict[str, Any]:
        return {
            "id": f"msg_{self._head.id}",
            "type": "message",
            "role": "assistant",
            "status": status,
            "content": [_part(text)],
        }

    def _at_part(self, kind: str, **fields: Any) -> bytes:
        where = {"item_id": f"msg_{self._head.id}", "output_index": 0}
        return self._event(kind, **where, content_index=0, **fields)

    def _event(self, kind: str, **fields: Any) -> bytes:
        self._number += 1
        data = {"type": kind, "sequence_number": self._number, **fields}
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        return f"event: {kind}\ndata: {text}\n\n".encode()


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _usage(reply: Reply) -> dict[str, Any] | None:
    usage = reply.usage
    if usage is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": getattr(reply.raw, "cached_tokens", 0)
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
