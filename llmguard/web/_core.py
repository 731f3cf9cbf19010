"""What the middlewares share: options, the store, the routes of their own."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from ..clock import SYSTEM_CLOCK, Clock
from ..store import Store, open_store
from ._answers import Answer, answer_for, headers_of, leaf
from ._asked import Asked, request_id_of
from ._ops import Ops
from ._options import Seen, WebOptions
from ._results import Fetch, Results
from ._secret import Signer, find_secret

__all__ = ["Core"]

_TICKET: Final = re.compile(r"/tickets/([0-9a-z]{10,40})", re.ASCII)


class Core:
    """One middleware's parts that know nothing of its server interface.

    Args:
        options: Checked options.
        clock: Measures how long results are waited for.
    """

    def __init__(self, options: WebOptions, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.options = options
        self.results = Results(
            options, store=self.store, signer=self._signer, clock=clock
        )
        self.ops = Ops(options, store=self.store)

    def store(self) -> Store:
        """Return the store; it is opened when first needed."""
        given = self.options.store
        if given is None or isinstance(given, str):
            return open_store(given)
        return given

    @functools.cached_property
    def _the_signer(self) -> Signer:
        return Signer(find_secret(self.options.secret, self.store()))

    def _signer(self) -> Signer:
        return self._the_signer

    def find(self, seen: Seen) -> Callable[[], Answer] | Fetch | None:
        """Return what answers a request to a route of ours; None for all others."""
        path = seen.path
        prefix = self.options.prefix
        if not path.startswith(prefix) and path != self.options.metrics_path:
            return None
        answer = self.ops.find(path)
        if answer is not None:
            return functools.partial(answer, seen)
        found = _TICKET.fullmatch(path[len(prefix) :])
        if found is None or not self.options.results:
            return None
        return self.results.fetch(seen, found[1])

    def context(self, request: Asked) -> dict[str, Any]:
        """Return the arguments of `call_context` for a request, but its deadline."""
        return {**request.labels, "key": request.key or ""}

    def named(self, answer: Answer, seen: Seen) -> Answer:
        """Return an answer that no application gave with the request's id on it."""
        options = self.options
        request_id = request_id_of(seen, options)
        added = headers_of((), options.headers, request_id, options.request_id_header)
        return replace(answer, headers=(*answer.headers, *added))

    def answer_to(self, error: BaseException, seen: Seen) -> Answer | None:
        """Return the response to an exception of ours; None for any other.

        For a deferred call it may open the store, or make the secret.
        """
        cause = leaf(error)
        ticket: str = getattr(cause, "ticket_id", "")
        wanted = ticket and self.options.results
        return answer_for(
            cause,
            location=self.results.location(seen, ticket) if wanted else "",
            retry_after=self.options.retry_after,
        )
