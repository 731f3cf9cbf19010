"""From a `Request` to the keyword arguments of the two OpenAI APIs."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from ..errors import ConfigError
from ._duck import plain
from .messages import Message, Request
from .structured import json_schema_format

if TYPE_CHECKING:
    from ..pins import Pin

__all__ = ["Settings", "chat_arguments", "responses_arguments"]

_APIS: Final = ("chat", "responses")
_STRUCTURED: Final = ("json_schema", "json_object", "none")
_CONFIDENCE: Final = ("min", "mean", "joint")
_OWNED: Final = frozenset(
    {"model", "messages", "input", "stream", "timeout", "tools", "extra_body", "n"}
)


class Settings:
    """The options of an `openai` pin, checked once.

    Attributes:
        api: "chat" or "responses".
        structured: "json_schema", "json_object" or "none".
        strict: False never asks for strict structured outputs.
        confidence: How log-probabilities become a confidence.
        stream_usage: False where a server refuses `stream_options`.
    """

    def __init__(self, pin: Pin) -> None:
        self.api = _choice(pin, "api", _APIS)
        self.structured = _choice(pin, "structured", _STRUCTURED)
        self.confidence = _choice(pin, "confidence", _CONFIDENCE)
        self.strict = pin.options.get("strict", True) is not False
        self.stream_usage = pin.options.get("stream_usage", True) is not False
        taken = sorted(_OWNED & pin.params.keys())
        if taken:
            raise ConfigError(
                f"pin {pin.route!r}: {taken[0]!r} cannot be one of its `params`; the "
                f"adapter sets it for each call. Remove it from `models.lock`"
            )


def chat_arguments(
    request: Request, model: str, settings: Settings, create: Any
) -> dict[str, Any]:
    """Return the arguments of `chat.completions.create` for one request."""
    arguments: dict[str, Any] = {
        "model": model,
        "messages": [message.as_dict() for message in request.messages],
        **_split(request.params, create),
    }
    if request.tools:
        arguments["tools"] = [_chat_tool(tool) for tool in request.tools]
    wanted = _format(request, settings)
    if wanted is not None:
        kind = wanted.pop("type")
        body = {"json_schema": wanted} if wanted else {}
        arguments["response_format"] = {"type": kind, **body}
    return arguments


def responses_arguments(
    request: Request, model: str, settings: Settings, create: Any
) -> dict[str, Any]:
    """Return the arguments of `responses.create` for one request."""
    arguments: dict[str, Any] = {
        "model": model,
        "input": [item for message in request.messages for item in _items(message)],
        **_split(request.params, create),
    }
    if request.tools:
        arguments["tools"] = [_flat_tool(tool) for tool in request.tools]
    wanted = _format(request, settings)
    if wanted is not None:
        arguments["text"] = {**arguments.get("text", {}), "format": wanted}
    return arguments


def _choice(pin: Pin, name: str, known: tuple[str, ...]) -> str:
    value = pin.options.get(name, known[0])
    if value not in known:
        raise ConfigError(
            f"pin {pin.route!r}: option `{name}` is {value!r}; "
            f"it must be one of {', '.join(map(repr, known))}"
        )
    return str(value)


def _format(request: Request, settings: Settings) -> dict[str, Any] | None:
    """Return the structured-output request, `type` first; None to send none."""
    if request.schema is None or settings.structured == "none":
        return None
    fields = json_schema_format(
        request.schema, request.schema_name, strict=settings.strict
    )
    if fields is None:
        return None
    if settings.structured == "json_object":
        return {"type": "json_object"}
    return {"type": "json_schema", **fields}


def _split(params: Mapping[str, Any], create: Any) -> dict[str, Any]:
    """Pass on what the SDK knows; send the rest in the body, for other servers."""
    known = _parameters(getattr(create, "__func__", create))
    out: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, value in params.items():
        (out if name in known else extra)[name] = plain(value)
    if extra:
        out["extra_body"] = extra
    return out


@lru_cache(maxsize=8)
def _parameters(create: Any) -> frozenset[str]:
    return frozenset(inspect.signature(create).parameters)


def _chat_tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tool in the nested form of Chat Completions."""
    body = plain(tool)
    if "function" in body or body.get("type", "function") != "function":
        return dict(body)
    function = {key: value for key, value in body.items() if key != "type"}
    return {"type": "function", "function": function}


def _flat_tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tool in the flat form of Responses."""
    body = plain(tool)
    if "function" not in body:
        return {"type": "function", **body}
    # Chat Completions is lenient by default where Responses is strict.
    return {"type": "function", "strict": False, **body["function"]}


def _items(message: Message) -> Iterator[dict[str, Any]]:
    """Yield a message as input items of Responses."""
    if message.role == "tool":
        call_id = message.extra.get("tool_call_id", "")
        yield {
            "type": "function_call_output",
            "call_id": call_id,
            "output": message.content or "",
        }
        return
    if message.content is not None:
        yield {"role": message.role, "content": _parts(message)}
    for call in message.extra.get("tool_calls") or ():
        function = call["function"]
        yield {
            "type": "function_call",
            "call_id": call["id"],
            "name": function["name"],
            "arguments": function["arguments"],
        }


def _parts(message: Message) -> Any:
    """Return content with part types in the words of Responses."""
    if isinstance(message.content, str):
        return message.content
    text = "output_text" if message.role == "assistant" else "input_text"
    return [_part(part, text) for part in message.content or ()]


def _part(part: Mapping[str, Any], text: str) -> dict[str, Any]:
    kind = part.get("type")
    if kind == "text":
        return {"type": text, "text": part.get("text", "")}
    if kind == "image_url":
        image = part["image_url"]
        url = image if isinstance(image, str) else image["url"]
        return {"type": "input_image", "image_url": url}
    return dict(part)
