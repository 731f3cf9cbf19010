"""Callbacks: sent out of the store, signed, tried again, never to places inside."""

from __future__ import annotations

import json
import logging
import os
import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from llmguard.clock import SYSTEM_CLOCK, Clock
from llmguard.errors import ConfigError
from llmguard.monitor.alerts import RetryLaterError, sign, verify
from llmguard.monitor.alerts._post import Refused, post
from llmguard.store import CLOSED, Callback, Store, TicketRecord

__all__ = ["CallbackSender", "SentCallbacks", "verify_callback"]

_LOG: Final = logging.getLogger("llmguard.queue")
SECRET: Final = "LLMGUARD_CALLBACK_SECRET"  # noqa: S105 - the variable's name
PRIVATE: Final = "LLMGUARD_CALLBACK_PRIVATE"
_TRIES: Final = 10
_FIRST: Final = 5.0
_GROWTH: Final = 3.0
_LONGEST: Final = 6 * 3600.0
_AFTER: Final = 3600.0
_RETRY: Final = frozenset({408, 409, 425, 429})


def verify_callback(
    secret: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: float | None = None,
) -> bool:
    """Tell whether a request is a callback of ours, and fresh; for receivers.

    A request older or newer than 5 minutes is refused. Within them the same one may
    come again: keep the `webhook-id` of those you have handled.

    Args:
        secret: The shared secret.
        headers: Of the request; names in any case.
        body: Its bytes, unchanged.
        now: Epoch seconds; by default the machine's.

    Raises:
        ConfigError: The secret is not `whsec_` and base64.
    """
    low = {name.lower(): value for name, value in headers.items()}
    return verify(secret, low, body, now=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class SentCallbacks:
    """What one round did: how many arrived, failed for now, and were given up."""

    sent: int
    failed: int
    dead: int


class CallbackSender:
    """Sends callbacks that are due; any number of processes may.

    Each try goes to an address that was looked up and found public just before, in one
    connection, without proxies and redirects. 2xx is success. No answer, 408, 409,
    425, 429, 5xx and errors of our own are tried again, 10 times within about 10 hours;
    anything else, and a private address, is given up at once. `llmguard queue revive`
    starts anew.

    Args:
        store: Has the callbacks.
        secret: `whsec_` and base64; by default `LLMGUARD_CALLBACK_SECRET`.
        private: Host names in your own network that may be sent to, also in plain
            HTTP; by default those in `LLMGUARD_CALLBACK_PRIVATE`, split by commas.
        timeout: Seconds that one try may take.
        clock: Gives timestamps.
        rng: Spreads the tries.

    Raises:
        ConfigError: There is no secret, or it is none.
    """

    def __init__(
        self,
        store: Store,
        *,
        secret: str | None = None,
        private: Collection[str] | None = None,
        timeout: float = 10.0,
        clock: Clock = SYSTEM_CLOCK,
        rng: random.Random | None = None,
    ) -> None:
        self._store = store
        self._secret = os.environ.get(SECRET, "") if secret is None else secret
        if not self._secret:
            raise ConfigError(
                f"callbacks are signed, and no secret is set: give `{SECRET}`, made "
                "with `python -c 'import base64, os; "
                'print("whsec_" + base64.b64encode(os.urandom(32)).decode())\'`'
            )
        sign(self._secret, delivery="x", timestamp=0, body=b"")
        told = os.environ.get(PRIVATE, "").split(",") if private is None else private
        self._private = frozenset(name.strip().lower() for name in told) - {""}
        self._timeout = timeout
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311 - not a secret

    def run(self, *, ticket_id: str | None = None, limit: int = 100) -> SentCallbacks:
        """Send what is due, up to `limit`.

        Raises:
            StoreError: The store fails; what was being sent is due again later.
        """
        counts = {"sent": 0, "failed": 0, "dead": 0}
        for _ in range(limit):
            # Longer than a try can take, so that nobody else sends it meanwhile.
            taken = self._store.callbacks.take(
                ticket_id=ticket_id, lease=3 * self._timeout + 30.0
            )
            if taken is None:
                break
            counts[self._send(taken)] += 1
        return SentCallbacks(**counts)

    def _send(self, callback: Callback) -> str:
        ticket = self._store.tickets.get(callback.ticket_id)
        if ticket.state not in CLOSED:
            return "failed"  # opened again since: it waits for its next end
        try:
            status = self._post(callback, ticket)
        except Refused as error:
            self._store.callbacks.failed(callback, result=str(error), retry=None)
            return "dead"
        except RetryLaterError as error:
            return self._later(callback, str(error), error.after)
        except Exception as error:  # noqa: BLE001 - what cannot be sent must end too
            # What the error says may quote the answer, which no event does.
            _LOG.exception("the callback of ticket %s failed", callback.ticket_id)
            what = f"{type(error).__name__}, unexpected: the sender's log says where"
            return self._later(callback, what)
        self._store.callbacks.sent(callback, result=f"answered {status}")
        return "sent"

    def _later(
        self, callback: Callback, result: str, after: float | None = None
    ) -> str:
        """Have it tried again, if it may; give it up else."""
        retry = self._pause(callback.attempts, after)
        self._store.callbacks.failed(callback, result=result, retry=retry)
        return "dead" if retry is None else "failed"

    def _post(self, callback: Callback, ticket: TicketRecord) -> int:
        stamp = int(self._clock.time())
        body = _body(ticket, stamp)
        name = (urlsplit(callback.url).hostname or "").lower()
        private = name in self._private
        if urlsplit(callback.url).scheme != "https" and not private:
            raise Refused(
                f"the callback to {name!r} is not `https://`; for a receiver in your "
                f"own network name it in `{PRIVATE}`"
            )
        delivery = f"cb_{callback.id}"
        status, after = post(
            callback.url,
            body,
            {
                "content-type": "application/json",
                "user-agent": "llmguard-callbacks",
                "webhook-id": delivery,
                "webhook-timestamp": str(stamp),
                "webhook-signature": sign(
                    self._secret, delivery=delivery, timestamp=stamp, body=body
                ),
            },
            timeout=self._timeout,
            allow_private=private,
        )
        if status in _RETRY or status >= 500:  # noqa: PLR2004 - HTTP's
            raise RetryLaterError(f"answered {status}", after=after)
        if not 200 <= status < 300:  # noqa: PLR2004 - HTTP's
            raise Refused(f"answered {status}, which trying again does not change")
        return status

    def _pause(self, attempts: int, after: float | None) -> float | None:
        """Return the seconds until the next try; None when there is none."""
        if attempts >= _TRIES:
            return None
        longest = min(_FIRST * _GROWTH ** (attempts - 1), _LONGEST)
        spread = longest * self._rng.uniform(0.5, 1.0)
        return max(spread, min(after or 0.0, _AFTER))


def _body(ticket: TicketRecord, stamp: int) -> bytes:
    data: dict[str, object] = {
        "ticket": ticket.id,
        "queue": ticket.queue,
        "state": str(ticket.state),
        "function": ticket.function,
        "call_id": ticket.call_id,
        "note": ticket.note,
    }
    if ticket.answered:
        data["value"] = ticket.answer
    document = {
        "type": f"llmguard.ticket.{ticket.state}",
        "timestamp": datetime.fromtimestamp(stamp, UTC).isoformat(),
        "data": data,
    }
    return json.dumps(document).encode()
