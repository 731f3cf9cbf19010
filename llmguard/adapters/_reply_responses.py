"""Read objects of the OpenAI Responses API."""

from __future__ import annotations

from typing import Any, Final

from .._quick import quick
from ..reply import Reply, ToolCall
from ._duck import get, get_list, get_text
from ._reply_common import finish_of, join_text, sure, usage_of

__all__ = ["read_response"]

_reply: Final = quick(Reply)


def read_response(response: object, confidence: str, *, raw: object = None) -> Reply:
    """Return a response's text, refusal and tool calls; "error" when it failed."""
    items = get_list(response, "output")
    parts = [part for item in items for part in _message_parts(item)]
    parsed = next((p for part in parts if (p := get(part, "parsed")) is not None), None)
    tools = tuple(call for item in items if (call := _tool_call(item)) is not None)
    logprobs = [token for part in parts for token in get_list(part, "logprobs")]
    return _reply(
        text=join_text(p for p in parts if get(p, "type") == "output_text"),
        value=parsed,
        has_value=parsed is not None,
        finish_reason=_finish(response, tools=bool(tools)),
        refusal=_refusal(parts),
        served_model=get_text(response, "model") or None,
        usage=usage_of(response),
        tool_calls=tools,
        confidence=sure(logprobs, confidence),
        raw=response if raw is None else raw,
    )


def _message_parts(item: object) -> list[Any]:
    return get_list(item, "content") if get(item, "type") == "message" else []


def _refusal(parts: list[Any]) -> str | None:
    texts = [get_text(p, "refusal") for p in parts if get(p, "type") == "refusal"]
    found = [text for text in texts if text is not None]
    return "".join(found) if found else None


def _finish(response: object, *, tools: bool) -> str:
    status = get(response, "status")
    if status == "incomplete":
        return finish_of(get(get(response, "incomplete_details"), "reason")) or "length"
    # Some compatible servers leave the status out of a finished response; one without
    # a single output item is no answer, whatever its status says.
    done = status in {"completed", None} and bool(get_list(response, "output"))
    if not done or get(response, "error") is not None:
        return "error"
    return "tool_calls" if tools else "stop"


def _tool_call(item: object) -> ToolCall | None:
    if get(item, "type") not in {"function_call", "custom_tool_call"}:
        return None
    arguments = get_text(item, "arguments") or get_text(item, "input") or ""
    return ToolCall(
        id=get_text(item, "call_id") or get_text(item, "id") or "",
        name=get_text(item, "name") or "",
        arguments=arguments,
    )
