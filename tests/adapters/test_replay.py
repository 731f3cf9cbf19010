"""Recorded answers served as a model version, and how they are recorded."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmguard.adapters import (
    Model,
    Recorder,
    classify,
    provider_for,
    record_to,
    register_provider,
    verify_served,
)
from llmguard.adapters.openai_provider import OpenAIProvider
from llmguard.adapters.replay import ReplayProvider
from llmguard.errors import CallError, ConfigError
from llmguard.outcome import Kind, Usage
from llmguard.pins import Pin
from llmguard.reply import Reply, ToolCall
from llmguard.testing import FaultServer, VirtualClock, fake_pin

RECORDS = [
    {"prompt_id": "a", "sample": 1, "output": "second"},
    {"prompt_id": "a", "sample": 0, "output": "first"},
    {"prompt_id": "b", "sample": 0, "output": "only", "latency_s": 2.5},
    {"prompt_id": "cut", "output": "ha", "finish_reason": "length"},
    {"prompt_id": "down", "error": "timeout"},
    {"prompt_id": "full", "error": {"kind": "throttled", "detail": "429"}},
    {"prompt_id": "odd", "error": "no such kind"},
    {"prompt_id": "tool", "calls": [{"name": "f", "args": {"x": 1}}], "text": None},
]

ReplayFor = Callable[..., ReplayProvider]


@pytest.fixture
def replay(tmp_path: Path) -> ReplayFor:
    path = tmp_path / "triage-1.jsonl"
    path.write_text("\n".join(map(json.dumps, RECORDS)), encoding="utf-8")

    def make(clock: VirtualClock | None = None, **options: Any) -> ReplayProvider:
        pin = Pin(route="triage", provider="replay", model=str(path), options=options)
        return ReplayProvider(pin, clock=clock or VirtualClock(autojump=True))

    return make


def ask(provider: ReplayProvider, prompt_id: str) -> Reply:
    """Ask as a guarded function with that `prompt_id` argument would."""
    model = Model(provider.pin, provider, inputs={"prompt_id": prompt_id})
    reply: Reply = model.complete("whatever")
    return reply


def test_samples_come_in_order_and_wrap(replay: ReplayFor) -> None:
    """Each prompt has its own place in the recording, ordered by `sample`."""
    provider = replay()
    assert ["first", "only", "second", "first"] == [
        ask(provider, prompt_id).text for prompt_id in ("a", "b", "a", "a")
    ]


def test_exhausted_recording_can_be_an_error(replay: ReplayFor) -> None:
    """`exhausted = "error"` refuses to serve a sample twice."""
    provider = replay(exhausted="error")
    ask(provider, "b")
    with pytest.raises(
        CallError, match="has only 1 samples for prompt_id 'b'"
    ) as caught:
        ask(provider, "b")
    assert Kind.ERROR == caught.value.kind


def test_seeded_draws_repeat_and_differ_by_seed(replay: ReplayFor) -> None:
    """The same seed draws the same samples; another seed others."""

    def draws(seed: int) -> list[str | None]:
        provider = replay(select="seeded", seed=seed)
        return [ask(provider, "a").text for _ in range(20)]

    assert draws(1) == draws(1)
    assert draws(1) != draws(2)
    assert {"first", "second"} == set(draws(1))


def test_reply_is_what_was_recorded(replay: ReplayFor) -> None:
    """Finish reasons and tool calls are replayed; the pin's model is echoed."""
    provider = replay()
    cut, tool = ask(provider, "cut"), ask(provider, "tool")
    assert ("ha", "length") == (cut.text, cut.finish_reason)
    assert (ToolCall(id="call_0", name="f", arguments='{"x": 1}'),) == tool.tool_calls
    assert (None, "tool_calls") == (tool.text, tool.finish_reason)
    assert "match" == verify_served(provider.pin, cut)


@pytest.mark.parametrize(
    ("prompt_id", "kind"),
    [("down", Kind.TIMEOUT), ("full", Kind.THROTTLED), ("odd", Kind.TRANSPORT)],
)
def test_failures_are_replayed(prompt_id: str, kind: Kind, replay: ReplayFor) -> None:
    """A recorded failure is raised with its kind."""
    with pytest.raises(CallError, match="recorded failure") as caught:
        ask(replay(), prompt_id)
    assert kind == classify(caught.value).kind


def test_latency_is_replayed_on_request(replay: ReplayFor) -> None:
    """`latency = true` waits on the clock, no longer than the call may take."""
    clock = VirtualClock(autojump=True)
    provider = replay(clock, latency=True)
    started = clock.monotonic()
    ask(provider, "b")
    assert 2.5 == clock.monotonic() - started
    hurried = Model(
        provider.pin, provider, inputs={"prompt_id": "b"}, remaining=lambda: 1.0
    )
    with pytest.raises(CallError) as caught:
        hurried.complete("whatever")
    assert (Kind.TIMEOUT, 3.5) == (caught.value.kind, clock.monotonic() - started)


def test_unknown_prompt_says_what_to_do(replay: ReplayFor) -> None:
    """A prompt that was not recorded is named, with both remedies."""
    with pytest.raises(CallError, match=r"holds nothing for prompt_id 'z'.*record_to"):
        ask(replay(), "z")


def test_streams_and_async_give_the_same_text(replay: ReplayFor) -> None:
    """The streamed pieces join to the recorded text; async answers alike."""
    provider = replay()
    model = Model(provider.pin, provider, inputs={"prompt_id": "a"})
    stream = model.stream("x")
    assert "first" == "".join(stream)
    assert stream.reply is model.last
    assert "second" == asyncio.run(model.acomplete("x")).text


