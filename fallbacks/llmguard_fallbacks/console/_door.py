"""Who comes in: bearer tokens, sessions, users whom a proxy has authenticated."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from llmguard.clock import Clock
from llmguard.errors import StoreError
from llmguard.store import Store
from llmguard.store.access import (
    AccessSession,
    AccessUser,
    Granted,
    NewAudit,
    secret_digest,
)

from ._bearers import Bearers
from ._principal import Principal
from ._problems import LoginNeededError, RefusedError
from ._settings import ConsoleSettings
from ._shield import host_name

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["SAFE", "Cookie", "Door", "same_origin"]

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Cookie:
    """A session's cookie to set, or to delete when `secret` is empty."""

    name: str
    secret: str
    secure: bool
    lifetime: int


class Door:
    """Tells who a request is from.

    Args:
        store: Has users, tokens and sessions.
        settings: Whom to believe, and for how long.
        clock: Gives epoch seconds.
    """

    def __init__(self, store: Store, settings: ConsoleSettings, clock: Clock) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._bearers = Bearers(store, settings.login_rate, clock=clock)
        # Cookies know no ports: consoles of other stores on this host have others.
        self._mark = hashlib.sha256(store.url.encode()).hexdigest()[:8]

    def address(self, request: Request) -> str:
        """Return where a request came from, as a trusted proxy tells it."""
        peer = request.client.host if request.client else ""
        if self._settings.trusts(peer):
            told = request.headers.get("x-forwarded-for", "").split(",")[-1].strip()
            return told or peer
        return peer

    def secure(self, request: Request) -> bool:
        """Tell whether the browser speaks HTTPS, as a trusted proxy tells it."""
        if self._settings.secure is not None:
            return self._settings.secure
        peer = request.client.host if request.client else ""
        told = request.headers.get("x-forwarded-proto", "")
        if told and self._settings.trusts(peer):
            return told.split(",")[-1].strip() == "https"
        return request.url.scheme == "https"

    def cookie_name(self, request: Request) -> str:
        """Return the name of the session's cookie."""
        prefix = "__Host-" if self.secure(request) else ""
        return f"{prefix}llmguard_{self._mark}"

    def admit(
        self, request: Request, *, begin: bool = True
    ) -> tuple[Principal, Cookie | None]:
        """Return who it is, and a cookie to set when a session began.

        Args:
            request: The request.
            begin: Whether a proxy's user gets a session who has none; without it
                nothing is written, for what asks again and again.

        Raises:
            LoginNeededError: Nobody that is known.
            RefusedError: A proxy's user who may not come in, or an address that sent
                too many bad bearer tokens.
        """
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            found = self._bearers.admit(secret.strip(), self.address(request))
            return self._principal(request, found, ""), None
        session = request.cookies.get(self.cookie_name(request), "")
        granted = None
        if session:
            granted = self._store.access.by_session(
                secret_digest(session), idle=self._settings.idle
            )
        told = self._told(request)
        if told:
            return self._proxied(request, told, session, granted, begin=begin)
        if granted is None or granted.via == "proxy":
            raise LoginNeededError
        return self._principal(request, granted, session), None

    def touch(self, request: Request) -> None:
        """Record that a session is used by a person, which keeps it alive."""
        session = request.cookies.get(self.cookie_name(request), "")
        if session:
            # A full disk ends sessions early; it must not keep anybody from looking.
            with suppress(StoreError):
                self._store.access.touch_session(secret_digest(session))

    def begin(
        self,
        request: Request,
        user: AccessUser,
        *,
        scopes: tuple[str, ...],
        via: str,
        token: str = "",
    ) -> Cookie:
        """Begin a session under a new id; one that the browser had ends."""
        secret = secrets.token_urlsafe(32)
        now = self._clock.time()
        old = request.cookies.get(self.cookie_name(request), "")
        self._store.access.open_session(
            AccessSession(
                user=user.name,
                scopes=scopes,
                via=via,
                token=token,
                created_at=now,
                expires_at=now + self._settings.lifetime,
                address=self.address(request),
            ),
            secret_digest(secret),
            replaces=secret_digest(old) if old else "",
        )
        return self._cookie(request, secret)

    def end(self, request: Request) -> Cookie:
        """End the browser's session, here and there."""
        session = request.cookies.get(self.cookie_name(request), "")
        if session:
            self._store.access.close_session(secret_digest(session))
        return self._cookie(request, "")

    def _cookie(self, request: Request, secret: str) -> Cookie:
        return Cookie(
            name=self.cookie_name(request),
            secret=secret,
            secure=self.secure(request),
            lifetime=round(self._settings.lifetime),
        )

    def _told(self, request: Request) -> str:
        """Return the user that a trusted proxy names; others' headers say nothing."""
        header = self._settings.user_header
        peer = request.client.host if request.client else ""
        if not header or not self._settings.trusts(peer):
            return ""
        return request.headers.get(header, "").strip()

    def _proxied(
        self,
        request: Request,
        name: str,
        session: str,
        granted: Granted | None,
        *,
        begin: bool,
    ) -> tuple[Principal, Cookie | None]:
        if granted is not None and granted.user.name == name:
            return self._principal(request, granted, session), None
        user = self._store.access.get_user(name)
        if begin and user is None and self._settings.proxy_scopes:
            user = self._store.access.put_user(
                AccessUser(
                    name=name, scopes=self._settings.proxy_scopes, created_by="proxy"
                )
            )
        if user is None or user.disabled_at is not None:
            why = "is disabled" if user else "is not known here"
            raise RefusedError(
                403,
                f"the user {name!r} {why}; an administrator runs "
                f"`llmguard console user add {name} --scope read --scope review`",
                code="unknown_user",
            )
        fresh = Granted(user=user, scopes=user.scopes, via="proxy")
        if not begin:
            return self._principal(request, fresh, ""), None
        cookie = self.begin(request, user, scopes=user.scopes, via="proxy")
        self._store.access.audit(
            NewAudit(actor=name, action="login.proxy", address=self.address(request))
        )
        return self._principal(request, fresh, cookie.secret), cookie

    def _principal(self, request: Request, found: Granted, session: str) -> Principal:
        return Principal(
            name=found.user.name,
            scopes=frozenset(found.scopes),
            roles=frozenset(found.user.roles),
            via=found.via,
            csrf=_csrf(session) if session else "",
            address=self.address(request),
        )


def _csrf(session: str) -> str:
    """Return a session's form token, which tells nothing about its id."""
    return hmac.new(session.encode(), b"llmguard form", hashlib.sha256).hexdigest()


def same_origin(request: Request) -> bool:
    """Tell whether a browser's request comes from a page of this very console.

    Every browser names the origin of what it posts; what names none is no browser,
    and has no business with a session's cookie.
    """
    origin = request.headers.get("origin", "")
    fetched = request.headers.get("sec-fetch-site", "")
    if fetched and fetched not in {"same-origin", "none"}:
        return False
    if not origin:
        return fetched == "same-origin"
    try:
        place = urlsplit(origin)
        port = place.port
    except ValueError:
        return False
    asked = request.headers.get("host", "")
    name, given = host_name(asked), asked.rpartition(":")[2]
    default = {"http": 80, "https": 443}.get(place.scheme)
    wanted = int(given) if given.isdecimal() and asked.count(":") else None
    # A proxy that ends TLS leaves no port in `Host` and none in the origin.
    return place.hostname == name and (port or default) == (wanted or default)
