"""Requests that get no answer, and what they are told instead."""

from __future__ import annotations

import json
from typing import Any

import pytest

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
HELLO = [{"role": "user", "content": "hello"}]
PLAIN: dict[str, Any] = {"model": "triage-1.0", "messages": HELLO}
IMAGE = {"type": "image_url", "image_url": {"url": "data:,"}}
NEVER = {"type": "object", "properties": {"a": False}, "required": ["a"]}


def with_schema(schema: Any) -> dict[str, Any]:
    inner = {"name": "x", "schema": schema}
    return {"response_format": {"type": "json_schema", "json_schema": inner}}


CASES: list[tuple[str, dict[str, Any], int, str]] = [
    (CHAT, {**PLAIN, "model": "gpt-9"}, 404, "served: 'triage-1.0'"),
    (CHAT, {"messages": HELLO}, 400, "`model` is missing"),
    (CHAT, {**PLAIN, "model": 3}, 400, "`model` must be a string"),
    (CHAT, {**PLAIN, "messages": []}, 400, "at least one message"),
    (CHAT, {**PLAIN, "messages": "hello"}, 400, "`messages` must be an array"),
    (CHAT, {**PLAIN, "messages": ["hello"]}, 400, "messages[0] must be"),
    (CHAT, {**PLAIN, "messages": [{"role": "tool", "content": ""}]}, 400, "role"),
    (CHAT, {**PLAIN, "messages": [{"role": "user"}]}, 400, "content"),
    (
        CHAT,
        {**PLAIN, "messages": [{"role": "user", "content": [IMAGE]}]},
        400,
        "read text only",
    ),
    (CHAT, {**PLAIN, "temperature": 3}, 400, "`temperature` must be a number"),
    (CHAT, {**PLAIN, "temperature": True}, 400, "`temperature`"),
    (CHAT, {**PLAIN, "temperature": 10**400}, 400, "`temperature` must be a number"),
    (CHAT, {**PLAIN, "max_tokens": 0}, 400, "`max_tokens`"),
    (CHAT, {**PLAIN, "max_tokens": 901}, 400, "from 1 to 900"),
    (CHAT, {**PLAIN, "seed": 1.5}, 400, "`seed`"),
    (CHAT, {**PLAIN, "stream": "yes"}, 400, "`stream` must be true or false"),
    (CHAT, {**PLAIN, "logprobs": True}, 400, "`logprobs` = True is not supported"),
    (CHAT, {**PLAIN, "n": 2}, 400, "`n` = 2 is not supported"),
    (CHAT, {**PLAIN, "tools": [{"type": "function"}]}, 400, "`tools`"),
    (CHAT, {**PLAIN, "temprature": 1}, 400, "did you mean `temperature`"),
    (CHAT, {**PLAIN, "stop": ["a"] * 5}, 400, "`stop` must be"),
    (CHAT, {**PLAIN, "stop": "}", **with_schema({"type": "object"})}, 400, "cut"),
    (CHAT, {**PLAIN, "response_format": {"type": "xml"}}, 400, "json_object"),
    (CHAT, {**PLAIN, "response_format": {"type": "json_schema"}}, 400, "`schema`"),
    (CHAT, {**PLAIN, **with_schema(NEVER)}, 400, "the schema cannot be held"),
    (
        CHAT,
        {**PLAIN, "messages": [{"role": "user", "content": "a b " * 3000}]},
        400,
        "the context holds",
    ),
    (RESPONSES, {"model": "triage-1.0"}, 400, "`input` must be"),
    (
        RESPONSES,
        {"model": "triage-1.0", "input": [{"type": "function_call"}]},
        400,
        "takes messages",
    ),
    (
        RESPONSES,
        {"model": "triage-1.0", "input": "a", "previous_response_id": "r"},
        400,
        "`previous_response_id`",
    ),
    (
        RESPONSES,
        {"model": "triage-1.0", "input": "a", "include": ["x"]},
        400,
        "`include`",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[3])
def test_refusals_say_what_is_wrong(
    url: str, raw: Any, case: tuple[str, dict[str, Any], int, str]
) -> None:
    """Each wrong request gets a status and a sentence, in the shape of OpenAI's API."""
    path, body, status, message = case
    got, _, data = raw(url, path, body)
    error = json.loads(data)["error"]
    assert (status, True) == (got, message in error["message"]), error
    assert {"message", "type", "param", "code"} == set(error)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"[" * 40_000, {}, 400),
        (b"[]", {}, 400),
        (b'{"model": "\xff"}', {}, 400),
        (b"x" * 60_000, {}, 413),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"{}", {"Host": "evil.example"}, 421),
    ],
)
def test_bodies_that_are_no_request(
    url: str, raw: Any, body: bytes, headers: dict[str, str], status: int
) -> None:
    """Bodies that are no JSON, too large or from web pages are refused."""
    got, _, data = raw(url, CHAT, body, headers=headers)
    assert (status, True) == (got, "message" in json.loads(data)["error"])


def test_a_body_without_a_length_is_limited_too(url: str, raw: Any) -> None:
    """A chunked body is cut off at the same limit."""
    got, _, data = raw(url, CHAT, iter([b"x" * 4096] * 20))
    assert (413, "request_too_large") == (got, json.loads(data)["error"]["code"])


def test_unknown_paths_and_methods(url: str, raw: Any) -> None:
    """A wrong path names the right ones."""
    got, _, data = raw(url, "/v1/completions", {})
    assert (404, True) == (got, CHAT in json.loads(data)["error"]["message"])
    assert raw(url, CHAT)[0] == 405
    assert raw(url, "/v1/models/gpt-9")[0] == 404


def test_the_client_raises_its_own_errors(client: Any) -> None:
    """The `openai` client maps refusals to its own classes."""
    import openai

    with pytest.raises(openai.NotFoundError, match="not served here"):
        client.chat.completions.create(model="gpt-9", messages=HELLO)
    with pytest.raises(openai.BadRequestError, match="logprobs"):
        client.chat.completions.create(
            model="triage-1.0", messages=HELLO, logprobs=True
        )


def test_a_schema_that_fails_every_draw_is_no_answer(client: Any) -> None:
    """When drawing again never helps, the client gets an error, not the wrong JSON."""
    import openai

    text = {"type": "string", "pattern": "^a$"}
    different = {"type": "array", "items": text, "uniqueItems": True, "minItems": 2}
    schema = {
        "type": "object",
        "properties": {"a": {**different, "maxItems": 2}},
        "required": ["a"],
    }
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(
            model="triage-1.0", messages=HELLO, **with_schema(schema)
        )
    assert (500, "schema_not_satisfied") == (
        caught.value.status_code,
        caught.value.code,
    )
