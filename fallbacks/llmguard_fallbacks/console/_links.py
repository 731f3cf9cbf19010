"""Links that log in once: what `llmguard console` prints on this machine."""

from __future__ import annotations

import secrets
import threading
from typing import Final

from llmguard.clock import Clock
from llmguard.store.access import secret_digest

__all__ = ["LINK_LIFE", "Links"]

LINK_LIFE: Final = 3600.0
"""Seconds in which a link has to be used."""


class Links:
    """Codes of this process, each good for one login.

    Args:
        clock: Gives the monotonic time.
    """

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._users: dict[str, tuple[str, float]] = {}

    def make(self, user: str, *, life: float = LINK_LIFE) -> str:
        """Return a new code for a user."""
        code = secrets.token_urlsafe(32)
        with self._lock:
            self._users[secret_digest(code)] = (user, self._clock.monotonic() + life)
        return code

    def use(self, code: str) -> str:
        """Return whose code it is, which it is no longer; empty for no good one."""
        with self._lock:
            user, until = self._users.pop(secret_digest(code), ("", 0.0))
        return user if self._clock.monotonic() < until else ""
