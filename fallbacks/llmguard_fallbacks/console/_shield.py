"""What holds for every request and answer: the host's name, sizes, headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse

from ._settings import ConsoleSettings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["HEADERS", "POLICY", "Shield", "host_name"]

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing inline, nothing from elsewhere: what a ticket holds stays text."""

HEADERS: Final[Mapping[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # `no-referrer` would turn the `Origin` of our own forms into `null`.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}

_HOST: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s\[\]:/?#@\\]+)(?::[0-9]{1,5})?")
_DIGITS: Final = 18
"""Of a length; more are no length, and slow to read as a number."""


def host_name(host: str) -> str:
    """Return the name in a `Host` header, in lower case and without the port."""
    if host.startswith("["):
        return host.partition("]")[0][1:].lower()
    return host.partition(":")[0].rstrip(".").lower()


class Shield:
    """Refuses foreign host names and what is too large; adds the headers."""

    def __init__(self, app: ASGIApp, settings: ConsoleSettings) -> None:
        self._app = app
        self._settings = settings
        self._hosts = {one.strip("[]").lower() for one in settings.hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            # No page opens a websocket, so nobody gets one.
            if scope["type"] != "websocket":
                await self._app(scope, receive, send)
            return

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                _dress(MutableHeaders(scope=message))
            await send(message)

        refusal = self._refusal(Headers(scope=scope), scope["query_string"])
        if refusal is not None:
            await refusal(scope, receive, sent)
            return
        await self._app(scope, receive, sent)

    def _refusal(self, headers: Headers, query: bytes) -> PlainTextResponse | None:
        hosts = headers.getlist("host")
        name = host_name(hosts[0]) if len(hosts) == 1 else ""
        if "*" not in self._hosts and name not in self._hosts:
            return PlainTextResponse(
                f"This console does not answer for {name!r}. Whoever runs it adds the "
                "name: `llmguard console --allow-host NAME`, or "
                "`ConsoleSettings(hosts=...)`.\n",
                421,
            )
        # What the framework cannot make an address of would be an error of ours.
        if not query.isascii() or not all(_HOST.fullmatch(host) for host in hosts):
            return PlainTextResponse("The address of the request is malformed.\n", 400)
        declared = headers.get("content-length", "0")
        readable = declared.isascii() and declared.isdigit()
        if (
            not readable
            or len(declared) > _DIGITS
            or (int(declared) > self._settings.max_body)
        ):
            return PlainTextResponse(
                f"The request is larger than {self._settings.max_body} bytes.\n", 413
            )
        return None


def _dress(headers: MutableHeaders) -> None:
    for name, value in HEADERS.items():
        headers[name] = value
    headers["Content-Security-Policy"] = POLICY
    headers.setdefault("Cache-Control", "no-store")
