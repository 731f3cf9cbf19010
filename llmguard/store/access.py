"""Who may use the console and the queue's HTTP interface, and what they did there.

Secrets are never stored: tokens and session ids come in as SHA-256 digests of random
256-bit values, for which a slow hash would add nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

__all__ = [
    "SCOPES",
    "AccessSession",
    "AccessStore",
    "AccessToken",
    "AccessUser",
    "AuditRow",
    "Granted",
    "NewAudit",
    "secret_digest",
]

SCOPES: Final = ("read", "review", "approve", "admin")
"""What a principal may be allowed to do; none of them includes another."""


def secret_digest(secret: str) -> str:
    """Return what is stored of a token or a session id: its SHA-256, as hex."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessUser:
    """A person or a program that may come in.

    Attributes:
        name: Said in tickets, events and the audit.
        scopes: Of `SCOPES`.
        roles: Queue roles, `*` for all of them.
        created_at: Epoch seconds.
        created_by: Who added it.
        disabled_at: Since when it may no longer come in; None while it may.
    """

    name: str
    scopes: tuple[str, ...]
    roles: tuple[str, ...] = ()
    created_at: float = 0.0
    created_by: str = ""
    disabled_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """A secret of a user, without the secret.

    Attributes:
        id: Names it in lists and for revoking.
        user: Whose it is.
        scopes: What it allows, within what its user is allowed.
        label: What it is for.
        created_at: Epoch seconds.
        created_by: Who made it.
        expires_at: Until when it holds; None for ever.
        revoked_at: Since when it is revoked; None while it is not.
        used_at: When it was used last, to the minute; None when never.
    """

    id: str
    user: str
    scopes: tuple[str, ...]
    label: str = ""
    created_at: float = 0.0
    created_by: str = ""
    expires_at: float | None = None
    revoked_at: float | None = None
    used_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessSession:
    """A browser that logged in.

    Attributes:
        user: Who.
        scopes: What it allows, within what its user is allowed.
        via: How: `token`, `link` or `proxy`.
        token: Id of the token it was opened with, which ends it when revoked.
        created_at: Epoch seconds.
        seen_at: Last use, to the minute.
        expires_at: When it ends, used or not.
        address: Where it came from.
    """

    user: str
    scopes: tuple[str, ...]
    via: str
    token: str = ""
    created_at: float = 0.0
    seen_at: float = 0.0
    expires_at: float = 0.0
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """What a token or a session allows now.

    Attributes:
        user: Who it is.
        scopes: Those of the token or session that the user still has.
        token: Id of the token behind it, if any.
        via: How a session was opened; `bearer` for a token itself.
    """

    user: AccessUser
    scopes: tuple[str, ...]
    token: str = ""
    via: str = "bearer"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAudit:
    """Something that was done, or refused.

    Attributes:
        actor: Who; empty when nobody is known.
        action: What, such as `ticket.seen`, `ticket.answered`, `login.failed`.
        target: On what: a ticket's id, a user's name, a path.
        detail: One line; never a secret, never content of a ticket.
        address: Where it came from.
        outcome: `ok`, `refused` or `failed`.
    """

    actor: str
    action: str
    target: str = ""
    detail: str = ""
    address: str = ""
    outcome: str = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow(NewAudit):
    """A row of the audit.

    Attributes:
        seq: Grows with every row.
        at: Epoch seconds, by the writer's clock.
    """

    seq: int
    at: float


class AccessStore(Protocol):
    """Users, tokens, sessions and the audit. Every method raises `StoreError`."""

    def put_user(self, user: AccessUser) -> AccessUser:
        """Add a user, or change scopes, roles and whether it is disabled."""
        ...

    def get_user(self, name: str) -> AccessUser | None:
        """Return a user, or None."""
        ...

    def list_users(self) -> Sequence[AccessUser]:
        """Return every user, by name."""
        ...

    def disable_user(self, name: str) -> bool:
        """Keep a user out, ending sessions and tokens; False when there is none."""
        ...

    def add_token(self, token: AccessToken, digest: str) -> AccessToken:
        """Add a token by the digest of its secret."""
        ...

    def list_tokens(self, user: str | None = None) -> Sequence[AccessToken]:
        """Return tokens, the newest first."""
        ...

    def revoke_token(self, token_id: str) -> bool:
        """End a token and the sessions opened with it; False if it was ended."""
        ...

    def by_token(self, digest: str) -> Granted | None:
        """Return what a token allows now; None when it allows nothing."""
        ...

    def open_session(
        self, session: AccessSession, digest: str, *, replaces: str = ""
    ) -> None:
        """Begin a session; `replaces` is the digest of one that ends with it."""
        ...

    def by_session(self, digest: str, *, idle: float) -> Granted | None:
        """Return what a session allows now; None when it is over.

        Args:
            digest: Of the session's id.
            idle: Seconds without use after which it is over.
        """
        ...

    def touch_session(self, digest: str) -> None:
        """Record that a session was used, at most once a minute."""
        ...

    def close_session(self, digest: str) -> bool:
        """End a session; False when there was none."""
        ...

    def list_sessions(self, *, idle: float) -> Sequence[AccessSession]:
        """Return the sessions that are not over, the latest first."""
        ...

    def audit(self, *rows: NewAudit) -> None:
        """Write rows durably, on a full disk too as long as there is ballast."""
        ...

    def audited(
        self,
        *,
        actor: str | None = None,
        action: str | None = None,
        target: str | None = None,
        outcome: str | None = None,
        since: float | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> Sequence[AuditRow]:
        """Return rows, the newest first; None for any.

        Args:
            actor: Who.
            action: What; one that ends in a dot stands for all below it.
            target: On what.
            outcome: How it went.
            since: Epoch seconds.
            before: Only rows with a smaller `seq`: the next page.
            limit: Rows at most.
        """
        ...

    def purge(self, *, audit_before: float, sessions_before: float) -> tuple[int, int]:
        """Delete rows of the audit and sessions that ended before; returns how many."""
        ...
