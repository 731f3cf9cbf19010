"""Pieces that every reader of SDK responses shares."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final

from .._quick import quick
from ..outcome import Usage
from ._duck import get, get_int

__all__ = ["CONFIDENCES", "finish_of", "join_text", "sure", "usage_of"]

_usage: Final = quick(Usage)
CONFIDENCES: Final = ("min", "mean", "joint")

_FINISH: Final = {
    "content-filter": "content_filter",
    "end_turn": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "function_call": "tool_calls",
    "max_output_tokens": "length",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "model_length": "length",
    "safety": "content_filter",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
}


def finish_of(reason: object) -> str | None:
    """Return a provider's finish reason in OpenAI's words; None when it gave none."""
    if not isinstance(reason, str) or not reason:
        return None
    return _FINISH.get(reason.lower(), reason.lower())


def usage_of(raw: object) -> Usage | None:
    """Return the token counts of a response, under either API's names."""
    usage = get(raw, "usage")
    if usage is None:
        return None
    pairs = (("prompt_tokens", "completion_tokens"), ("input_tokens", "output_tokens"))
    for into, out in pairs:
        counts = (get_int(usage, into), get_int(usage, out))
        if counts != (None, None):
            return _usage(input_tokens=counts[0], output_tokens=counts[1])
    return None


def join_text(parts: Iterable[Any]) -> str | None:
    """Join the text parts of a message; None when it has none."""
    texts = [part if isinstance(part, str) else get(part, "text") for part in parts]
    found = [text for text in texts if isinstance(text, str)]
    return "".join(found) if found else None


def sure(tokens: Iterable[object], how: str) -> float | None:
    """Return the confidence in [0, 1] that token log-probabilities express.

    "min" is the probability of the least certain token: for JSON, whose syntax is
    near certain, that is the weakest decision in it. "mean" is the geometric mean per
    token, exp(mean of log p); "joint" is the probability of exactly this answer,
    exp(sum of log p). None when there are no usable log-probabilities.
    """
    logs = [value for token in tokens if (value := _logprob(token)) is not None]
    if not logs:
        return None
    log = {"min": min(logs), "mean": sum(logs) / len(logs), "joint": sum(logs)}[how]
    return math.exp(min(log, 0.0))


def _logprob(token: object) -> float | None:
    value = get(token, "logprob")
    usable = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if usable and not math.isnan(value) else None
