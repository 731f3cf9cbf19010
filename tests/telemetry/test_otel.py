"""OpenTelemetry: what is drawn and kept, under which names, and when nothing is."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import SpanKind, StatusCode

from llmguard import INJECTED, Model, Outcome, contract, fallback_chain, pinned, static
from llmguard.errors import CallError
from llmguard.outcome import Attempt, Kind, Usage
from llmguard.reply import Reply
from llmguard.telemetry import otel, tracing
from llmguard.telemetry.otel._metrics import Recorder
from llmguard.telemetry.otel._names import NAMES
from llmguard.testing import FakeModel, Refusal

Sdk = Any
SCHEMA = {
    "type": "object",
    "properties": {"kind": {"enum": ["a", "b"]}},
    "required": ["kind"],
    "additionalProperties": False,
}


def _sorter(*replies: Any, **options: Any) -> Any:
    fake = FakeModel([*replies], name="top-1")

    @fallback_chain(static({"kind": "b"}), **{"attempts": 1, **options})
    @contract(SCHEMA)
    @pinned(fake.pin("top"))
    def sort(text: str, *, model: Model = INJECTED) -> object:
        return model.complete(text)

    return sort


def test_one_span_per_call_and_one_per_attempt(sdk: Sdk) -> None:
    """The call is the attempt's parent; both say how it went."""
    sdk.enable()
    _sorter({"kind": "a"})("hello")
    call = next(s for name, s in sdk.spans.items() if name.startswith("guard "))
    attempt = sdk.spans["chat top-1"]
    assert call.parent is None
    assert attempt.parent.span_id == call.context.span_id
    assert attempt.kind is SpanKind.CLIENT
    said = dict(attempt.attributes)
    assert said["gen_ai.operation.name"] == "chat"
    assert said["gen_ai.provider.name"]
    assert said["gen_ai.request.model"] == "top-1"
    assert said["gen_ai.response.model"] == "top-1"
    assert said["gen_ai.output.type"] == "json"
    assert said["llmguard.kind"] == "ok"
    assert call.attributes["llmguard.outcome"] == "ok"
    assert call.attributes["llmguard.degraded"] is False
    assert not {"gen_ai.input.messages", "gen_ai.output.messages"} & set(said)


