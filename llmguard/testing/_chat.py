"""Answers in the wire format of `POST /v1/chat/completions`."""

from __future__ import annotations

from collections.abc import Mapping

from ._answers import Answer
from ._events import Events, sse

__all__ = ["chat_body", "chat_events"]

_TOOL_ID = "call_fault_1"


def chat_body(answer: Answer) -> dict[str, object]:
    """Return the body of a plain response."""
    message: dict[str, object] = {
        "role": "assistant",
        "content": answer.text,
        "refusal": answer.refusal,
    }
    if answer.tool:
        message["tool_calls"] = [_tool_call(answer.tool)]
    choice: dict[str, object] = {
        "index": 0,
        "message": message,
        "finish_reason": answer.finish,
        "logprobs": None,
    }
    return {
        **_head(answer, "chat.completion"),
        "choices": _choices(answer, choice),
        "usage": _usage(answer),
    }


def chat_events(answer: Answer, *, usage: bool = False) -> Events:
    """Return the server-sent events of a streamed response.

    Args:
        answer: What to say.
        usage: Send a last chunk with token counts, as `include_usage` asks for.
    """
    deltas: list[dict[str, object]] = [{"role": "assistant", "content": ""}]
    deltas.extend({"content": piece} for piece in answer.pieces)
    if answer.refusal:
        deltas.append({"refusal": answer.refusal})
    if answer.tool:
        deltas.append({"tool_calls": [{"index": 0, **_tool_call(answer.tool)}]})
    finish = [_chunk(answer, {}, answer.finish)]
    if usage:
        finish.append(_usage_chunk(answer))
    return Events(
        body=tuple(sse(_chunk(answer, delta, None)) for delta in deltas),
        finish=tuple(sse(chunk) for chunk in finish),
        done=b"data: [DONE]\n\n",
    )


def _head(answer: Answer, kind: str) -> dict[str, object]:
    return {
        "id": f"chatcmpl-{answer.id}",
        "object": kind,
        "created": answer.created,
        "model": answer.model,
        "system_fingerprint": answer.fingerprint,
    }


def _chunk(
    answer: Answer, delta: dict[str, object], finish: str | None
) -> dict[str, object]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
    return {
        **_head(answer, "chat.completion.chunk"),
        "choices": _choices(answer, choice),
    }


def _usage_chunk(answer: Answer) -> dict[str, object]:
    head = _head(answer, "chat.completion.chunk")
    return {**head, "choices": [], "usage": _usage(answer)}


def _choices(answer: Answer, choice: Mapping[str, object]) -> list[object] | None:
    if answer.choices == "null":
        return None
    return [choice] if answer.choices == "one" else []


def _usage(answer: Answer) -> dict[str, int]:
    given, written = answer.tokens
    return {
        "prompt_tokens": given,
        "completion_tokens": written,
        "total_tokens": given + written,
    }


def _tool_call(name: str) -> dict[str, object]:
    return {
        "id": _TOOL_ID,
        "type": "function",
        "function": {"name": name, "arguments": "{}"},
    }
