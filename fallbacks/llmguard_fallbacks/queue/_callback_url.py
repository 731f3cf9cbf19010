"""Which URLs may be told of a ticket's end."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from llmguard.errors import ConfigError

__all__ = ["check_url"]

_LONGEST: Final = 2_000


def check_url(url: str) -> str:
    """Return a callback's URL, or an empty text as it is.

    Where its name leads is looked at when it is sent: that may change until then.

    Raises:
        ConfigError: It is no HTTP URL, holds a user or password, or is very long.
    """
    if not url:
        return url
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"the callback {url[:100]!r} is no URL: {error}") from None
    fits = parts.scheme in {"https", "http"} and parts.hostname and port != 0
    if not fits or not url.isascii() or any(sign <= " " for sign in url):
        raise ConfigError(
            f"the callback {url[:100]!r} must be an `https://` URL in plain ASCII"
        )
    if parts.username is not None or parts.password is not None:
        raise ConfigError(
            "the callback's URL holds a user or password, which would be stored with "
            "the ticket; receivers know us by the signature"
        )
    if len(url) > _LONGEST:
        raise ConfigError(f"the callback's URL is longer than {_LONGEST} characters")
    return url
