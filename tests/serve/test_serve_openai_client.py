"""The real `openai` client, unmodified, against the server."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from pydantic import BaseModel


class Triage(BaseModel):
    category: Literal["billing", "shipping", "refund", "account", "bug", "other"]
    priority: Literal["low", "normal", "high", "urgent"]
    needs_human: bool
    order_id: str | None


def as_format(schema: Any) -> dict[str, Any]:
    return {
        "type": "json_schema",
        "json_schema": {"name": "triage", "strict": True, "schema": schema},
    }


def ask(client: Any, prompt: str, **fields: Any) -> Any:
    fields.setdefault("model", "triage-1.0")
    messages = [{"role": "user", "content": prompt}]
    return client.chat.completions.create(messages=messages, **fields)


def test_chat_completion_holds_the_schema(
    client: Any, prompt: str, schema: Any
) -> None:
    """A chat completion is valid, complete, counted and says which weights spoke."""
    import llmguard_models

    done = ask(client, prompt, response_format=as_format(schema))
    assert Triage.model_validate_json(done.choices[0].message.content)
    assert done.choices[0].finish_reason == "stop"
    assert done.model == "triage-1.0"
    digest = llmguard_models.manifest()["triage-1.0"]["sha256"]
    assert f"sha256:{digest}" == done.system_fingerprint
    usage = done.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert "/category" in done.llmguard["field_confidence"]


def test_parse_returns_the_pydantic_object(client: Any, prompt: str) -> None:
    """`chat.completions.parse` gives an object of the caller's own class."""
    done = client.chat.completions.parse(
        model="triage-1.0",
        messages=[{"role": "user", "content": prompt}],
        response_format=Triage,
    )
    assert isinstance(done.choices[0].message.parsed, Triage)


