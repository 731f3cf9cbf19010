"""Reading answers of any shape, without ever raising."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from typing import Any

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from llmguard.adapters import read_reply, reply_failure
from llmguard.outcome import Kind, Usage
from llmguard.reply import Reply, ToolCall

# The HTTP library under the SDK: httpx2 since openai 3.
httpx: Any = sys.modules["httpx2" if "httpx2" in sys.modules else "httpx"]

CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def chat(message: object, finish: str | None = "stop", **fields: Any) -> dict[str, Any]:
    """Return a chat completion as JSON."""
    choice = {"index": 0, "message": message, "finish_reason": finish}
    extra = {"logprobs": fields.pop("logprobs")} if "logprobs" in fields else {}
    return {
        "object": "chat.completion",
        "model": "m-1",
        "choices": [choice | extra],
        **fields,
    }


def response(*output: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a response of the Responses API as JSON."""
    return {
        "object": "response",
        "model": "m-1",
        "status": "completed",
        "output": list(output),
        **fields,
    }


def said(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": list(parts)}


def text(value: str) -> dict[str, Any]:
    return {"type": "output_text", "text": value, "annotations": []}


def as_sdk(data: dict[str, Any]) -> object:
    """Return the SDK's own object for a JSON answer."""
    model = ChatCompletion if "choices" in data else Response
    return model.model_construct(**data)


CHATS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        chat({"content": "hi"}, usage={"prompt_tokens": 3, "completion_tokens": 1}),
        {
            "text": "hi",
            "finish_reason": "stop",
            "served_model": "m-1",
            "usage": Usage(input_tokens=3, output_tokens=1),
        },
    ),
    (chat({"content": None, "refusal": "no"}), {"text": None, "refusal": "no"}),
    (chat({"content": "h"}, "length"), {"text": "h", "finish_reason": "length"}),
    (chat({"content": "h"}, "max_tokens"), {"finish_reason": "length"}),
    (chat({"content": ""}, "content_filter"), {"finish_reason": "content_filter"}),
    (chat({"content": "hi"}, None), {"finish_reason": None}),
    (
        chat(
            {"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
        ),
        {"text": "ab"},
    ),
    (
        chat({"content": None, "tool_calls": [CALL]}, "tool_calls"),
        {"tool_calls": (ToolCall(id="c1", name="f", arguments="{}"),)},
    ),
    (
        chat({"content": None, "function_call": CALL["function"]}, "function_call"),
        {
            "tool_calls": (ToolCall(id="", name="f", arguments="{}"),),
            "finish_reason": "tool_calls",
        },
    ),
    (chat({"content": "x"}, system_fingerprint="fp_1"), {"fingerprint": "fp_1"}),
]
RESPONSES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        response(said(text("a"), text("b")), usage={"input_tokens": 3}),
        {
            "text": "ab",
            "finish_reason": "stop",
            "served_model": "m-1",
            "usage": Usage(input_tokens=3),
        },
    ),
    (
        response(said({"type": "refusal", "refusal": "no"})),
        {"text": None, "refusal": "no"},
    ),
    (
        response(
            said(text("h")),
            status="incomplete",
            incomplete_details={"reason": "max_output_tokens"},
        ),
        {"text": "h", "finish_reason": "length"},
    ),
    (
        response(status="incomplete", incomplete_details={"reason": "content_filter"}),
        {"finish_reason": "content_filter"},
    ),
    (
        response(
            {"type": "reasoning"},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        ),
        {
            "tool_calls": (ToolCall(id="c1", name="f", arguments="{}"),),
            "finish_reason": "tool_calls",
        },
    ),
]


@pytest.mark.parametrize(("data", "fields"), CHATS + RESPONSES)
@pytest.mark.parametrize("sdk", [False, True])
def test_openai_answers(
    data: dict[str, Any], fields: dict[str, Any], *, sdk: bool
) -> None:
    """JSON and SDK objects of both APIs are read alike."""
    reply = read_reply(as_sdk(data) if sdk else data)
    assert fields == {name: getattr(reply, name) for name in fields}
    assert (None, False) == (reply_failure(reply), reply.has_value)


def test_parsed_answers_keep_their_value() -> None:
    """What `.parse()` made of the text is the value; the text stays beside it."""
    reply = read_reply(chat({"content": '{"a": 1}', "parsed": {"a": 1}}))
    assert ({"a": 1}, True, '{"a": 1}') == (reply.value, reply.has_value, reply.text)


BROKEN: list[tuple[dict[str, Any], Kind]] = [
    (chat(None), Kind.TRANSPORT),
    ({"object": "chat.completion", "choices": []}, Kind.TRANSPORT),
    ({"object": "chat.completion", "choices": None}, Kind.TRANSPORT),
    (
        {"choices": None, "error": {"code": "rate_limit_exceeded"}},
        Kind.THROTTLED,
    ),
    ({"choices": None, "error": {"type": "server_error"}}, Kind.TRANSPORT),
    (response(), Kind.TRANSPORT),
    (response(status="failed", error={"code": "server_error"}), Kind.TRANSPORT),
    (
        response(status="failed", error={"code": "rate_limit_exceeded"}),
        Kind.THROTTLED,
    ),
    (response(said(text("x")), status="in_progress"), Kind.TRANSPORT),
]


