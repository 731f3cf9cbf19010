"""Chat Completions: `POST /v1/chat/completions`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from llmguard.reply import Reply

from ._asked import Asked, Head, read_content, read_format, read_sampling
from ._errors import ApiError
from ._fields import Fields

__all__ = ["ChatShape", "read_chat"]

_IGNORED: Final = (
    "user",
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "parallel_tool_calls",
)
_REFUSED: Final[Mapping[str, object]] = {
    "n": 1,
    "logprobs": False,
    "top_logprobs": 0,
    "tools": [],
    "tool_choice": "none",
    "functions": [],
    "function_call": "none",
    "logit_bias": {},
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "modalities": ["text"],
    "audio": None,
    "prediction": None,
    "reasoning_effort": "none",
    "verbosity": None,
    "web_search_options": None,
}
_MOST_STOPS: Final = 4


def read_chat(body: object, limit: int) -> Asked:
    """Return a request of Chat Completions.

    Args:
        body: The JSON that was sent.
        limit: The most tokens an answer may have; 0 for what the context holds.

    Raises:
        ApiError: It is not valid, or asks for what this server does not do.
    """
    fields = Fields(body)
    model = fields.required_text("model")
    schema, name = read_format(fields.table("response_format"), nested=True)
    params = read_sampling(fields, "max_completion_tokens", "max_tokens", limit=limit)
    stops = _stops(fields, schema)
    options = fields.table("stream_options")
    messages = [_message(m, i) for i, m in enumerate(fields.array("messages"))]
    if not messages:
        raise ApiError(
            400,
            "`messages` must hold at least one message",
            code="missing_required_parameter",
            param="messages",
        )
    asked = Asked(
        model=model,
        messages=messages,
        schema=schema,
        schema_name=name,
        params={**params, **({"stop": stops} if stops else {})},
        stream=fields.flag("stream"),
        include_usage=options.flag("include_usage") if options else False,
    )
    fields.ignore(*_IGNORED)
    fields.only(_REFUSED)
    fields.done()
    return asked


def _stops(fields: Fields, schema: object) -> list[str]:
    given = fields.any("stop")
    if given in (None, []):
        return []
    stops = [given] if isinstance(given, str) else given
    good = isinstance(stops, list) and all(isinstance(s, str) and s for s in stops)  # pyright: ignore[reportUnknownVariableType] - JSON
    if not good or len(stops) > _MOST_STOPS:  # pyright: ignore[reportUnknownArgumentType] - JSON
        raise fields.wrong("stop", given, f"a string or up to {_MOST_STOPS} of them")
    if schema is not None:
        raise ApiError(
            400,
            "`stop` would cut the JSON off; leave it out, or ask for plain text",
            code="unsupported_parameter",
            param="stop",
        )
    return stops  # pyright: ignore[reportUnknownVariableType] - JSON


def _message(data: object, index: int) -> Any:
    at = f"messages[{index}]"
    fields = Fields(data, at=at)
    role, content = fields.any("role"), fields.any("content")
    fields.only({"tool_calls": [], "function_call": None, "audio": None})
    fields.ignore("name", "refusal", "annotations")
    return read_content(role, content, at)


class ChatShape:
    """Writes answers in the words of Chat Completions."""

    def __init__(self, head: Head) -> None:
        self._head = head

    def whole(self, reply: Reply) -> dict[str, Any]:
        """Return a whole answer as one JSON object."""
        message = {"role": "assistant", "content": reply.text or "", "refusal": None}
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": reply.finish_reason,
        }
        return {
            **self._base("chat.completion", reply),
            "choices": [choice],
            **_usage(reply),
            "llmguard": _confidence(reply),
        }

    def opening(self) -> Iterator[bytes]:
        """Yield the chunk that names the role."""
        yield self._chunk({"role": "assistant", "content": ""})

    def delta(self, text: str) -> Iterator[bytes]:
        """Yield the chunk of a piece of text."""
        yield self._chunk({"content": text})

    def closing(self, reply: Reply) -> Iterator[bytes]:
        """Yield the last chunks."""
        yield self._chunk({}, finish=reply.finish_reason, reply=reply)
        if self._head.asked.include_usage:
            base = self._base("chat.completion.chunk", reply)
            yield _event({**base, "choices": [], **_usage(reply)})
        yield b"data: [DONE]\n\n"

    def failed(self, error: ApiError) -> Iterator[bytes]:
        """Yield the error; there is no end mark after it."""
        yield _event(error.body())

    def _base(self, kind: str, reply: Reply | None = None) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{self._head.id}",
            "object": kind,
            "created": self._head.created,
            "model": self._head.asked.model,
            "system_fingerprint": reply.fingerprint if reply else None,
        }

    def _chunk(
        self,
        delta: dict[str, Any],
        *,
        finish: str | None = None,
        reply: Reply | None = None,
    ) -> bytes:
        choice = {
            "index": 0,
            "delta": delta,
            "logprobs": None,
            "finish_reason": finish,
        }
        base = self._base("chat.completion.chunk", reply)
        return _event({**base, "choices": [choice]})


def _usage(reply: Reply) -> dict[str, Any]:
    usage = reply.usage
    if usage is None or usage.input_tokens is None or usage.output_tokens is None:
        return {}
    counted: dict[str, Any] = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": getattr(reply.raw, "cached_tokens", 0)
        },
    }
    return {"usage": counted}


def _confidence(reply: Reply) -> dict[str, Any]:
    return {
        "confidence": reply.confidence,
        "field_confidence": dict(reply.field_confidence or {}),
    }


def _event(data: dict[str, Any]) -> bytes:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"data: {text}\n\n".encode()
