"""Read an answer of any shape into a `Reply`.

A guarded body may return text, a dict, an object of its own, or the response object
of an SDK. SDK responses are recognised by class name and fields, so that none has to
be installed: OpenAI Chat Completions (and what mimics it: litellm, vLLM, Mistral),
OpenAI Responses, Anthropic messages, LangChain messages, raw HTTP responses.

A response without a usable answer in it (no choices, an error body with status 200,
a failed run) becomes a `Reply` whose `finish_reason` is "error"; `reply_failure` says
what kind of failure that is. Nothing here raises.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from .._quick import quick
from ..reply import Reply
from ._duck import class_names, get, get_list, get_text
from ._reply_anthropic import read_anthropic
from ._reply_chat import read_chat
from ._reply_responses import read_response
from .classify import Failure, failure_from_body

__all__ = ["broken", "read_answer", "read_reply", "reply_failure"]

_reply: Final = quick(Reply)
_CHAT = frozenset({"ChatCompletion", "ModelResponse", "ChatCompletionResponse"})
_WRAPPERS = frozenset({"APIResponse", "AsyncAPIResponse", "LegacyAPIResponse"})
_READERS: Mapping[str, Callable[..., Reply]] = {
    "anthropic": read_anthropic,
    "chat": read_chat,
    "responses": read_response,
}


def read_reply(raw: object, *, confidence: str = "min") -> Reply:
    """Return what a body or a tier gave back as a `Reply`; never raises.

    Args:
        raw: Text, a `Reply`, an SDK response, or any other value.
        confidence: How token log-probabilities become one number: "min", "mean" or
            "joint" (see `docs/models.md`).

    Returns:
        The reply. Values that are no SDK response come back with `has_value` True;
        responses that hold no answer come back with `finish_reason` "error".
    """
    if isinstance(raw, Reply):
        return raw
    if isinstance(raw, str):
        return _reply(text=raw, raw=raw)
    if isinstance(raw, bytes | bytearray):
        return Reply(text=bytes(raw).decode("utf-8", "replace"), raw=raw)
    try:
        return _read(raw, confidence)
    except Exception:  # noqa: BLE001 - a foreign object's fields may raise anything
        return broken(raw)


def read_answer(
    answer: object, api: str, *, confidence: str = "min", raw: object = None
) -> Reply:
    """Return what an adapter received from a known API; never raises.

    Args:
        answer: The SDK's response or its JSON; anything else is a broken answer.
        api: "chat", "responses" or "anthropic".
        confidence: As for `read_reply`.
        raw: What `Reply.raw` is to be; None for `answer` itself.
    """
    try:
        return _READERS[api](answer, confidence, raw=answer if raw is None else raw)
    except Exception:  # noqa: BLE001 - a foreign object's fields may raise anything
        return broken(answer)


def reply_failure(reply: Reply) -> Failure | None:
    """Return why a reply holds no answer; None when the contract should judge it.

    Only replies with `finish_reason` "error" fail here: the provider said that it
    failed, or what came back is no answer of its API at all.
    """
    if reply.finish_reason != "error":
        return None
    return failure_from_body(_error_of(reply.raw))


def broken(raw: object) -> Reply:
    """Return the reply that stands for "this holds no answer"."""
    return Reply(finish_reason="error", raw=raw, served_model=_safe_model(raw))


def _read(raw: object, confidence: str) -> Reply:
    names = class_names(raw)
    api = _api_of(raw, names)
    if api:
        return _READERS[api](raw, confidence)
    if "AIMessage" in names:
        return _read_langchain(raw)
    if names & _WRAPPERS and callable(get(raw, "parse")):
        return read_reply(get(raw, "parse")(), confidence=confidence)
    if isinstance(get(raw, "status_code"), int) and get(raw, "headers") is not None:
        return _read_http(raw, confidence)
    return Reply(value=raw, has_value=True, raw=raw)


def _api_of(raw: object, names: frozenset[str]) -> str:
    """Name the API a response belongs to; empty when it is an ordinary value."""
    marker = get(raw, "object")
    if names & _CHAT or (marker == "chat.completion" and _has(raw, "choices")):
        return "chat"
    if marker == "response" and _has(raw, "output"):
        return "responses"
    is_message = get(raw, "type") == "message" and _has(raw, "stop_reason")
    return "anthropic" if is_message and _has(raw, "content") else ""


def _has(raw: object, name: str) -> bool:
    return name in raw if isinstance(raw, Mapping) else hasattr(raw, name)


def _read_langchain(raw: object) -> Reply:
    """Read a LangChain `AIMessage`: text, and what its provider reported."""
    meta = get(raw, "response_metadata")
    message = {"content": get(raw, "content"), "role": "assistant"}
    choice = {"message": message, "finish_reason": get(meta, "finish_reason")}
    chat = {
        "choices": [choice],
        "model": get(meta, "model_name"),
        "system_fingerprint": get(meta, "system_fingerprint"),
        "usage": get(meta, "token_usage"),
    }
    return read_chat(chat, "min", raw=raw)


def _read_http(raw: object, confidence: str) -> Reply:
    """Read a raw HTTP response: its JSON body, when it is an answer of some API."""
    body: Mapping[str, Any] | None = json.loads(get(raw, "text"))
    if not isinstance(body, Mapping) or not _api_of(body, frozenset()):
        return broken(raw)
    return read_reply(body, confidence=confidence)


def _error_of(raw: object) -> object:
    """Return the error object inside a response, or None."""
    error = get(raw, "error")
    if error is None:
        choices = get_list(raw, "choices")
        error = get(choices[0], "error") if choices else None
    return error


def _safe_model(raw: object) -> str | None:
    try:
        return get_text(raw, "model")
    except Exception:  # noqa: BLE001 - a foreign object's fields may raise anything
        return None
