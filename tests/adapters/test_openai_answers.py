"""An answer read from its JSON is the answer that the SDK's model would give."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmguard.adapters._openai_answer import LazyResponse, json_body
from llmguard.adapters.replies import read_answer

openai = pytest.importorskip("openai", reason="the `openai` package is not installed")


def _no_flag(value: object) -> bool:
    return not isinstance(value, bool)


ODD = st.none() | st.booleans() | st.integers(-2, 5) | st.text(max_size=3)
TEXT = st.sampled_from(["", "hello", '{"a": 1}'])
LOGPROB = st.fixed_dictionaries(
    # No booleans: the SDK takes `false` for the number 0, which is no probability.
    {},
    optional={"token": TEXT, "logprob": ODD.filter(_no_flag) | st.floats(-3, 0)},
)
CALL = st.fixed_dictionaries(
    {},
    optional={
        "id": ODD,
        "type": st.sampled_from(["function", "custom"]),
        "function": ODD | st.fixed_dictionaries({"name": TEXT, "arguments": TEXT}),
        "custom": ODD | st.fixed_dictionaries({"name": TEXT, "input": TEXT}),
    },
)
MESSAGE = st.fixed_dictionaries(
    {},
    optional={
        "role": TEXT,
        "content": ODD
        | TEXT
        | st.lists(st.fixed_dictionaries({"text": TEXT}), max_size=2),
        "refusal": ODD,
        "parsed": ODD,
        "tool_calls": ODD | st.lists(CALL, max_size=2),
        "function_call": ODD | st.fixed_dictionaries({"name": TEXT, "arguments": TEXT}),
    },
)
CHOICE = st.fixed_dictionaries(
    {},
    optional={
        "message": ODD | MESSAGE,
        "finish_reason": ODD | st.sampled_from(["stop", "length", "tool_calls"]),
        "logprobs": ODD
        | st.fixed_dictionaries({"content": ODD | st.lists(LOGPROB, max_size=2)}),
        "error": ODD,
    },
)
USAGE = st.dictionaries(
    st.sampled_from(["prompt_tokens", "completion_tokens", "input_tokens"]), ODD
)
CHAT = st.fixed_dictionaries(
    {},
    optional={
        "choices": ODD | st.lists(CHOICE, max_size=2),
        "model": ODD | st.just("m-1"),
        "system_fingerprint": ODD,
        "usage": ODD | USAGE,
        "error": ODD | st.fixed_dictionaries({"message": TEXT, "code": ODD}),
    },
)
PART = st.fixed_dictionaries(
    {"type": st.sampled_from(["output_text", "refusal", "other"])},
    optional={
        "text": ODD | TEXT,
        "refusal": ODD,
        "logprobs": ODD | st.lists(LOGPROB, max_size=2),
    },
)
ITEM = st.fixed_dictionaries(
    {"type": st.sampled_from(["message", "function_call", "reasoning"])},
    optional={
        "content": ODD | st.lists(PART, max_size=2),
        "call_id": ODD,
        "name": ODD | TEXT,
        "arguments": ODD | TEXT,
    },
)
RESPONSE = st.fixed_dictionaries(
    {},
    optional={
        "output": ODD | st.lists(ITEM, max_size=2),
        "status": ODD | st.sampled_from(["completed", "incomplete", "failed"]),
        "incomplete_details": ODD | st.fixed_dictionaries({"reason": ODD | TEXT}),
        "model": ODD | st.just("m-1"),
        "usage": ODD | USAGE,
        "error": ODD,
    },
)


def _raw(api: str, body: Any, kind: str = "application/json") -> Any:
    """Have the SDK receive `body`; return its raw response."""
    httpx = __import__(openai.DefaultHttpxClient.__mro__[1].__module__.split(".")[0])
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    transport = httpx.MockTransport(
        lambda _: httpx.Response(200, content=text, headers={"content-type": kind})
    )
    client = openai.OpenAI(
        api_key="k",
        base_url="http://x",
        http_client=httpx.Client(transport=transport),
    )
    if api == "chat":
        return client.chat.completions.with_raw_response.create(model="m", messages=[])
    return client.responses.with_raw_response.create(model="m", input="")


@pytest.mark.parametrize(("api", "bodies"), [("chat", CHAT), ("responses", RESPONSE)])
@settings(deadline=None)
@given(data=st.data())
def test_json_and_model_read_alike(api: str, bodies: Any, data: st.DataObject) -> None:
    """Whatever fields are there, missing, null or of an odd type."""
    raw = _raw(api, data.draw(bodies))
    body = json_body(raw)
    assert body is not None
    own, sdk = read_answer(body, api), read_answer(raw.parse(), api)
    assert replace(sdk, raw=None) == replace(own, raw=None)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"[1]", "application/json"),
        (b"{", "application/json"),
        (b"", "application/json"),
        (b"<html>", "text/html"),
        (b'{"a": 1}', "text/plain"),
    ],
)
def test_what_is_no_object_is_left_to_the_sdk(body: bytes, kind: str) -> None:
    """The SDK raises, or gives back, what it always did."""
    assert json_body(_raw("chat", body, kind)) is None


def test_the_sdks_own_response_is_there_for_whoever_asks() -> None:
    """It is parsed with the first field, and is then the same in every respect."""
    message = {"role": "assistant", "content": "hello"}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    raw = _raw("chat", {"id": "c-1", "model": "m-1", "choices": [choice]})
    lazy, whole = LazyResponse(raw), raw.parse()
    assert lazy._parsed is None
    assert "hello" == lazy.choices[0].message.content
    assert isinstance(lazy, openai.types.chat.ChatCompletion)
    assert repr(whole) == repr(lazy)
    assert lazy == whole
    assert lazy == LazyResponse(raw)
    assert whole == pickle.loads(pickle.dumps(lazy))  # noqa: S301 - our own bytes
