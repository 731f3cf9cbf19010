"""One HTTP POST to an address that was looked at before the connection is made."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
from collections.abc import Mapping
from time import monotonic
from typing import Final, cast
from urllib.parse import urlsplit

from ._bounded import Bounded
from ._outbox import RetryLaterError

__all__ = ["Refused", "post", "public_addresses"]

_READ: Final = 4096
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_PORTS: Final = {"https": 443, "http": 80}


class Refused(Exception):  # noqa: N818 - what happened, not whose error it is
    """A delivery that trying again would not change."""


def public_addresses(host: str, port: int, *, allow_private: bool) -> list[str]:
    """Return the addresses of `host`, all of which may be connected to.

    Raises:
        Refused: One of them is private, loopback, link-local, multicast or reserved, or
            the name is none.
        RetryLaterError: The name cannot be looked up now.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise RetryLaterError(f"cannot look up {host!r}: {error}") from error
    except UnicodeError as error:  # a part of it is empty, or longer than 63 signs
        raise Refused(f"{host!r} is no name of a host: {error}") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        if not allow_private and not _is_public(address):
            raise Refused(
                f"{host!r} leads to {address}, which is no public address: give "
                "`allow_private=True` if the receiver is in your own network"
            )
    return addresses


def _is_public(address: str) -> bool:
    parsed = _meant(ipaddress.ip_address(address.split("%", maxsplit=1)[0]))
    return parsed.is_global and not parsed.is_multicast


def _meant(
    parsed: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the IPv4 address that an IPv6 one stands for on its way, if it does."""
    if isinstance(parsed, ipaddress.IPv4Address):
        return parsed
    if parsed in _NAT64:
        return ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
    teredo = parsed.teredo
    return parsed.ipv4_mapped or parsed.sixtofour or (teredo and teredo[1]) or parsed


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    timeout: float,
    allow_private: bool,
) -> tuple[int, float | None]:
    """Post `body`; return the status and the seconds of `Retry-After`, if given.

    Neither proxies of the environment nor redirects are followed: the address that was
    looked at is the one that is talked to.

    Args:
        url: Where to.
        body: What.
        headers: Of the request.
        timeout: Seconds to connect, and for all of the exchange.
        allow_private: Whether the address may be one inside.

    Raises:
        Refused: The address may not be talked to.
        RetryLaterError: There was no HTTP answer, or not in time.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or _PORTS[parts.scheme]
    addresses = public_addresses(host, port, allow_private=allow_private)
    end = monotonic() + timeout
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = http.client.HTTPConnection(host, port)
    try:
        raw = socket.create_connection((addresses[0], port), timeout)
        with _tls(raw, host) if parts.scheme == "https" else raw as made:
            connection.sock = cast("socket.socket", Bounded(made, end))
            connection.request("POST", path, body, dict(headers))
            response = connection.getresponse()
            response.read(_READ)
            return response.status, _seconds(response.getheader("retry-after"))
    except (OSError, http.client.HTTPException) as error:
        raise RetryLaterError(f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()


def _tls(raw: socket.socket, host: str) -> ssl.SSLSocket:
    try:
        return ssl.create_default_context().wrap_socket(raw, server_hostname=host)
    except BaseException:
        raw.close()
        raise


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isdecimal() else None
