"""Read messages of the Anthropic API."""

from __future__ import annotations

import json

from ..reply import Reply, ToolCall
from ._duck import get, get_list, get_text
from ._reply_common import finish_of, join_text, usage_of

__all__ = ["read_anthropic"]


def read_anthropic(
    message: object, _confidence: str = "min", *, raw: object = None
) -> Reply:
    """Return a message's text and tool calls; `stop_reason` "refusal" is a refusal."""
    blocks = get_list(message, "content")
    text = join_text(b for b in blocks if get(b, "type") == "text")
    finish = finish_of(get(message, "stop_reason"))
    return Reply(
        text=text,
        finish_reason=finish,
        refusal=(text or "") if finish == "refusal" else None,
        served_model=get_text(message, "model") or None,
        usage=usage_of(message),
        tool_calls=tuple(_tool(b) for b in blocks if get(b, "type") == "tool_use"),
        raw=message if raw is None else raw,
    )


def _tool(block: object) -> ToolCall:
    return ToolCall(
        id=get_text(block, "id") or "",
        name=get_text(block, "name") or "",
        arguments=json.dumps(get(block, "input"), default=str),
    )
