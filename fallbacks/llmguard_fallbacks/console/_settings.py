"""How the console is run: who may come in, from where, and for how long."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final

from llmguard.errors import ConfigError
from llmguard.store.access import SCOPES

__all__ = ["LOOPBACK", "ConsoleSettings"]

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSettings:
    """The console's door and limits.

    Attributes:
        title: Said at the top of every page.
        hosts: Names by which browsers may call it, without ports; others are
            refused, so that no web page reaches it by rebinding its own name.
        proxies: Addresses or networks of reverse proxies, whose `X-Forwarded-For`,
            `X-Forwarded-Proto` and `user_header` are believed; nobody else's are.
        user_header: Header in which those proxies name the user that they have
            authenticated; empty to believe none.
        proxy_scopes: What such a user may do who is not in the store yet; empty to
            let only known users in.
        idle: Seconds without use after which a session is over.
        lifetime: Seconds after which a session is over in any case.
        secure: Whether cookies need HTTPS; None for what each request came by.
        max_body: Most bytes of a request.
        body_timeout: Seconds for a request to arrive.
        login_rate: Attempts to log in per minute and address, and as many bearer
            tokens that do not hold.
        rate: Requests per minute and principal.
        streams: Live connections per principal.
        audit_days: Days that rows of the audit are kept.
        session_days: Days that ended sessions are kept.
        lease: Seconds that a ticket stays with a reviewer; the open page renews it.
        blind: Queues whose reviewers see what tiers proposed only after they have
            written an answer of their own; `*` for all.

    Raises:
        ConfigError: An address, scope or limit that cannot be, or a `user_header`
            without the proxy that sets it.
    """

    title: str = "llmguard"
    hosts: tuple[str, ...] = LOOPBACK
    proxies: tuple[str, ...] = ()
    user_header: str = ""
    proxy_scopes: tuple[str, ...] = ()
    idle: float = 2 * 3600.0
    lifetime: float = 12 * 3600.0
    secure: bool | None = None
    max_body: int = 4_000_000
    body_timeout: float = 15.0
    login_rate: int = 10
    rate: int = 600
    streams: int = 8
    audit_days: float = 365.0
    session_days: float = 30.0
    lease: float = 900.0
    blind: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for given in self.proxies:
            try:
                ipaddress.ip_network(given, strict=False)
            except ValueError as error:
                raise ConfigError(
                    f"`proxies` has {given!r}, which is no address or network: "
                    "`10.0.0.7` or `10.0.0.0/24`"
                ) from error
        if self.user_header and not self.proxies:
            raise ConfigError(
                f"`user_header` {self.user_header!r} would be believed from nobody: "
                "name the proxy that sets it, `proxies=('127.0.0.1',)`"
            )
        for scope in self.proxy_scopes:
            if scope not in SCOPES:
                raise ConfigError(
                    f"`proxy_scopes` has {scope!r}; scopes are {', '.join(SCOPES)}"
                )
        for name in ("idle", "lifetime", "max_body", "login_rate", "rate", "lease"):
            if getattr(self, name) <= 0:
                raise ConfigError(
                    f"`{name}` is {getattr(self, name)!r}; it must be above 0"
                )

    def trusts(self, address: str) -> bool:
        """Tell whether a peer is one of the declared proxies."""
        try:
            peer = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(
            peer in ipaddress.ip_network(one, strict=False) for one in self.proxies
        )

    def is_blind(self, queue: str) -> bool:
        """Tell whether a queue's reviewers answer before they see proposals."""
        return "*" in self.blind or queue in self.blind