def test_stream_adds_up_to_the_whole_answer(
    client: Any, prompt: str, schema: Any
) -> None:
    """Streamed pieces together are the answer that comes in one piece."""
    whole = ask(client, prompt, response_format=as_format(schema))
    chunks = list(
        ask(
            client,
            prompt,
            response_format=as_format(schema),
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    texts = [c.choices[0].delta.content or "" for c in chunks if c.choices]
    assert whole.choices[0].message.content == "".join(texts)
    assert len([t for t in texts if t]) > 3
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert whole.usage.completion_tokens == chunks[-1].usage.completion_tokens


def test_stream_helper_parses(client: Any, prompt: str) -> None:
    """The client's own streaming helper accumulates and parses."""
    with client.chat.completions.stream(
        model="triage-1.0",
        messages=[{"role": "user", "content": prompt}],
        response_format=Triage,
    ) as stream:
        done = stream.get_final_completion()
    assert isinstance(done.choices[0].message.parsed, Triage)


def test_responses_create_and_parse(client: Any, prompt: str) -> None:
    """The Responses API gives the same answer as Chat Completions."""
    done = client.responses.parse(model="triage-1.0", input=prompt, text_format=Triage)
    chat = client.chat.completions.parse(
        model="triage-1.0",
        messages=[{"role": "user", "content": prompt}],
        response_format=Triage,
    )
    assert chat.choices[0].message.parsed == done.output_parsed
    assert done.status == "completed"
    assert done.usage.input_tokens == chat.usage.prompt_tokens


def test_responses_stream(client: Any, prompt: str) -> None:
    """Streamed events come numbered, and end with the whole response."""
    with client.responses.stream(
        model="triage-1.0", input=prompt, text_format=Triage
    ) as stream:
        events = list(stream)
        done = stream.get_final_response()
    assert list(range(len(events))) == [e.sequence_number for e in events]
    deltas = [e.delta for e in events if e.type == "response.output_text.delta"]
    assert done.output_text == "".join(deltas)
    assert isinstance(done.output_parsed, Triage)


def test_messages_as_parts_and_instructions(
    client: Any, prompt: str, schema: Any
) -> None:
    """Text may come in parts, and instructions are a system message."""
    done = client.responses.create(
        model="triage-1.0",
        instructions="Be brief.",
        input=[{"role": "user", "content": [{"type": "input_text", "text": prompt}]}],
        text={"format": {"type": "json_schema", "name": "triage", "schema": schema}},
        max_output_tokens=200,
    )
    assert Triage.model_validate_json(done.output_text)
    assert done.instructions == "Be brief."
    assert done.max_output_tokens == 200


def test_json_object_is_an_object(client: Any, prompt: str) -> None:
    """`json_object` gives some JSON object, whatever the model would have said."""
    done = ask(client, prompt, response_format={"type": "json_object"})
    assert isinstance(json.loads(done.choices[0].message.content), dict)


def test_plain_text_is_cut_at_max_tokens_and_stop(client: Any, prompt: str) -> None:
    """Free text ends at `max_tokens`, and before a stop text."""
    cut = ask(client, prompt, max_tokens=3)
    assert (cut.choices[0].finish_reason, cut.usage.completion_tokens) == ("length", 3)
    stopped = ask(client, prompt, stop=[":"])
    assert ":" not in stopped.choices[0].message.content
    assert stopped.choices[0].finish_reason == "stop"


def test_no_half_json_at_max_tokens(client: Any, prompt: str, schema: Any) -> None:
    """JSON that cannot be closed in time is withheld: the client's parser says so."""
    import openai

    done = ask(client, prompt, response_format=as_format(schema), max_tokens=5)
    assert ("", "length") == (
        done.choices[0].message.content,
        done.choices[0].finish_reason,
    )
    with pytest.raises(openai.LengthFinishReasonError):
        client.chat.completions.parse(
            model="triage-1.0",
            messages=[{"role": "user", "content": prompt}],
            response_format=Triage,
            max_tokens=5,
        )


def test_half_json_is_an_incomplete_response(
    client: Any, prompt: str, schema: Any
) -> None:
    """The Responses API calls the same thing incomplete."""
    done = client.responses.create(
        model="triage-1.0",
        input=prompt,
        text={"format": {"type": "json_schema", "name": "triage", "schema": schema}},
        max_output_tokens=5,
    )
    assert done.status == "incomplete"
    assert done.incomplete_details.reason == "max_output_tokens"


def test_keywords_beyond_the_grammar_are_named(client: Any, prompt: str) -> None:
    """What no grammar holds is enforced by drawing again, and named in a header."""
    tags = {
        "type": "array",
        "items": {"type": "string", "pattern": "^[a-d]$"},
        "uniqueItems": True,
        "minItems": 1,
        "maxItems": 2,
    }
    schema = {"type": "object", "properties": {"tags": tags}, "required": ["tags"]}
    raw = client.chat.completions.with_raw_response.create(
        model="triage-1.0",
        messages=[{"role": "user", "content": prompt}],
        response_format=as_format(schema),
        temperature=1.5,
        seed=3,
    )
    assert raw.headers["llmguard-checked-after"] == "uniqueItems #/properties/tags"
    found = json.loads(raw.parse().choices[0].message.content)["tags"]
    assert len(found) == len(set(found))


def test_the_same_seed_draws_the_same(client: Any, prompt: str) -> None:
    """Sampling is repeatable by its seed, negative ones included."""
    drawn = [
        ask(client, prompt, temperature=1.5, seed=seed, max_tokens=30)
        for seed in (-7, -7, 8)
    ]
    texts = [d.choices[0].message.content for d in drawn]
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]


def test_models_are_listed(client: Any) -> None:
    """The models endpoint lists what is served, with the pin."""
    (found,) = client.models.list().data
    assert found.id == "triage-1.0"
    assert found.pin.startswith("p-")
    assert client.models.retrieve("triage-1.0").id == "triage-1.0"


async def _stream_async(url: str, prompt: str) -> str:
    import openai

    async with openai.AsyncOpenAI(base_url=url, api_key="x", max_retries=0) as client:
        stream = await client.chat.completions.create(
            model="triage-1.0",
            messages=[{"role": "user", "content": prompt}],
            stream=True,
            max_tokens=10,
        )
        return "".join([c.choices[0].delta.content or "" async for c in stream])


def test_the_async_client(url: str, client: Any, prompt: str) -> None:
    """The async client gets the same text."""
    import asyncio

    whole = ask(client, prompt, max_tokens=10)
    text = asyncio.run(_stream_async(url, prompt))
    assert whole.choices[0].message.content == text
