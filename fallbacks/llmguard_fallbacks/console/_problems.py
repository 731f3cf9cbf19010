"""What the console refuses, as a status and a sentence that says what to do."""

from __future__ import annotations

from collections.abc import Mapping

from llmguard.errors import LLMGuardError

__all__ = ["LoginNeededError", "RefusedError"]


class RefusedError(LLMGuardError):
    """A request that is not served.

    Attributes:
        status: HTTP status.
        code: Short name for programs.
        headers: Sent with it.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str = "refused",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = dict(headers or {})


class LoginNeededError(RefusedError):
    """Nobody is logged in; browsers are sent to the login page."""

    def __init__(self, message: str = "log in first") -> None:
        super().__init__(
            401,
            message,
            code="login_needed",
            headers={"WWW-Authenticate": 'Bearer realm="llmguard"'},
        )
