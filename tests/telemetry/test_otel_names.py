"""Profiles and capture: the official switches, and what OpenTelemetry itself says."""

from __future__ import annotations

import pytest

from llmguard.errors import ConfigError, LLMGuardWarning
from llmguard.telemetry import otel
from llmguard.telemetry.otel._content import Capture, capture_of
from llmguard.telemetry.otel._names import NAMES, PARAMS, profile_of


def test_the_old_value_is_explained() -> None:
    """`true` captures nothing, as in OpenTelemetry's code, and says what to write."""
    with pytest.warns(LLMGuardWarning, match="SPAN_ONLY"):
        found = capture_of(None, {otel.CAPTURE: "true"}, setting=True)
    assert found is Capture.NO_CONTENT
    assert capture_of(None, {}, setting=True) is Capture.SPAN_ONLY
    assert capture_of("EVENT_ONLY", {otel.CAPTURE: "SPAN_ONLY"}, setting=False) == (
        Capture.EVENT_ONLY
    )
    with pytest.raises(ConfigError, match="SPAN_AND_EVENT"):
        capture_of("all", {}, setting=False)


def test_the_profile_switch() -> None:
    """The official switch, or the program."""
    assert profile_of(None, {}) == "released"
    latest = {otel.OPT_IN: "http/dup, gen_ai_latest_experimental"}
    assert profile_of(None, latest) == "latest"
    assert profile_of("released", latest) == "released"
    with pytest.raises(ConfigError, match="'released' or 'latest'"):
        profile_of("newest", {})


def test_the_names_exist_in_the_released_conventions() -> None:
    """What `released` says is what OpenTelemetry's own package says."""
    from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
    from opentelemetry.semconv._incubating.metrics import gen_ai_metrics

    attributes = {v for k, v in vars(gen_ai_attributes).items() if k.isupper()}
    metrics = {v for k, v in vars(gen_ai_metrics).items() if k.isupper()}
    ours = NAMES["released"]
    assert {ours.duration, ours.usage_histogram} <= metrics
    named = {ours.operation, ours.provider, ours.request_model, ours.response_model}
    named |= {ours.finish_reasons, ours.output_type, ours.token_type}
    named |= {ours.input_tokens, ours.output_tokens, *PARAMS.values()}
    named |= {ours.input_messages, ours.output_messages}
    assert named <= attributes
