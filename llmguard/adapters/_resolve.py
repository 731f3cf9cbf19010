"""Looking up a host name within a time: the system's resolver takes no timeout.

`getaddrinfo` may hold its thread for half a minute when a name server does not answer.
It runs on a thread that can be left; whoever asks for the same name meanwhile waits
for the same answer, so that an outage of a name server costs one thread per name.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address
from typing import Final

__all__ = ["addresses_of"]

_LOCAL: Final = frozenset({"localhost", ""})


class _Lookup:
    """One question to the resolver, and everybody who waits for its answer."""

    def __init__(self, host: str, port: int) -> None:
        self._question = host, port
        self._done = threading.Event()
        self.addresses: tuple[str, ...] = ()
        self.error: OSError | None = None

    def run(self, ended: Callable[[], object]) -> None:
        """Ask; `ended` is told before anybody wakes."""
        host, port = self._question
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            self.addresses = tuple(dict.fromkeys(str(each[4][0]) for each in found))
        except OSError as error:
            self.error = error
        except UnicodeError as error:  # no host name at all: a label is too long
            self.error = socket.gaierror(socket.EAI_NONAME, str(error))
        finally:
            ended()
            self._done.set()

    def wait(self, timeout: float | None) -> tuple[str, ...]:
        """Return the addresses, best first.

        Raises:
            TimeoutError: There was no answer in time.
            OSError: The name is not known, or the resolver failed.
        """
        if not self._done.wait(timeout):
            host, _ = self._question
            raise TimeoutError(f"no name server answered for {host!r} in time")
        if self.error is not None:
            raise self.error
        return self.addresses


class _Lookups:
    """The questions under way in this process."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Start anew, as a forked child must: the threads that asked are not in it."""
        self._pending: dict[tuple[str, int], _Lookup] = {}
        self._lock = threading.Lock()

    def ask(self, host: str, port: int) -> _Lookup:
        """Start a lookup, or join the one that asks the same."""
        question = host, port
        with self._lock:
            lookup = self._pending.get(question)
            if lookup is not None:
                return lookup
            lookup = self._pending[question] = _Lookup(host, port)
        ended = partial(self._pending.pop, question, None)
        thread = threading.Thread(
            target=lookup.run, args=(ended,), name="llmguard-resolver", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # the process may start no more threads: ask here
            lookup.run(ended)
        return lookup


_lookups: Final = _Lookups()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_lookups.forget)


def addresses_of(host: str, port: int, timeout: float | None) -> tuple[str, ...]:
    """Return the addresses of a host, best first; an address is its own.

    Args:
        host: A name or an address.
        port: Where it will be asked.
        timeout: Seconds to wait; None for as long as it takes.

    Raises:
        TimeoutError: There was no answer in time.
        OSError: The name is not known, or the resolver failed.
    """
    if host in _LOCAL or _is_address(host):
        return (host,)
    return _lookups.ask(host, port).wait(timeout)


def _is_address(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