@pytest.mark.parametrize("moment", ["on_start", "on_end"])
def test_a_processor_that_raises_fails_no_call(
    sdk: Sdk, moment: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer is the caller's, whoever watches."""

    class Broken(SpanProcessor):
        """One of the application's own, which breaks."""

    def breaks(*_: object, **__: object) -> None:
        raise ValueError("no room")

    setattr(Broken, moment, breaks)
    sdk.tracer_provider.add_span_processor(Broken())
    sdk.enable()
    assert {"kind": "a"} == _sorter({"kind": "a"})("hello")
    assert "a span could not be drawn" in caplog.text


def test_a_failed_attempt_and_its_fallback(sdk: Sdk) -> None:
    """The attempt is an error; the call is not, and the constant has a span."""
    sdk.enable()
    _sorter("no json")("hello")
    bad, good = sdk.spans["chat top-1"], sdk.spans["tier static"]
    assert bad.status.status_code is StatusCode.ERROR
    assert bad.attributes["error.type"] == "bad_json"
    assert good.kind is SpanKind.INTERNAL
    assert good.attributes["llmguard.kind"] == "ok"
    call = next(s for name, s in sdk.spans.items() if name.startswith("guard "))
    assert call.status.status_code is StatusCode.UNSET
    assert call.attributes["llmguard.degraded"] is True


def test_a_call_that_nobody_answers(sdk: Sdk) -> None:
    """It is an error, and tiers that were passed over are events of it."""
    sdk.enable()
    fake = FakeModel(Refusal(), name="top-1")

    @contract(SCHEMA)
    @pinned(fake.pin("top"))
    def sort(text: str, *, model: Model = INJECTED) -> object:
        return model.complete(text)

    with pytest.raises(CallError):
        sort("hello")
    call = next(s for name, s in sdk.spans.items() if name.startswith("guard "))
    assert call.attributes["error.type"] == "refusal"
    never = _sorter({"kind": "a"}, when=lambda _: False)
    sdk.spans_kept.clear()
    never("hello")
    call = next(s for name, s in sdk.spans.items() if name.startswith("guard "))
    [event] = call.events
    assert event.attributes["llmguard.kind"] == "skipped"


@pytest.mark.parametrize("isolate", [True, False])
def test_what_the_body_does_is_its_child(sdk: Sdk, isolate: bool) -> None:
    """The attempt is current in the body, on a courier's thread too."""
    sdk.enable()
    fake = FakeModel({"kind": "a"}, name="top-1")
    tracer = sdk.tracer_provider.get_tracer("app")

    @fallback_chain(static({"kind": "b"}), isolate=isolate)
    @contract(SCHEMA)
    @pinned(fake.pin("top"))
    def sort(text: str, *, model: Model = INJECTED) -> object:
        with tracer.start_as_current_span("lookup"):
            return model.complete(text)

    with tracer.start_as_current_span("request"):
        sort("hello")
        assert trace.get_current_span().name == "request"  # type: ignore[attr-defined]  # the SDK's span
    spans = sdk.spans
    chain = ["lookup", "chat top-1"]
    call = next(s for name, s in spans.items() if name.startswith("guard "))
    assert spans[chain[0]].parent.span_id == spans[chain[1]].context.span_id
    assert spans[chain[1]].parent.span_id == call.context.span_id
    assert call.parent.span_id == spans["request"].context.span_id


def test_async_and_nested(sdk: Sdk) -> None:
    """A guarded call in a body is the grandchild of the outer call."""
    sdk.enable()
    inner_model = FakeModel({"kind": "a"}, name="inner-1")
    outer_model = FakeModel({"kind": "b"}, name="outer-1")

    @contract(SCHEMA)
    @pinned(inner_model.pin("inner"))
    async def inner(text: str, *, model: Model = INJECTED) -> object:
        return await model.acomplete(text)

    @contract(SCHEMA)
    @pinned(outer_model.pin("outer"))
    async def outer(text: str, *, model: Model = INJECTED) -> object:
        await inner(text)
        return await model.acomplete(text)

    async def both() -> None:
        await asyncio.gather(outer("one"), outer("two"))

    asyncio.run(both())
    spans = sdk.spans_kept.get_finished_spans()
    parents = {span.context.span_id: span for span in spans}

    def above(span: Any) -> list[str]:
        names: list[str] = []
        while span.parent is not None:
            span = parents[span.parent.span_id]
            names.append(span.name.split(".<locals>.")[-1])
        return names

    inners = [span for span in spans if span.name == "chat inner-1"]
    assert [above(span) for span in inners] == [["inner", "chat outer-1", "outer"]] * 2
    assert len({span.context.trace_id for span in inners}) == 2


def test_streams(sdk: Sdk) -> None:
    """The attempt is current while chunks are made, and not in the consumer."""
    sdk.enable()
    seen: list[str] = []
    fake = FakeModel("one two", name="top-1")

    def note() -> None:
        seen.append(getattr(trace.get_current_span(), "name", "none"))

    @pinned(fake.pin("top"))
    def talk(text: str, *, model: Model = INJECTED) -> Iterator[str]:
        for chunk in model.stream(text):
            note()
            yield chunk

    @pinned(fake.pin("top"))
    async def atalk(text: str, *, model: Model = INJECTED) -> AsyncIterator[str]:
        async for chunk in model.astream(text):
            note()
            yield chunk

    async def read() -> None:
        async for _ in atalk("hello"):
            assert not trace.get_current_span().is_recording()

    for _ in talk("hello"):
        assert not trace.get_current_span().is_recording()
    asyncio.run(read())
    assert set(seen) == {"chat top-1"}
    assert sdk.spans["chat top-1"].attributes["gen_ai.request.stream"] is True


@pytest.mark.parametrize("profile", ["released", "latest"])
def test_metrics_by_profile(sdk: Sdk, profile: str) -> None:
    """Durations are recorded off the path, counts are exact, names are the table's."""
    sdk.enable(profile=profile)
    usage = Usage(input_tokens=12, output_tokens=3)
    counted = Reply(text='{"kind": "a"}', finish_reason="stop", usage=usage)
    sort = _sorter(counted, "no json")
    sort("one")
    sort("two")
    found, names = sdk.metrics, NAMES[profile]  # type: ignore[index]  # a parameter
    points = {p.attributes.get("error.type"): p for p in found[names.duration]}
    assert {key: p.count for key, p in points.items()} == {None: 1, "bad_json": 1}
    assert points[None].explicit_bounds[0] == 0.01
    outcomes = {p.attributes["outcome"]: p.value for p in found["llmguard.calls"]}
    assert outcomes == {"ok": 1, "degraded": 1}
    if profile == "released":
        by_type = {
            p.attributes["gen_ai.token.type"]: p.sum
            for p in found["gen_ai.client.token.usage"]
        }
        assert by_type == {"input": 12, "output": 3}
    else:
        [total] = found["gen_ai.client.inference.usage.input_tokens"]
        [spread] = found["gen_ai.client.inference.operation.output_tokens"]
        assert (total.value, spread.sum) == (12, 3)
    other = NAMES["latest" if profile == "released" else "released"]
    assert other.duration not in found


def test_content_is_opt_in(sdk: Sdk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The official variable puts messages into spans, events, or both."""
    for value, in_span, events in [
        ("NO_CONTENT", False, 0),
        ("SPAN_ONLY", True, 0),
        ("EVENT_ONLY", False, 1),
        ("span_and_event", True, 1),
    ]:
        monkeypatch.setenv(otel.CAPTURE, value)
        sdk.spans_kept.clear()
        sdk.logs_kept.clear()
        sdk.enable()
        _sorter({"kind": "a"})("a secret")
        attributes = sdk.spans["chat top-1"].attributes
        assert ("gen_ai.input.messages" in attributes) is in_span
        assert len(sdk.events) == events
        if in_span:
            [sent] = json.loads(attributes["gen_ai.input.messages"])
            assert sent["parts"] == [{"type": "text", "content": "a secret"}]
            [came] = json.loads(attributes["gen_ai.output.messages"])
            assert json.loads(came["parts"][0]["content"]) == {"kind": "a"}
            assert came["finish_reason"] == "stop"
        if events:
            [record] = sdk.events
            assert record.event_name == "gen_ai.client.inference.operation.details"
            assert "a secret" in record.attributes["gen_ai.input.messages"]
            assert record.span_id == sdk.spans["chat top-1"].context.span_id


def test_a_full_queue_drops_and_counts(sdk: Sdk) -> None:
    """Histograms may miss measurements; counters never do."""
    meter = sdk.meter_provider.get_meter("test")
    recorder = Recorder(meter, names=NAMES["released"], capacity=2)
    start = tracing.AttemptStart(tier="t", provider="p", model="m", params={})
    fields: dict[str, Any] = {"tier": "t", "tier_index": 0, "number": 1, "started": 0.0}
    for kind in (Kind.OK, Kind.OPEN, Kind.TIMEOUT, Kind.OK):
        recorder._thread = recorder._thread or object()  # type: ignore[assignment]  # never started
        recorder(start, Attempt(kind=kind, elapsed=0.1, **fields))
    recorder._thread = None
    assert recorder.dropped == 1
    recorder.stop()
    points = sdk.metrics["gen_ai.client.operation.duration"]
    assert sum(point.count for point in points) == 2


def test_the_thread_feeds_histograms(sdk: Sdk) -> None:
    """Nobody has to flush; disabling ends the thread."""
    sdk.enable()
    _sorter({"kind": "a"})("one")
    recorder = otel._recorder
    assert recorder is not None
    thread = recorder._thread
    assert thread is not None
    otel.disable()
    assert not thread.is_alive()
    assert not recorder._waiting
    assert tracing.active is None


def test_exercises_and_trials_draw_nothing(sdk: Sdk) -> None:
    """Only calls that a caller waits for are traced."""
    from llmguard.guard import guard_of
    from llmguard.guard._runtime import current_runtime, use_runtime
    from llmguard.guard._trial import run_trial, trial_guard

    sdk.enable()
    fake = FakeModel({"kind": "a"}, name="top-1")
    sort = _sorter({"kind": "a"})
    run_trial(
        trial_guard(guard_of(sort), fake.pin("x")), current_runtime(), {"text": "a"}
    )
    with use_runtime(replace(current_runtime(), apart=True)):
        sort("b")
    assert sdk.spans == {}


def test_outcomes_are_the_same_with_and_without(sdk: Sdk) -> None:
    """Tracing changes nothing that a caller can see."""
    seen: list[Outcome] = []
    sort = _sorter({"kind": "a"}, {"kind": "a"})
    from llmguard import capture

    for enabled in (False, True):
        if enabled:
            sdk.enable()
        with capture() as outcomes:
            assert sort("x") == {"kind": "a"}
        seen += outcomes
    assert len({(one.kind, one.tier, len(one.attempts)) for one in seen}) == 1


def test_nothing_is_imported_until_it_is_enabled() -> None:
    """Neither calls nor Prometheus bring OpenTelemetry in; Redis's client may."""
    script = (
        "import sys, pybreaker\n"
        "known = {*sys.modules}\n"
        "import llmguard.telemetry.prometheus as p, llmguard.telemetry.otel\n"
        "from llmguard import pinned, INJECTED\n"
        "from llmguard.testing import FakeModel\n"
        "@pinned(FakeModel('hi').pin('x'))\n"
        "def talk(*, model=INJECTED): return model.complete('hello')\n"
        "talk(); p.render()\n"
        "found = [m for m in sys.modules if m.startswith('opentelemetry')]\n"
        "print([m for m in found if m not in known])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_body_that_returns_something_else(sdk: Sdk) -> None:
    """Usage and finish reason come from the model handle where the body drops them."""
    sdk.enable(capture="SPAN_ONLY")
    usage = Usage(input_tokens=7, output_tokens=2)
    reply = Reply(text="yes", finish_reason="stop", usage=usage)
    fake = FakeModel([reply], name="top-1")

    @contract(SCHEMA)
    @pinned(fake.pin("top"))
    def sort(text: str, *, model: Model = INJECTED) -> object:
        model.complete(text)
        return {"kind": "a"}

    sort("hello")
    attributes = sdk.spans["chat top-1"].attributes
    assert attributes["gen_ai.response.finish_reasons"] == ("stop",)
    [came] = json.loads(attributes["gen_ai.output.messages"])
    assert came["parts"][0]["content"] == "yes"


def test_an_attempt_that_asks_no_model(sdk: Sdk) -> None:
    """A body that raises before it asks has a span, and no content."""
    sdk.enable(capture="SPAN_ONLY")
    fake = FakeModel("hi", name="top-1")

    @fallback_chain(static("no"))
    @pinned(fake.pin("top"))
    def talk(text: str, *, model: Model = INJECTED) -> str:
        raise ValueError(text)

    assert talk("hello") == "no"
    attributes = sdk.spans["chat top-1"].attributes
    assert json.loads(attributes["gen_ai.input.messages"]) == []
    assert attributes["error.type"] == "error"
