"""Read OpenAI Chat Completions, and what other SDKs shape like them."""

from __future__ import annotations

from typing import Any, Final

from .._quick import quick
from ..reply import Reply, ToolCall
from ._duck import get, get_list, get_text
from ._reply_common import finish_of, join_text, sure, usage_of

__all__ = ["content_text", "read_chat", "read_tool_calls"]

_reply: Final = quick(Reply)


def read_chat(chat: object, confidence: str, *, raw: object = None) -> Reply:
    """Return the first choice of a chat completion; "error" when there is none."""
    raw = chat if raw is None else raw
    choices = get_list(chat, "choices")
    message = get(choices[0], "message") if choices else None
    served = get_text(chat, "model")
    if message is None:
        return Reply(finish_reason="error", served_model=served, raw=raw)
    choice = choices[0]
    parsed = get(message, "parsed")
    return _reply(
        text=content_text(get(message, "content")),
        value=parsed,
        has_value=parsed is not None,
        finish_reason=finish_of(get(choice, "finish_reason")),
        refusal=get_text(message, "refusal"),
        served_model=served or None,
        fingerprint=get_text(chat, "system_fingerprint"),
        usage=usage_of(chat),
        tool_calls=read_tool_calls(message),
        confidence=sure(get_list(get(choice, "logprobs"), "content"), confidence),
        raw=raw,
    )


def content_text(content: Any) -> str | None:
    """Return a message's text, be it a string or a list of parts."""
    if isinstance(content, str):
        return content
    return join_text(get_list({"parts": content}, "parts"))


def read_tool_calls(message: object) -> tuple[ToolCall, ...]:
    """Return the tool calls of a chat message, the old single form included."""
    calls = [_tool_call(call) for call in get_list(message, "tool_calls")]
    if not calls and get(message, "function_call") is not None:
        calls = [_tool_call({"function": get(message, "function_call")})]
    return tuple(call for call in calls if call is not None)


def _tool_call(call: object) -> ToolCall | None:
    # Custom tools carry `custom.input` where functions carry `function.arguments`.
    function = get(call, "function") or get(call, "custom")
    name = get_text(function, "name")
    if name is None:
        return None
    arguments = get_text(function, "arguments") or get_text(function, "input") or ""
    return ToolCall(id=get_text(call, "id") or "", name=name, arguments=arguments)
