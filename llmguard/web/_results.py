"""`PREFIX/tickets/ID`: where the answer of a deferred call is fetched.

The look-up is a generator that yields what it waits for, so that the ASGI and WSGI
middlewares share it: the first awaits a thread and an event, the second blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Final, TypeAlias

from ..clock import Clock
from ..store import Store, TicketRecord, TicketState, TicketUnknownError
from ._answers import Answer, json_answer, problem
from ._asked import preferred_wait
from ._options import Seen, WebOptions
from ._secret import Signer

__all__ = ["POLL", "Fetch", "Results", "Step", "ticket_time"]

POLL: Final = 0.25
"""Seconds between looks at the commits of other processes."""

_SPILLED: Final = 86_400.0
_DIGITS: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_DIGITS: Final = 9

_GONE: Final = {
    TicketState.EXPIRED: "Nobody answered in time.",
    TicketState.CANCELLED: "The request was taken back.",
}

Step: TypeAlias = float | Callable[[], TicketRecord | None]
"""Seconds to pause, or a call that may block."""
Fetch: TypeAlias = Generator[Step, TicketRecord | None, Answer]


class Results:
    """Answers requests for results.

    Args:
        options: Of the middleware.
        store: Opens the store, when first needed.
        signer: Gives the signer, when first needed.
        clock: Measures waiting.
    """

    def __init__(
        self,
        options: WebOptions,
        *,
        store: Callable[[], Store],
        signer: Callable[[], Signer],
        clock: Clock,
    ) -> None:
        self._options = options
        self._store = store
        self._signer = signer
        self._clock = clock

    def location(self, seen: Seen, ticket_id: str) -> str:
        """Return the path under which this caller finds the answer."""
        path = f"{seen.root}{self._options.prefix}/tickets/{ticket_id}"
        if self._options.authorize is not None:
            return path
        return f"{path}?token={self._signer().token(ticket_id)}"

    def fetch(self, seen: Seen, ticket_id: str) -> Fetch:
        """Answer one request for a result, waiting as `Prefer: wait=N` asks."""
        if seen.method not in {"GET", "HEAD"}:
            return problem(405, "method", "A result can only be read.")
        if self._options.authorize is None and not self._signed(seen, ticket_id):
            return _unknown()
        wait = preferred_wait(seen.header("prefer"), self._options.max_wait)
        record = yield from self._watch(ticket_id, wait)
        authorize = self._options.authorize
        if authorize is not None and (record is None or not authorize(seen, record)):
            return _unknown()
        if record is None:
            return self._missing(seen, ticket_id)
        return self._answer(seen, record)

    def _signed(self, seen: Seen, ticket_id: str) -> bool:
        return self._signer().accepts(ticket_id, seen.query("token") or "")

    def _watch(
        self, ticket_id: str, wait: float
    ) -> Generator[Step, TicketRecord | None, TicketRecord | None]:
        end = self._clock.monotonic() + wait
        while True:
            record = yield lambda: self._look(ticket_id)
            if record is None or record.state not in {
                TicketState.OPEN,
                TicketState.CLAIMED,
            }:
                return record
            left = end - self._clock.monotonic()
            if left <= 0:
                return record
            yield min(POLL, left)

    def _look(self, ticket_id: str) -> TicketRecord | None:
        tickets = self._store().tickets
        try:
            record = tickets.get(ticket_id)
        except TicketUnknownError:
            return None
        if record.lapsed(self._clock.time()):
            tickets.sweep()
            record = tickets.get(ticket_id)
        if record.state is TicketState.ANSWERED:
            record = tickets.deliver(ticket_id)
        return record

    def _answer(self, seen: Seen, record: TicketRecord) -> Answer:
        if record.purged_at is not None:
            return _purged(record.id)
        if record.answered:
            # What was declared for when nobody answers is no person's answer.
            by_default = record.state is TicketState.EXPIRED
            return json_answer(
                200,
                {
                    "status": "expired" if by_default else "answered",
                    "ticket": record.id,
                    "value": record.answer,
                },
                ("X-LLMGuard-Tier", "expired" if by_default else "human"),
                ("X-LLMGuard-Degraded", "true"),
            )
        if record.state in _GONE:
            return problem(
                410, str(record.state), _GONE[record.state], ticket=record.id
            )
        if record.state is TicketState.REJECTED:
            return problem(
                409, "rejected", "A person declined to answer.", ticket=record.id
            )
        if record.state is TicketState.DEAD:
            return problem(
                500, "dead", "The ticket could not be worked on.", ticket=record.id
            )
        return self._pending(seen, record.id)

    def _pending(self, seen: Seen, ticket_id: str) -> Answer:
        options = self._options
        headers = [
            ("Retry-After", str(max(1, round(options.retry_after)))),
            ("Location", self.location(seen, ticket_id)),
        ]
        if seen.header("prefer"):
            headers.append(("Vary", "Prefer"))
        return json_answer(202, {"status": "pending", "ticket": ticket_id}, *headers)

    def _missing(self, seen: Seen, ticket_id: str) -> Answer:
        """Answer for a ticket of ours that the store does not have.

        It was written beside a store that was down and is not in it yet, or it is so
        old that it was purged.
        """
        made = ticket_time(ticket_id)
        if made is not None and self._clock.time() - made < _SPILLED:
            return self._pending(seen, ticket_id)
        return _purged(ticket_id)


def _purged(ticket_id: str) -> Answer:
    return problem(410, "purged", "The ticket is no longer kept.", ticket=ticket_id)


def ticket_time(ticket_id: str) -> float | None:
    """Return the epoch seconds at which a ticket id was made; None if it is none."""
    digits = ticket_id[:_TIME_DIGITS]
    if len(ticket_id) <= _TIME_DIGITS or any(sign not in _DIGITS for sign in digits):
        return None
    number = 0
    for sign in digits:
        number = number * 32 + _DIGITS.index(sign)
    return number / 1000


def _unknown() -> Answer:
    return problem(
        404,
        "unknown-ticket",
        "There is no such result for you.",
        detail="Use the `Location` of the 202 response as it was sent.",
    )
