"""The switch that keeps a program from calling remote models by accident.

`refuse()` makes every provider that leaves the machine raise
`RemoteCallRefusedError` before it opens a socket. It is a switch of the process, not
of the thread or task, because test code and guarded calls run in different ones.
Loopback endpoints (a local server, a fake provider in a test) are never refused.
"""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .. import config
from ..errors import RemoteCallRefusedError
from ..outcome import Kind

if TYPE_CHECKING:
    from ..pins import Pin

__all__ = ["ensure_allowed", "is_loopback", "refuse", "refused"]

_lock = threading.Lock()
_holders = 0


@contextmanager
def refuse() -> Generator[None]:
    """Refuse remote calls of this process inside the `with` block; may be nested."""
    global _holders  # noqa: PLW0603 - one switch for the whole process, by design
    with _lock:
        _holders += 1
    try:
        yield
    finally:
        with _lock:
            _holders -= 1


def refused() -> bool:
    """Return True while a `refuse()` block is open, or where the settings say so."""
    return _holders > 0 or config.load().refuse_remote


def is_loopback(url: str | None) -> bool:
    """Return True when `url` names this machine: `localhost` or a loopback address.

    No name is resolved: a name that merely points at 127.0.0.1 counts as remote.
    """
    host = _host(url)
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def ensure_allowed(url: str | None, *, pin: Pin) -> None:
    """Raise when remote calls are refused and `url` is not on this machine.

    Args:
        url: The endpoint about to be called; None for a provider's public one.
        pin: The pin that asks, named in the error.

    Raises:
        RemoteCallRefusedError: `refuse()` is active and the endpoint is remote.
    """
    if not refused() or is_loopback(url):
        return
    raise RemoteCallRefusedError(
        f"pin {pin.route!r} would call {_host(url) or pin.provider!r}, but remote "
        f"calls are refused here (`refuse_remote()`); use a fake or the `replay` "
        f"provider, or leave the `refuse_remote()` block for this call, or unset "
        f"`LLMGUARD_REFUSE_REMOTE` and `refuse_remote` of the settings",
        kind=Kind.SKIPPED,
        pin=pin.id,
    )


def _host(url: str | None) -> str:
    """Return the host of a URL in lower case, empty when there is none."""
    try:
        return (urlsplit(url or "").hostname or "").rstrip(".")
    except ValueError:
        return ""
