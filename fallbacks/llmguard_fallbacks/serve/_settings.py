"""How the server is run."""

from __future__ import annotations

from dataclasses import dataclass, field

from llmguard.errors import ConfigError

from .._uvicorn import is_loopback

__all__ = ["ServeSettings", "require_token"]

_TOKEN_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """Limits and the door.

    Attributes:
        token: Bearer token that clients must send; "" for none, which is allowed on
            loopback only.
        max_body: Most bytes of a request.
        max_tokens: Most tokens of an answer; 0 for what the context holds.
        concurrency: Requests per model that are answered or wait at a time; 0 for
            the model's slots and the places of its queue.
        timeout: Seconds for an answer, waiting for a slot included.
        body_timeout: Seconds for a client to send its request.
        retry_after: Seconds that a refused client is told to wait.
    """

    token: str = field(default="", repr=False)
    max_body: int = 1_000_000
    max_tokens: int = 0
    concurrency: int = 0
    timeout: float = 60.0
    body_timeout: float = 10.0
    retry_after: int = 1


def require_token(host: str, token: str) -> None:
    """Refuse to be reached from elsewhere without a token worth the name.

    Raises:
        ConfigError: No token beyond loopback, or one that can be guessed.
    """
    if not token and not is_loopback(host):
        raise ConfigError(
            f"listening on {host!r} lets other machines in, so a token is needed: put "
            "one into the environment, "
            "`export LLMGUARD_SERVE_TOKEN=$(openssl rand -hex 32)`, or listen on "
            "127.0.0.1"
        )
    if token and (len(token) < _TOKEN_BYTES or not token.isascii()):
        raise ConfigError(
            f"the token must have at least {_TOKEN_BYTES} ASCII characters; make one: "
            "`openssl rand -hex 32`"
        )