def test_recording_has_no_raw_client(replay: ReplayFor) -> None:
    """A body that uses the raw client cannot be replayed, and is told so."""
    provider = replay()
    with pytest.raises(ConfigError, match="has no raw client"):
        _ = Model(provider.pin, provider).client


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ('{"prompt_id": "a"}\n{bad', "line 2"),
        ('{"output": "x"}', "line 1: a record needs `prompt_id`"),
        ("[1]", "line 1: not a JSON object"),
    ],
)
def test_damaged_recordings_name_the_line(
    content: str, match: str, tmp_path: Path
) -> None:
    """What is wrong with a recording is found when it is first read."""
    path = tmp_path / "bad.jsonl"
    path.write_text(content, encoding="utf-8")
    pin = Pin(route="triage", provider="replay", model=str(path))
    with pytest.raises(ConfigError, match=match):
        ask(ReplayProvider(pin), "a")


def test_missing_recording_and_wrong_option_are_config_errors(tmp_path: Path) -> None:
    """A path that does not exist, and a misspelt choice, are the pin's mistakes."""
    pin = Pin(route="triage", provider="replay", model=str(tmp_path / "no.jsonl"))
    with pytest.raises(ConfigError, match="does not exist"):
        ask(ReplayProvider(pin), "a")
    with pytest.raises(ConfigError, match="'sequential', 'seeded'"):
        ReplayProvider(
            Pin(route="t", provider="replay", model="x", options={"select": "random"})
        )


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_recorded_calls_replay(
    suffix: str, server: FaultServer, pin_for: Callable[..., Pin], tmp_path: Path
) -> None:
    """What a provider answered, streamed, awaited or failed, is served again."""
    path = tmp_path / f"recorded{suffix}"
    live = pin_for(server.base_url)
    recorder = record_to(path, provider_for(live))
    model = Model(live, recorder, inputs={"prompt_id": "p"})
    model.complete("one")
    list(model.stream("one"))
    asyncio.run(model.acomplete("one"))
    server.fault = "429"
    with pytest.raises(Exception, match="Error code: 429"):
        Model(live, recorder).complete("two")

    pin = Pin(route="triage", provider="replay", model=str(path))
    again = Model(pin, provider_for(pin), inputs={"prompt_id": "p"})
    texts = [again.complete("one").text for _ in range(3)]
    assert ['{"category": "billing"}'] * 3 == texts
    assert again.last is not None
    assert ("m-1", "stop") == (again.last.served_model, again.last.finish_reason)
    assert isinstance(again.last.usage, Usage)
    with pytest.raises(CallError) as caught:
        Model(pin, provider_for(pin)).complete("two")
    assert Kind.THROTTLED == caught.value.kind


def test_half_a_character_is_recorded_escaped(tmp_path: Path) -> None:
    """A model that cuts one in two costs neither the answer nor the record."""
    live = fake_pin("cut \ud83d")
    path = tmp_path / "calls.jsonl"
    recorder = record_to(path, provider_for(live))
    reply: Reply = Model(live, recorder).complete("hello")
    assert "cut \ud83d" == reply.text
    assert 0 == recorder.lost
    assert "cut \ud83d" == json.loads(path.read_text(encoding="utf-8"))["output"]


def test_recorder_can_stand_before_every_provider_of_a_name(
    server: FaultServer, pin_for: Callable[..., Pin], tmp_path: Path
) -> None:
    """Registered in a provider's place, it records every guarded call."""
    path = tmp_path / "all.jsonl"
    register_provider("recorded", lambda pin: record_to(path, OpenAIProvider(pin)))
    pin = pin_for(server.base_url, provider="recorded")
    assert isinstance(provider_for(pin), Recorder)
    Model(pin, provider_for(pin)).complete("hello")
    (record,) = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    assert (0, "stop", 64) == (
        record["sample"],
        record["finish_reason"],
        len(record["request"]),
    )


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("llmdrift/opinionqa.outputs.gpt-4-0314.jsonl.gz", "output"),
        ("llm-stability/navigate.outputs.gpt-4o.jsonl.gz", "output"),
        ("zeroeval/gsm.outputs.gpt-4o-2024-05-13.jsonl.gz", "output"),
        ("xstest/outputs.gpt4.jsonl.gz", "output"),
        ("tau-bench-airline/outputs.gpt-4o.tasks-00-24.jsonl.gz", "final_text"),
    ],
)
def test_public_recordings_replay_in_full(
    name: str, field: str, recordings: Path
) -> None:
    """Every generation of real recordings comes back once, in order."""
    path = recordings / name
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    options = {"output": field, "exhausted": "error"}
    pin = Pin(route="triage", provider="replay", model=str(path), options=options)
    provider = ReplayProvider(pin)
    ordered = sorted(records, key=lambda r: (r["prompt_id"], r["sample"]))
    assert [r[field] for r in ordered] == [
        ask(provider, r["prompt_id"]).text for r in ordered
    ]


def test_recorded_function_calls_replay(recordings: Path) -> None:
    """Recorded tool calls come back as tool calls, recorded text as text."""
    name = "outputs.gpt-4o-2024-08-06-FC.run-2024-08-11.jsonl.gz"
    path = recordings / "bfcl-function-calls" / name
    pin = Pin(route="triage", provider="replay", model=str(path))
    provider = ReplayProvider(pin)
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    for record in records:
        reply = ask(provider, record["prompt_id"])
        assert record["text"] == reply.text
        assert [(c["name"], c["args"]) for c in record["calls"] or ()] == [
            (c.name, json.loads(c.arguments)) for c in reply.tool_calls
        ]
