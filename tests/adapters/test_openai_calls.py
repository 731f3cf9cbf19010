"""What the adapter sends and what it reads, against a real server and the real SDK."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from llmguard.adapters import Message, Model, Prompt, provider_for
from llmguard.errors import ConfigError, TierTimeoutError, TierUnavailableError
from llmguard.outcome import Kind
from llmguard.pins import Pin
from llmguard.testing import FaultServer

SCHEMA = {
    "type": "object",
    "properties": {"category": {"enum": ["billing", "bug"]}},
    "required": ["category"],
    "additionalProperties": False,
}
TOOL = {
    "type": "function",
    "function": {"name": "look_up", "parameters": {"type": "object"}},
}


def sent(server: FaultServer) -> dict[str, Any]:
    """Return the body of the last request."""
    body = server.requests[-1].json
    assert isinstance(body, dict)
    return body


def test_chat_request_carries_pin_schema_and_feedback(
    server: FaultServer, pin_for: Callable[..., Pin]
) -> None:
    """Pinned parameters, the schema in strict mode and a re-ask are all sent."""
    pin = pin_for(server.base_url, params={"temperature": 0, "top_k": 5})
    feedback = (Message(role="user", content="`category` is missing"),)
    model = Model(
        pin, provider_for(pin), schema=SCHEMA, schema_name="Triage", feedback=feedback
    )
    model.complete("a ticket", max_tokens=50)
    wanted = {"name": "Triage", "strict": True, "schema": SCHEMA}
    assert {
        "model": "m-1",
        "messages": [
            {"role": "user", "content": "a ticket"},
            {"role": "user", "content": "`category` is missing"},
        ],
        "temperature": 0,
        "max_tokens": 50,
        "top_k": 5,
        "response_format": {"type": "json_schema", "json_schema": wanted},
    } == sent(server)


def test_responses_request_has_the_shape_of_that_api(
    server: FaultServer, pin_for: Callable[..., Pin]
) -> None:
    """Messages become input items, the schema a text format, tools are flat."""
    pin = pin_for(server.base_url, options={"api": "responses"})
    model = Model(pin, provider_for(pin), schema=SCHEMA, schema_name="Triage")
    call = {"id": "c1", "function": {"name": "look_up", "arguments": "{}"}}
    model.complete(
        [
            {"role": "user", "content": [{"type": "text", "text": "hi"}]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "content": "42", "tool_call_id": "c1"},
        ],
        tools=[TOOL],
    )
    body = sent(server)
    assert [
        {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        {
            "type": "function_call",
            "call_id": "c1",
            "name": "look_up",
            "arguments": "{}",
        },
        {"type": "function_call_output", "call_id": "c1", "output": "42"},
    ] == body["input"]
    assert {
        "type": "json_schema",
        "name": "Triage",
        "strict": True,
        "schema": SCHEMA,
    } == body["text"]["format"]
    assert "look_up" == body["tools"][0]["name"]


@pytest.mark.parametrize(
    ("structured", "expected"),
    [("json_object", {"type": "json_object"}), ("none", None)],
)
def test_structured_option_chooses_what_is_sent(
    structured: str,
    expected: object,
    server: FaultServer,
    pin_for: Callable[..., Pin],
) -> None:
    """A pin may ask for less than a schema, for servers that know no schemas."""
    pin = pin_for(server.base_url, options={"structured": structured})
    Model(pin, provider_for(pin), schema=SCHEMA).complete("a ticket")
    assert expected == sent(server).get("response_format")


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_reply_says_what_the_provider_said(
    api: str, server: FaultServer, model_for: Callable[..., Model]
) -> None:
    """Text, finish reason, served model and usage are read; `last` keeps the reply."""
    model = model_for(server.base_url, options={"api": api})
    reply = model.complete("hello")
    assert ('{"category": "billing"}', "stop", "m-1", False) == (
        reply.text,
        reply.finish_reason,
        reply.served_model,
        reply.has_value,
    )
    assert reply.usage is not None
    assert reply.usage.output_tokens is not None
    assert model.last is reply


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_stream_gives_the_same_reply(
    api: str, server: FaultServer, model_for: Callable[..., Model]
) -> None:
    """A streamed answer ends in the reply that a plain call would have given."""
    model = model_for(server.base_url, options={"api": api})
    plain = model.complete("hello")
    stream = model.stream("hello")
    text = "".join(stream)
    assert stream.reply is not None
    assert (plain.text, plain.finish_reason, plain.served_model) == (
        text,
        stream.reply.finish_reason,
        stream.reply.served_model,
    )
    assert (plain.text, plain.usage) == (stream.reply.text, stream.reply.usage)


@pytest.mark.parametrize("mode", ["plain", "stream"])
@pytest.mark.parametrize("api", ["chat", "responses"])
def test_tool_calls_are_read(
    api: str, mode: str, server: FaultServer, model_for: Callable[..., Model]
) -> None:
    """A tool call comes back with its name and its arguments, plain and streamed."""
    model = model_for(server.url("tool_call"), options={"api": api})
    if mode == "plain":
        reply = model.complete("hello", tools=[TOOL])
    else:
        stream = model.stream("hello", tools=[TOOL])
        list(stream)
        reply = stream.reply
    assert reply is not None
    assert "tool_calls" == reply.finish_reason
    assert reply.tool_calls[0].name
    assert reply.tool_calls[0].arguments.startswith("{")


def test_raw_client_is_seen_and_sends_no_retries(
    server: FaultServer, model_for: Callable[..., Model]
) -> None:
    """A body that parses the raw client's answer itself still leaves `last` behind."""
    model = model_for(server.url("wrong_model"))
    messages = [{"role": "user", "content": "hi"}]
    client = model.client
    answer = client.chat.completions.create(model=model.id, messages=messages)
    assert answer.choices[0].message.content is not None
    assert model.last is not None
    assert model.last.served_model not in {None, "m-1"}
    assert 0 == client.max_retries


