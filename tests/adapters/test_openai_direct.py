"""Plain chat requests go past `create`, and nobody can tell from what is sent."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable
from typing import Any

import openai
import pytest
from openai.resources.chat.completions import AsyncCompletions, Completions
from openai.types.chat import ChatCompletion

from llmguard.adapters import Model, provider_for
from llmguard.adapters._openai_direct import direct
from llmguard.adapters.messages import Request, as_messages
from llmguard.pins import Pin
from llmguard.reply import Reply
from llmguard.testing import FaultServer, ServedRequest

SCHEMA = {"type": "object", "properties": {"category": {"type": "string"}}}
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {}}}
PARTS = [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]
CHAT = [
    {"role": "system", "content": "Be brief; é, 漢, \U0001f600."},
    {"role": "user", "content": 'say "hi"\n'},
]


def _ask(model: Model, *, is_async: bool, **params: Any) -> Reply:
    if is_async:
        return asyncio.run(model.acomplete(CHAT, **params))
    return model.complete(CHAT, **params)


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stand in for `create`, as tracing tools do; return the models that it saw."""
    seen: list[str] = []

    def trace(cls: type[Any]) -> None:
        create = cls.create

        @functools.wraps(create)
        def watched(self: Any, **arguments: Any) -> Any:
            seen.append(arguments["model"])
            return create(self, **arguments)

        monkeypatch.setattr(cls, "create", watched)

    for cls in (Completions, AsyncCompletions):
        trace(cls)
    return seen


def _told(request: ServedRequest) -> tuple[object, dict[str, str]]:
    return request.json, dict(request.headers)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize(
    ("schema", "params"),
    [
        (None, {}),
        (SCHEMA, {}),
        (SCHEMA, {"temperature": 0.25, "max_tokens": 7, "seed": None, "user": "u"}),
    ],
    ids=["bare", "schema", "params"],
)
def test_the_server_cannot_tell_the_ways_apart(
    server: FaultServer,
    pin_for: Callable[..., Pin],
    request: pytest.FixtureRequest,
    *,
    is_async: bool,
    schema: dict[str, Any] | None,
    params: dict[str, Any],
) -> None:
    """The same body and headers, the same answer and raw object, by either way."""
    pin = pin_for(server.base_url, params={"top_p": 1})
    timed = {"remaining": lambda: 9.0, "schema": schema, "schema_name": "T"}
    plain = _ask(Model(pin, provider_for(pin), **timed), is_async=is_async, **params)
    seen: list[str] = request.getfixturevalue("traced")
    traced = _ask(Model(pin, provider_for(pin), **timed), is_async=is_async, **params)
    assert ["m-1"] == seen, "a tool that traces `create` must see the request"
    first, second = map(_told, server.requests)
    assert first == second
    assert plain.text == traced.text
    assert isinstance(plain.raw, ChatCompletion)
    assert plain.raw.choices == traced.raw.choices


@pytest.mark.parametrize(
    ("messages", "fields", "plain"),
    [
        ("hi", {}, True),
        (CHAT, {"params": {"temperature": 1, "stop": None}}, True),
        (CHAT, {"params": {"stop": ["a"]}}, False),
        (CHAT, {"params": {"extra_headers": {"x": "y"}}}, False),
        (CHAT, {"params": {"temperature": openai.NOT_GIVEN}}, False),
        (CHAT, {"params": {"response_format": {"type": "json_object"}}}, False),
        (CHAT, {"tools": [TOOL]}, False),
        (PARTS, {}, False),
        ([{"role": "user", "content": "hi", "name": "Ada"}], {}, False),
        ([{"role": "assistant", "content": None}], {}, False),
    ],
)
def test_only_texts_and_numbers_go_past_create(
    messages: Any, fields: dict[str, Any], *, plain: bool
) -> None:
    """Whatever the SDK may have to translate is left to it."""
    asked = Request(messages=as_messages(messages), **fields)
    with openai.OpenAI(api_key="none") as sdk:
        calls = sdk.chat.completions
        arguments: dict[str, Any] = {
            "model": "m-1",
            "messages": [message.as_dict() for message in asked.messages],
            "timeout": 3.0,
            **asked.params,
            **({"tools": list(asked.tools)} if asked.tools else {}),
        }
        found = direct(asked, arguments, calls)
        assert plain is (found is not None)
        if found is not None:
            inspect.signature(sdk.post).bind(**found)
        calls.create = lambda **_: None  # type: ignore[method-assign]  # as tracing does
        assert direct(asked, arguments, calls) is None
