"""The HTTP half of classification: statuses, provider error codes, Retry-After."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final, cast

from ..outcome import Kind
from ._duck import get, get_text

__all__ = [
    "API_ERRORS",
    "NO_ANSWER",
    "describe",
    "error_of",
    "kind_of_error",
    "kind_of_status",
    "retry_after",
    "status_of",
]

API_ERRORS: Final = frozenset({"APIError", "OpenAIError", "AnthropicError"})
"""An API error without a status: the provider reported it inside a stream."""

NO_ANSWER: Final = frozenset({"APIConnectionError", "APITimeoutError"})
"""SDK errors for exchanges that never produced an answer."""

_LONGEST_ERROR: Final = 64 * 1024

# Codes and types as providers write them, lower case. OpenAI unless noted.
_CODES: Final[Mapping[str, Kind]] = {
    "access_terminated": Kind.AUTH,
    "account_deactivated": Kind.AUTH,
    "authentication_error": Kind.AUTH,
    "billing_error": Kind.AUTH,  # Anthropic
    "billing_hard_limit_reached": Kind.AUTH,
    "billing_not_active": Kind.AUTH,
    "insufficient_quota": Kind.AUTH,
    "invalid_api_key": Kind.AUTH,
    "permission_error": Kind.AUTH,  # Anthropic
    "context_length_exceeded": Kind.TRUNCATED,
    "exceed_context_size_error": Kind.TRUNCATED,  # llama-server
    "content_filter": Kind.FILTERED,  # Azure
    "content_policy_violation": Kind.FILTERED,
    "image_content_policy_violation": Kind.FILTERED,
    "bio_policy": Kind.FILTERED,
    "misalignment_policy_violation": Kind.FILTERED,
    "responsibleaipolicyviolation": Kind.FILTERED,  # Azure
    "model_not_found": Kind.WRONG_MODEL,
    "deploymentnotfound": Kind.WRONG_MODEL,  # Azure
    "model_decommissioned": Kind.WRONG_MODEL,  # Groq
    "model_deprecated": Kind.WRONG_MODEL,
    "rate_limit_error": Kind.THROTTLED,  # Anthropic
    "rate_limit_exceeded": Kind.THROTTLED,
    "overloaded_error": Kind.TRANSPORT,  # Anthropic
    "server_error": Kind.TRANSPORT,
    "api_error": Kind.TRANSPORT,  # Anthropic
    "invalid_prompt": Kind.BAD_REQUEST,
    "invalid_request_error": Kind.BAD_REQUEST,
}

_GONE: Final = (
    r"(?is)"
    r"model\b.*(not exist|not found|no longer|deprecat|retired|decommission|unknown)"
    r"|(not found|unknown|no such).*\bmodel\b|^model: "
)
_TOO_LONG: Final = (
    r"(?i)context (length|window|size)|prompt is too long|too many (input )?tokens"
)
_CALLER: Final = frozenset({400, 411, 413, 414, 422, 431})
_FINAL_CODES: Final = frozenset({Kind.TRUNCATED, Kind.FILTERED, Kind.WRONG_MODEL})
_SAFE_WORD: Final = r"[A-Za-z0-9_.\[\]-]{1,60}"
_MAX_STATUS: Final = 599


def status_of(exc: object) -> int | None:
    """Return the HTTP status an exception carries; None when it has none."""
    response = get(exc, "response")
    for holder, name in (
        (exc, "status_code"),
        (response, "status_code"),
        (exc, "http_status"),
        (exc, "status"),
        (exc, "code"),
    ):
        value = get(holder, name)
        if isinstance(value, int) and not isinstance(value, bool):
            return value if 100 <= value <= _MAX_STATUS else None  # noqa: PLR2004 - the range of HTTP statuses
    return None


def error_of(exc: object) -> object:
    """Return the provider's error object of an exception; the exception itself else."""
    body = get(exc, "body")
    if body is None:
        body = _sent(get(exc, "response"))
    if isinstance(body, Mapping):
        inner = cast("Mapping[str, Any]", body).get("error")
        return cast("object", inner if isinstance(inner, Mapping | str) else body)
    return exc


def _sent(response: object) -> object:
    """Return the JSON that httpx or requests has read already; never read more."""
    content = get(response, "_content")
    if not isinstance(content, bytes) or len(content) > _LONGEST_ERROR:
        return None
    try:
        return cast("object", json.loads(content))
    except (ValueError, RecursionError):
        return None


def kind_of_error(error: object) -> Kind | None:
    """Return the kind that a provider's error code or type stands for, if known."""
    for name in ("code", "type"):
        word = get_text(error, name)
        if word is not None and word.lower() in _CODES:
            return _CODES[word.lower()]
    return None


def kind_of_status(status: int | None, error: object, names: frozenset[str]) -> Kind:
    """Return the kind of an HTTP failure.

    Args:
        status: The HTTP status; None for an error reported inside a stream.
        error: The provider's error object.
        names: Class names of the exception, for codes that an SDK turned into one.
    """
    code = kind_of_error(error)
    if status is None:
        return code or Kind.TRANSPORT
    if status == 429:  # noqa: PLR2004 - HTTP statuses are best read as numbers
        return Kind.AUTH if code is Kind.AUTH else Kind.THROTTLED
    if status in {401, 402, 403}:
        return Kind.FILTERED if code is Kind.FILTERED else Kind.AUTH
    if status in {404, 410}:
        gone = code is Kind.WRONG_MODEL or re.search(_GONE, _message(error))
        return Kind.WRONG_MODEL if gone else Kind.TRANSPORT
    if status in _CALLER:
        return _kind_of_bad_request(error, code, names)
    return Kind.TRANSPORT


def _kind_of_bad_request(
    error: object, code: Kind | None, names: frozenset[str]
) -> Kind:
    """Tell input too long and filtered input from a plain mistake of the caller."""
    if code is not None and code in _FINAL_CODES:
        return code
    if "ContentPolicyViolationError" in names:
        return Kind.FILTERED
    return Kind.TRUNCATED if re.search(_TOO_LONG, _message(error)) else Kind.BAD_REQUEST


def _message(error: object) -> str:
    if isinstance(error, str):
        return error
    return get_text(error, "message") or ""


def describe(error: object) -> str:
    """Return the code, type and parameter of an error, where they are plain words."""
    said: list[str] = []
    for name in ("code", "type", "param"):
        word = get_text(error, name)
        if word is not None and re.fullmatch(_SAFE_WORD, word) and word not in said:
            said.append(f"`{name}` {word!r}")
    return f" ({', '.join(said)})" if said else ""


def retry_after(headers: Any, *, now: float) -> float | None:
    """Return the seconds a response asks to wait; None when it does not say.

    Reads `retry-after-ms`, then `Retry-After` as seconds or as an HTTP date (RFC 9110,
    section 10.2.3). A date in the past means 0.

    Args:
        headers: A mapping of header names, in any case.
        now: Epoch seconds.
    """
    if not hasattr(headers, "items"):
        return None
    found = {str(k).lower(): str(v) for k, v in headers.items()}
    millis = _number(found.get("retry-after-ms"))
    if millis is not None:
        return millis / 1000
    text = found.get("retry-after")
    seconds = _number(text)
    return _date(text, now) if seconds is None else seconds


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _date(text: str | None, now: float) -> float | None:
    try:
        from email.utils import parsedate_to_datetime

        when = parsedate_to_datetime(text or "")
    except (TypeError, ValueError):
        return None
    return max(0.0, when.timestamp() - now)