def test_closing_the_raw_client_leaves_the_shared_one_open(
    server: FaultServer, model_for: Callable[..., Model]
) -> None:
    """`with model.client as client:` must not end other threads' calls."""
    model = model_for(server.base_url)
    with model.client as client:
        client.models.list()
    assert "stop" == model.complete("hello").finish_reason


def test_prompt_digest_travels_and_is_checked(
    server: FaultServer, pin_for: Callable[..., Pin]
) -> None:
    """A reply names its prompt; another prompt than the pinned one is refused."""
    prompt = Prompt("Sort this ticket: {ticket}")
    pin = pin_for(server.base_url, prompt_digest=prompt.digest)
    model = Model(pin, provider_for(pin))
    assert prompt.digest == model.complete(prompt.format(ticket="x")).prompt_digest
    with pytest.raises(ConfigError, match="qualified with prompt") as caught:
        model.complete(Prompt("Sort: {ticket}").format(ticket="x"))
    assert "llmguard pin refresh" in str(caught.value)
    assert 1 == server.count()


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"temperature": 1}, "fixes `temperature` at 0"),
        ({"model": "other"}, "the pin decides which version"),
        ({"timeout": 3}, "`deadline` decides"),
        ({"extra_body": {"model": "other"}}, "by name"),
    ],
)
def test_pinned_parameters_cannot_be_overridden(
    params: dict[str, Any],
    match: str,
    server: FaultServer,
    model_for: Callable[..., Model],
) -> None:
    """What the pin fixes, no call may change; repeating the pinned value is fine."""
    model = model_for(server.base_url, params={"temperature": 0})
    model.complete("hello", temperature=0)
    with pytest.raises(ConfigError, match=match):
        model.complete("hello", **params)
    assert 1 == server.count()


def test_no_time_left_sends_nothing(
    server: FaultServer, model_for: Callable[..., Model]
) -> None:
    """A call that starts after its deadline is a timeout without a request."""
    with pytest.raises(TierTimeoutError) as caught:
        model_for(server.base_url, seconds=0.0).complete("hello")
    assert (Kind.TIMEOUT, 0) == (caught.value.kind, server.count())


def test_missing_key_is_named_before_any_request(
    pin_for: Callable[..., Pin], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A remote endpoint without a key is `auth`, and the error names the variable."""
    monkeypatch.delenv("OPENAI_API_KEY")
    pin = pin_for("https://llm.example/v1", options={"api_key_env": "SORTER_KEY"})
    with pytest.raises(TierUnavailableError, match="SORTER_KEY") as caught:
        Model(pin, provider_for(pin)).complete("hello")
    assert Kind.AUTH == caught.value.kind


def test_loopback_needs_no_key_and_a_rotated_key_is_used(
    server: FaultServer,
    model_for: Callable[..., Model],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The key is read for every call, so rotating it needs no restart."""
    monkeypatch.delenv("OPENAI_API_KEY")
    model = model_for(server.base_url)
    model.complete("hello")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-second")
    model.complete("hello")
    keys = [r.headers["authorization"] for r in server.requests]
    assert ["Bearer none-needed", "Bearer sk-second"] == keys


def test_base_url_variable_does_not_move_a_pin(
    pin_for: Callable[..., Pin], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pin without an endpoint means the public one, whatever the environment says."""
    monkeypatch.setenv("OPENAI_BASE_URL", "https://elsewhere.example/v1")
    pin = pin_for(None)
    client = Model(pin, provider_for(pin)).client
    assert "https://api.openai.com/v1/" == str(client.base_url)


@pytest.mark.parametrize(
    "fields",
    [
        {"options": {"api": "completions"}},
        {"options": {"structured": "xml"}},
        {"params": {"model": "other"}},
    ],
)
def test_wrong_pin_is_refused_when_its_provider_is_made(
    fields: dict[str, Any], pin_for: Callable[..., Pin]
) -> None:
    """A misspelt option is an error of the pin, not of some later call."""
    with pytest.raises(ConfigError, match="pin 'triage'"):
        provider_for(pin_for("http://127.0.0.1:1/v1", **fields))


def test_async_calls_share_one_connection_pool_per_loop(
    pin_for: Callable[..., Pin],
) -> None:
    """Calls of one loop reuse connections; a second loop opens its own."""
    with FaultServer(keep_alive=True) as server:
        pin = pin_for(server.base_url)

        async def three() -> None:
            for _ in range(3):
                await Model(pin, provider_for(pin)).acomplete("hello")

        asyncio.run(three())
        asyncio.run(three())
        assert (6, 2) == (server.count(), server.connections)
