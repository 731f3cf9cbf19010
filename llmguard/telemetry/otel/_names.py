"""Every OpenTelemetry name that llmguard writes, in one table, by profile.

All `gen_ai.*` names are still "development" and some are being renamed. `released` is
what the last release of the conventions says (semantic conventions 1.41, Python's
0.66b), `latest` what their own repository has said since autumn 2026. The official
switch chooses: `OTEL_SEMCONV_STABILITY_OPT_IN=gen_ai_latest_experimental`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from ..._dataclass import dataclass
from ...errors import ConfigError

__all__ = ["NAMES", "OPT_IN", "Names", "Profile", "profile_of"]

Profile = Literal["released", "latest"]
"""The released conventions, or those of their repository."""

OPT_IN: Final = "OTEL_SEMCONV_STABILITY_OPT_IN"
"""The environment variable that chooses the profile."""
_LATEST: Final = "gen_ai_latest_experimental"


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The names of one profile; those that both share are defaults."""

    # metrics
    duration: str
    usage_histogram: str | None
    """One histogram for both directions, told apart by `token_type`; or None."""
    usage_in: str | None
    """A histogram of input tokens per operation; or None."""
    usage_out: str | None
    usage_in_total: str | None
    """A counter of input tokens; or None."""
    usage_out_total: str | None

    # attributes
    token_type: str = "gen_ai.token.type"  # noqa: S105 - a name
    operation: str = "gen_ai.operation.name"
    provider: str = "gen_ai.provider.name"
    request_model: str = "gen_ai.request.model"
    response_model: str = "gen_ai.response.model"
    finish_reasons: str = "gen_ai.response.finish_reasons"
    output_type: str = "gen_ai.output.type"
    input_tokens: str = "gen_ai.usage.input_tokens"
    output_tokens: str = "gen_ai.usage.output_tokens"
    stream: str = "gen_ai.request.stream"
    fingerprint: str = "openai.response.system_fingerprint"
    error_type: str = "error.type"
    server_address: str = "server.address"
    server_port: str = "server.port"
    input_messages: str = "gen_ai.input.messages"
    output_messages: str = "gen_ai.output.messages"
    content_event: str = "gen_ai.client.inference.operation.details"

    # ours; stable by our own word
    function: str = "llmguard.function"
    call_id: str = "llmguard.call.id"
    outcome: str = "llmguard.outcome"
    degraded: str = "llmguard.degraded"
    tier: str = "llmguard.tier"
    pin: str = "llmguard.pin"
    attempt: str = "llmguard.attempt.number"
    kind: str = "llmguard.kind"
    detail: str = "llmguard.detail"
    violations: str = "llmguard.violations"
    rule: str = "llmguard.rule"
    ticket: str = "llmguard.ticket.id"
    confidence: str = "llmguard.confidence"
    contract: str = "llmguard.contract.digest"
    prompt: str = "llmguard.prompt.digest"
    passed_over: str = "llmguard.tier.passed_over"


NAMES: Final[Mapping[Profile, Names]] = {
    "released": Names(
        duration="gen_ai.client.operation.duration",
        usage_histogram="gen_ai.client.token.usage",
        usage_in=None,
        usage_out=None,
        usage_in_total=None,
        usage_out_total=None,
    ),
    "latest": Names(
        duration="gen_ai.client.inference.duration",
        usage_histogram=None,
        usage_in="gen_ai.client.inference.operation.input_tokens",
        usage_out="gen_ai.client.inference.operation.output_tokens",
        usage_in_total="gen_ai.client.inference.usage.input_tokens",
        usage_out_total="gen_ai.client.inference.usage.output_tokens",
    ),
}
"""All names of spans, metrics and attributes, by profile."""

PARAMS: Final[Mapping[str, str]] = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "max_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "seed": "gen_ai.request.seed",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
}
"""Pinned sampling parameters that have a name."""


def profile_of(chosen: str | None, environ: Mapping[str, str]) -> Profile:
    """Return the profile: what the program chose, else what the environment opts into.

    Raises:
        ConfigError: The program chose one that is not in the table.
    """
    if chosen is None:
        words = environ.get(OPT_IN, "").split(",")
        return "latest" if _LATEST in {w.strip() for w in words} else "released"
    for profile in NAMES:
        if profile == chosen:
            return profile
    raise ConfigError(
        f"profile {chosen!r} of `otel.enable` must be 'released' or 'latest'"
    )
