"""Errors in the shape of OpenAI's API, and which status a failed answer has."""

from __future__ import annotations

from typing import Any, Final

from llmguard.errors import CallError
from llmguard.outcome import Kind

__all__ = ["ApiError", "api_error", "busy"]

_INVALID: Final = "invalid_request_error"
_BUSY: Final = "busy:"
_TOO_LONG: Final = "the prompt has "


class ApiError(Exception):
    """A request that gets no answer.

    Args:
        status: HTTP status.
        message: What is wrong and what repairs it.
        kind: The error's `type`.
        code: The error's `code`.
        param: The parameter that is wrong.
        retry_after: Whole seconds for `Retry-After`; None for no such header.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = _INVALID,
        code: str | None = None,
        param: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param
        self.retry_after = retry_after

    def body(self) -> dict[str, Any]:
        """Return the JSON that clients of OpenAI's API understand."""
        return {
            "error": {
                "message": _writable(str(self)),
                "type": self.kind,
                "param": None if self.param is None else _writable(self.param),
                "code": self.code,
            }
        }

    def headers(self) -> dict[str, str]:
        """Return the headers that belong to it."""
        found: dict[str, str] = {}
        if self.retry_after is not None:
            found["retry-after"] = str(self.retry_after)
        if self.status == 401:  # noqa: PLR2004 - an HTTP status
            found["www-authenticate"] = "Bearer"
        return found


def _writable(text: str) -> str:
    """Return the text with a mark for what UTF-8 cannot hold: a path may have it."""
    return text.encode("utf-8", "replace").decode()


def busy(message: str, retry_after: int) -> ApiError:
    """Return the error of a server that has no place left."""
    return ApiError(
        429,
        message,
        kind="rate_limit_error",
        code="busy",
        retry_after=retry_after,
    )


def api_error(error: CallError, *, retry_after: int) -> ApiError:
    """Return what the client is told when the local runtime gave no answer.

    An answer that broke its schema is a 500 and not a 4xx: the request was fine, and
    the caller's next tier should be tried.

    Args:
        error: What the runtime raised.
        retry_after: Seconds after which trying again makes sense.
    """
    message = str(error)
    if message.startswith(_BUSY):
        return busy(message, retry_after)
    if message.startswith(_TOO_LONG):
        return ApiError(
            400, message, code="context_length_exceeded", param="max_tokens"
        )
    match error.kind:
        case Kind.TIMEOUT:
            status, code = 504, "timeout"
        case Kind.SKIPPED:
            status, code = 503, "unavailable"
        case Kind.SCHEMA | Kind.BAD_JSON:
            status, code = 500, "schema_not_satisfied"
        case Kind.TRANSPORT:
            status, code = 500, "worker_crashed"
        case _:
            status, code = 500, error.kind.value
    return ApiError(
        status,
        message,
        kind="server_error",
        code=code,
        retry_after=retry_after if status == 503 else None,  # noqa: PLR2004 - a status
    )
