"""What was said, in spans and events: nothing, unless the official variable says so."""

from __future__ import annotations

import enum
import json
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ...errors import ConfigError, LLMGuardWarning
from ..tracing import Content

__all__ = ["CAPTURE", "Capture", "capture_of", "input_json", "output_json"]

CAPTURE: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
"""The environment variable that decides about content."""


class Capture(enum.StrEnum):
    """Where prompts and answers go; the values of the variable."""

    NO_CONTENT = "NO_CONTENT"
    SPAN_ONLY = "SPAN_ONLY"
    EVENT_ONLY = "EVENT_ONLY"
    SPAN_AND_EVENT = "SPAN_AND_EVENT"

    @property
    def in_spans(self) -> bool:
        """True when spans carry content."""
        return self in {Capture.SPAN_ONLY, Capture.SPAN_AND_EVENT}

    @property
    def in_events(self) -> bool:
        """True when events carry content."""
        return self in {Capture.EVENT_ONLY, Capture.SPAN_AND_EVENT}


def capture_of(
    chosen: str | None, environ: Mapping[str, str], *, setting: bool
) -> Capture:
    """Return what to capture: by argument, else variable, else the setting.

    The variable's old value `true` captures nothing, as in OpenTelemetry's own
    utilities, and says which of the new ones was meant.

    Args:
        chosen: What the program asked for.
        environ: Where the variable is.
        setting: `capture_content` of llmguard's settings; true is `SPAN_ONLY`.

    Raises:
        ConfigError: The program chose a value that is none.
    """
    if chosen is not None:
        if chosen.upper() not in set(Capture):
            raise ConfigError(
                f"`capture={chosen!r}` must be one of {', '.join(Capture)}"
            )
        return Capture(chosen.upper())
    given = environ.get(CAPTURE, "").strip().upper()
    if given in set(Capture):
        return Capture(given)
    if given:
        meant = " (`true` was the old form of SPAN_ONLY)" if given == "TRUE" else ""
        warnings.warn(
            f"{CAPTURE} is {environ[CAPTURE]!r}{meant}, so no content is captured: "
            f"write one of {', '.join(Capture)}",
            LLMGuardWarning,
            stacklevel=3,
        )
        return Capture.NO_CONTENT
    return Capture.SPAN_ONLY if setting else Capture.NO_CONTENT


def input_json(content: Content) -> list[dict[str, Any]]:
    """Return what was sent in the conventions' shape: roles and parts."""
    return [{"role": role, "parts": [_part(body)]} for role, body in content.messages]


def output_json(content: Content, finish_reason: str | None) -> list[dict[str, Any]]:
    """Return what came back in the same shape; empty when nothing did."""
    if content.text is None:
        return []
    return [
        {
            "role": "assistant",
            "parts": [_part(content.text)],
            "finish_reason": finish_reason or "stop",
        }
    ]


def _part(body: object) -> dict[str, Any]:
    if isinstance(body, str):
        return {"type": "text", "content": body}
    return {"type": "text", "content": json.dumps(body, default=str)}


def as_text(parts: Sequence[Mapping[str, Any]]) -> str:
    """Return messages as the JSON text that a span attribute holds."""
    return json.dumps(list(parts), ensure_ascii=False, default=str)