@pytest.mark.parametrize(("data", "kind"), BROKEN)
def test_answers_that_are_none(data: dict[str, Any], kind: Kind) -> None:
    """A response without an answer in it is a failure of its own kind."""
    failure = reply_failure(read_reply(as_sdk(data)))
    assert failure is not None
    assert kind == failure.kind


def test_anthropic_messages() -> None:
    """Messages of the Anthropic API are recognised by their fields."""
    message = {
        "type": "message",
        "model": "c-1",
        "stop_reason": "max_tokens",
        "content": [
            {"type": "text", "text": "half"},
            {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
        ],
        "usage": {"input_tokens": 2, "output_tokens": 5},
    }
    reply = read_reply(message)
    assert ("half", "length", "c-1") == (
        reply.text,
        reply.finish_reason,
        reply.served_model,
    )
    assert [ToolCall(id="t1", name="f", arguments='{"a": 1}')] == list(reply.tool_calls)
    refused = read_reply(message | {"stop_reason": "refusal", "content": []})
    assert "" == refused.refusal


def test_langchain_messages() -> None:
    """An `AIMessage` gives its text and what its provider reported."""
    cls = type("AIMessage", (), {})
    message = cls()
    message.content = "hi"
    message.response_metadata = {"finish_reason": "stop", "model_name": "m-1"}
    reply = read_reply(message)
    assert ("hi", "stop", "m-1") == (
        reply.text,
        reply.finish_reason,
        reply.served_model,
    )


def test_raw_http_responses() -> None:
    """A raw HTTP response is read through its body; an HTML page is no answer."""
    good = httpx.Response(200, json=chat({"content": "hi"}))
    page = httpx.Response(200, html="<html>portal</html>")
    assert "hi" == read_reply(good).text
    failure = reply_failure(read_reply(page))
    assert failure is not None
    assert Kind.TRANSPORT == failure.kind


class Triage(pydantic.BaseModel):
    choices: list[str]
    output: str = "x"
    object: str = "invoice"


@dataclasses.dataclass
class Point:
    x: int


@pytest.mark.parametrize(
    "value", [Triage(choices=["a"]), Point(1), {"choices": ["a"]}, [1], 3, None, True]
)
def test_ordinary_values_are_values(value: object) -> None:
    """A contract's own type is a value, even when its fields look like an SDK's."""
    reply = read_reply(value)
    assert (True, value) == (reply.has_value, reply.value)


def test_text_bytes_and_replies() -> None:
    """Text is text, bytes are UTF-8, a reply is itself."""
    reply = Reply(text="a")
    assert ["a", "é\ufffd"] == [
        read_reply("a").text,
        read_reply("é".encode() + b"\xff").text,
    ]
    assert read_reply(reply) is reply


@pytest.mark.parametrize(
    ("how", "confidence"), [("min", 0.5), ("mean", math.sqrt(0.5)), ("joint", 0.5)]
)
def test_confidence_from_log_probabilities(how: str, confidence: float) -> None:
    """The least certain token, the geometric mean, or the whole answer."""
    tokens = [{"token": "a", "logprob": 0.0}, {"token": "b", "logprob": math.log(0.5)}]
    data = chat({"content": "ab"}, logprobs={"content": tokens})
    assert math.isclose(confidence, read_reply(data, confidence=how).confidence or -1)


class Hostile:
    """An object every field of which raises."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError(name)


def test_hostile_objects_do_not_raise() -> None:
    """An object whose fields raise holds no answer."""
    assert "error" == read_reply(Hostile()).finish_reason


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices", "message", "content", "text", "type", "output", "usage",
                    "finish_reason", "logprobs", "tool_calls", "function", "status",
                    "error", "logprob", "delta", "parsed", "refusal", "model",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)  # fmt: skip
MARKS = [
    {"object": "chat.completion", "choices": []},
    {"object": "response", "output": []},
    {"type": "message", "stop_reason": None, "content": []},
    {},
]


@settings(max_examples=60, deadline=None)
@given(mark=st.sampled_from(MARKS), data=st.dictionaries(st.text(max_size=9), JSON))
def test_no_json_breaks_the_reader(mark: dict[str, Any], data: dict[str, Any]) -> None:
    """Any JSON, marked as any API's answer, is read into some reply."""
    for raw in (mark | data, type("ModelResponse", (), mark | data)()):
        reply = read_reply(raw)
        assert isinstance(reply, Reply)
        reply_failure(reply)
        assert reply.text is None or isinstance(reply.text, str)


@given(st.lists(JSON, max_size=2))
def test_no_choice_breaks_the_reader(choices: list[Any]) -> None:
    """Any content of `choices` is read into some reply."""
    reply = read_reply({"object": "chat.completion", "choices": choices})
    assert json.dumps(reply.text) is not None
