"""Alerts over HTTP, signed as the Standard Webhooks specification says.

Each request carries `webhook-id` (the same when it is retried, so a receiver can drop
twins), `webhook-timestamp` and `webhook-signature: v1,BASE64`, an HMAC-SHA256 of
`ID.TIMESTAMP.BODY` under the secret (https://www.standardwebhooks.com).
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from ...errors import ConfigError
from ._alert import Alert
from ._outbox import RetryLaterError
from ._post import Refused, post

__all__ = ["Webhook", "sign", "verify"]

_PREFIX: Final = "whsec_"
_TOLERANCE: Final = 300.0
_RETRY: Final = frozenset({408, 409, 425, 429})


def sign(secret: str, *, delivery: str, timestamp: int, body: bytes) -> str:
    """Return the value of `webhook-signature` for one request.

    Raises:
        ConfigError: `secret` does not start with `whsec_`, or is no base64 after that.
    """
    text = f"{delivery}.{timestamp}.".encode() + body
    digest = hmac.digest(_key(secret), text, "sha256")
    return f"v1,{base64.b64encode(digest).decode()}"


def verify(
    secret: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: float | None = None,
) -> bool:
    """Tell whether a request is ours and fresh (5 minutes), for those who receive it.

    Args:
        secret: The shared secret.
        headers: Of the request, with lower-case names.
        body: Its bytes, unchanged.
        now: Epoch seconds; by default the machine's.

    Raises:
        ConfigError: The secret is not `whsec_` and base64.
    """
    try:
        timestamp = int(headers["webhook-timestamp"])
        delivery, given = headers["webhook-id"], headers["webhook-signature"]
    except (KeyError, ValueError):
        return False
    now = time.time() if now is None else now
    if abs(now - timestamp) > _TOLERANCE:
        return False
    wanted = sign(secret, delivery=delivery, timestamp=timestamp, body=body)
    # Several, separated by spaces, while a secret is being changed.
    return any(
        hmac.compare_digest(wanted.encode(), one.encode()) for one in given.split(" ")
    )


def _key(secret: str) -> bytes:
    try:
        if not secret.startswith(_PREFIX):
            raise ValueError(secret)  # noqa: TRY301 - told below with the other way
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (ValueError, binascii.Error):
        raise ConfigError(
            "a webhook's secret is `whsec_` and base64; make one with `python -c "
            "'import base64, os; "
            'print("whsec_" + base64.b64encode(os.urandom(32)).decode())\'`'
        ) from None


@dataclass(frozen=True, slots=True)
class Webhook:
    """Posts every alert as JSON.

    The endpoint must be `https` with a certificate that holds, and its name must
    lead to public addresses only: a URL that somebody changed must not make this
    process talk to services inside. Redirects are not followed.

    Args:
        url: Where to.
        secret: `whsec_` and base64, shared with the receiver; None sends unsigned.
        timeout: Seconds that one try may take.
        allow_private: Also post to private, loopback and link-local addresses, and in
            plain HTTP; for receivers inside your own network.
        headers: Sent along, such as a token.

    Raises:
        ConfigError: The URL or the secret cannot be used.
    """

    url: str
    secret: str | None = field(default=None, repr=False)
    timeout: float = 5.0
    allow_private: bool = False
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        schemes = {"https", "http"} if self.allow_private else {"https"}
        if parts.scheme not in schemes or not parts.hostname:
            raise ConfigError(
                f"the webhook {self.url!r} must be an `https://` URL; for a receiver "
                "in your own network, `Webhook(url, allow_private=True)`, or "
                "`private+http://...` in the setting `alerts`, allows it"
            )
        if self.secret is not None:
            _key(self.secret)

    @property
    def name(self) -> str:
        """The endpoint without what may be secret in its path."""
        return f"webhook {urlsplit(self.url).hostname}"

    def deliver(self, alert: Alert, *, delivery: str, at: float) -> None:
        """Post it.

        Raises:
            RetryLaterError: No answer, 408, 409, 425, 429 or 5xx.
            Refused: Any other answer than 2xx, or an address that is not allowed.
            ConfigError: The secret is not `whsec_` and base64.
        """
        stamp = int(at)
        body = _body(alert, at)
        headers = {
            "content-type": "application/json",
            "user-agent": "llmguard-alerts",
            "webhook-id": f"msg_{delivery}",
            "webhook-timestamp": str(stamp),
            **self.headers,
        }
        if self.secret is not None:
            headers["webhook-signature"] = sign(
                self.secret, delivery=f"msg_{delivery}", timestamp=stamp, body=body
            )
        status, after = post(
            self.url,
            body,
            headers,
            timeout=self.timeout,
            allow_private=self.allow_private,
        )
        if status in _RETRY or status >= 500:  # noqa: PLR2004 - HTTP's
            raise RetryLaterError(f"answered {status}", after=after)
        if not 200 <= status < 300:  # noqa: PLR2004 - HTTP's
            raise Refused(f"answered {status}, which trying again does not change")


def _body(alert: Alert, at: float) -> bytes:
    document = {
        "type": "llmguard.alert.resolved" if alert.resolved else "llmguard.alert",
        "timestamp": datetime.fromtimestamp(at, UTC).isoformat(),
        "text": alert.text(),
        "data": alert.document(),
    }
    return json.dumps(document, default=str, ensure_ascii=False).encode()
