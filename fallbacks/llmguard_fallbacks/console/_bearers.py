"""Bearer tokens: who tries wrong ones is slowed down, and heard of once a minute."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

from llmguard.clock import Clock
from llmguard.store import Store
from llmguard.store.access import Granted, NewAudit, secret_digest

from ._limits import Limiter
from ._problems import LoginNeededError, RefusedError

__all__ = ["Bearers"]

_KNOWN: Final = 10_000


class Bearers:
    """Finds whose a bearer token is.

    An address has `per_minute` wrong tokens a minute. Beyond that its tokens are not
    looked up, but for those that this process has let in before: a guesser finds out
    nothing, and the programs that share its address work on.

    Args:
        store: Has users and tokens.
        per_minute: Wrong tokens a minute and address.
        clock: Gives the monotonic time.
    """

    def __init__(self, store: Store, per_minute: int, *, clock: Clock) -> None:
        self._store = store
        self._wrong = Limiter(per_minute, clock=clock)
        self._told = Limiter(1, clock=clock)
        self._lock = threading.Lock()
        # Digests of what was right, the least recently used first.
        self._known: OrderedDict[str, None] = OrderedDict()

    def admit(self, secret: str, address: str) -> Granted:
        """Return what a token allows.

        Args:
            secret: The token, as it was sent.
            address: Where it came from.

        Raises:
            LoginNeededError: It is unknown, expired or revoked.
            RefusedError: The address sent too many of those (429).
        """
        digest = secret_digest(secret)
        if not self._is_known(digest):
            self._refuse(address, self._wrong.wait(address, take=False))
        found = self._store.access.by_token(digest)
        self._remember(digest, right=found is not None)
        if found is not None:
            return found
        # Many at once have passed the first look: their turns are counted here.
        self._refuse(address, self._wrong.wait(address))
        self._audit(address, "token.failed", "failed", "no good bearer token")
        raise LoginNeededError(
            "the bearer token is unknown, expired or revoked; "
            "`llmguard console token list` shows what there is"
        )

    def _refuse(self, address: str, wait: int) -> None:
        if not wait:
            return
        self._audit(address, "token.limited", "refused", "too many bad bearer tokens")
        raise RefusedError(
            429,
            f"too many bad bearer tokens from {address or 'this address'}; wait "
            f"{wait} s. `llmguard console token list` shows what tokens there are",
            code="too_many_tokens",
            headers={"Retry-After": str(wait)},
        )

    def _is_known(self, digest: str) -> bool:
        with self._lock:
            return digest in self._known

    def _remember(self, digest: str, *, right: bool) -> None:
        with self._lock:
            self._known.pop(digest, None)
            if right:
                self._known[digest] = None
            while len(self._known) > _KNOWN:
                self._known.popitem(last=False)

    def _audit(self, address: str, action: str, outcome: str, detail: str) -> None:
        # Once a minute of each: strangers must not fill the audit.
        if self._told.wait(f"{action} {address}"):
            return
        self._store.access.audit(
            NewAudit(
                actor="",
                action=action,
                detail=detail,
                address=address,
                outcome=outcome,
            )
        )
