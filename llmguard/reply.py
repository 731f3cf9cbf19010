"""What a tier produced, before the contract has looked at it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ._dataclass import dataclass
from .outcome import Usage

__all__ = ["Reply", "ToolCall"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """One tool call a model asked for; llmguard never executes it.

    Attributes:
        id: The provider's id of the call.
        name: Name of the tool.
        arguments: Its arguments as the model wrote them: JSON text.
    """

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A provider-neutral answer.

    Attributes:
        text: The answer's text; None when there is none (a refusal, tool calls).
        value: An already parsed value (a dict, a model instance), for bodies that
            parse themselves and for tiers that are not models; None otherwise.
            `has_value` tells an absent value from a None that is the answer.
        has_value: True when `value` is the answer.
        finish_reason: `stop`, `length`, `content_filter`, `tool_calls`, or None
            when the provider did not say.
        refusal: The refusal's text, when the provider marks one.
        served_model: Model id that the provider echoed.
        fingerprint: The provider's system fingerprint.
        usage: Tokens counted by the provider.
        tool_calls: Tool calls the model asked for.
        confidence: Confidence of the answer in [0, 1].
        field_confidence: Confidence per JSON pointer, when the tier knows it.
        rule: Name of the rule that fired (rules tiers).
        ticket_id: Ticket that was made (human tier).
        prompt_digest: Digest of the prompt that was sent.
        raw: The SDK's own response, untouched; built by the SDK when first looked at.
    """

    text: str | None = None
    value: object = None
    has_value: bool = False
    finish_reason: str | None = None
    refusal: str | None = None
    served_model: str | None = None
    fingerprint: str | None = None
    usage: Usage | None = None
    tool_calls: Sequence[ToolCall] = ()
    confidence: float | None = None
    field_confidence: Mapping[str, float] | None = None
    rule: str = ""
    ticket_id: str = ""
    prompt_digest: str = ""
    raw: object = None
