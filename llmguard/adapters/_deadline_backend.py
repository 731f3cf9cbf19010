"""A network backend whose reads and writes all share one deadline.

An HTTP client's read timeout starts anew with every read, so a server that sends one
byte a second is never too slow. The deadline of the request in hand is kept in a
context variable; every socket operation below gets what is left of it.

The wrapped objects belong to httpcore (or httpcore2): this module only passes on
what it is given, so neither has to be imported.
"""

from __future__ import annotations

import select
import sys
import time
from contextvars import ContextVar
from typing import Any, Final

from ._resolve import addresses_of

__all__ = [
    "DEADLINE",
    "AsyncDeadlineBackend",
    "DeadlineBackend",
    "install",
    "keeps_deadlines",
]

DEADLINE: Final[ContextVar[float | None]] = ContextVar(
    "llmguard_deadline", default=None
)
"""Monotonic time at which the request in hand must be over; None for no limit."""

_EXPIRED: Final = 0.001
"""Seconds given to an operation after the deadline: it then raises its own timeout."""

_POLLS: Final = hasattr(select, "poll")
"""False on Windows, where httpcore looks by itself."""

_PIECE: Final = 1 << 14
"""Bytes written at once: a reader that trickles restarts the timeout with each send."""


def install(client: Any) -> bool:
    """Wrap the network backends of an httpx client; return False when it has none.

    httpx offers no public way to set a backend. Where a version moved the private
    field, the response stream's own check still ends a call between two chunks.
    """
    pools = _pools(client)
    for pool in pools:
        backend = getattr(pool, "_network_backend", None)
        if backend is None:
            return False
        is_async = hasattr(pool, "aclose")
        wrapper = AsyncDeadlineBackend if is_async else DeadlineBackend
        pool._network_backend = wrapper(backend)  # noqa: SLF001 - see the docstring
    return bool(pools)


def keeps_deadlines(client: Any) -> bool:
    """Tell whether every wait of a client ends at the deadline.

    Through a proxy it may not: TLS within TLS reads with a timeout for each piece.
    """
    return bool(pools := _pools(client)) and all(
        type(pool).__name__ == "ConnectionPool"
        and isinstance(getattr(pool, "_network_backend", None), DeadlineBackend)
        for pool in pools
    )


def _pools(client: Any) -> list[Any]:
    transports = [getattr(client, "_transport", None)]
    transports += list(getattr(client, "_mounts", {}).values())
    return [pool for t in transports if (pool := getattr(t, "_pool", None))]


def _left(timeout: float | None) -> float | None:
    """Return the smaller of a timeout and what is left of the deadline."""
    deadline = DEADLINE.get()
    if deadline is None:
        return timeout
    left = max(_EXPIRED, deadline - time.monotonic())
    return left if timeout is None else min(timeout, left)


def _bounded(options: dict[str, Any]) -> dict[str, Any]:
    """Return keyword arguments with their `timeout` bounded."""
    return options | {"timeout": _left(options.get("timeout"))}


class _Stream:
    """A connection whose reads and writes keep to the deadline."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> Any:
        return self._stream.read(max_bytes, _left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> Any:
        if len(buffer) <= _PIECE:
            self._stream.write(buffer, _left(timeout))
            return
        view = memoryview(buffer)
        for start in range(0, len(buffer), _PIECE):
            self._stream.write(view[start : start + _PIECE], _left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(self, *args: Any, **options: Any) -> Any:
        return _Stream(self._stream.start_tls(*args, **_bounded(options)))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _AsyncStream(_Stream):
    """The same for asyncio: reads and writes of the base are awaited by the caller."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._socket: Any = None
        self._poll: Any = None

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable" and _POLLS:
            return self._is_readable()
        return self._stream.get_extra_info(info)

    def _is_readable(self) -> bool:
        """Tell whether the other side has closed an idle connection, or spoken.

        A pool asks that of each of its idle connections twice a request. What is below
        looks the socket up anew each time, which takes twenty times as long as this.
        """
        if self._socket is None:
            self._socket = self._stream.get_extra_info("socket")
            if self._socket is None or self._socket.fileno() < 0:
                return True  # as httpcore has it: reading it would end at once
            self._poll = select.poll()
            self._poll.register(self._socket.fileno(), select.POLLIN)
        return self._socket.fileno() < 0 or bool(self._poll.poll(0))

    def write(self, buffer: bytes, timeout: float | None = None) -> Any:
        return self._stream.write(buffer, _left(timeout))

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(self, *args: Any, **options: Any) -> Any:
        try:
            inner = await self._stream.start_tls(*args, **_bounded(options))
        except BaseException:
            await self._stream.aclose()  # a cancelled handshake would leave it open
            raise
        return _AsyncStream(inner)


def _errors(backend: Any) -> tuple[type[Exception], type[Exception]]:
    """Return what a backend's package raises when a connection fails."""
    package = sys.modules[type(backend).__module__.partition(".")[0]]
    return package.ConnectTimeout, package.ConnectError


class DeadlineBackend:
    """Opens connections that keep to the deadline; `sleep` is passed on."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, **options: Any
    ) -> Any:
        """Open a TCP connection to the first address that answers.

        The name is looked up within the time, too, and an address that does not answer
        leaves some of it to the others.
        """
        addresses = self._addresses(host, port, timeout)
        for others in range(len(addresses) - 1, -1, -1):
            left = _left(timeout)
            share = left if left is None or not others else left / (others + 1)
            try:
                return _Stream(
                    self._backend.connect_tcp(
                        addresses[-1 - others], port, timeout=share, **options
                    )
                )
            except _errors(self._backend):
                if not others:
                    raise
        raise AssertionError(addresses)  # a lookup that succeeds has an address

    def _addresses(
        self, host: str, port: int, timeout: float | None
    ) -> tuple[str, ...]:
        timed_out, failed = _errors(self._backend)
        try:
            return addresses_of(host, port, _left(timeout))
        except TimeoutError as error:
            raise timed_out(str(error)) from error
        except OSError as error:
            raise failed(str(error)) from error

    def connect_unix_socket(self, *args: Any, **options: Any) -> Any:
        """Open a Unix domain socket."""
        return _Stream(self._backend.connect_unix_socket(*args, **_bounded(options)))

    def sleep(self, seconds: float) -> Any:
        """Wait before the pool's own connection retry (off by default)."""
        return self._backend.sleep(seconds)


class AsyncDeadlineBackend(DeadlineBackend):
    """The same for asyncio; an async `sleep` is passed on as it is."""

    async def connect_tcp(  # pyright: ignore[reportIncompatibleMethodOverride] - both are called by keyword
        self, *args: Any, **options: Any
    ) -> Any:
        """Open a TCP connection; event loops look names up in threads of their own."""
        connect = self._backend.connect_tcp
        return _AsyncStream(await connect(*args, **_bounded(options)))

    async def connect_unix_socket(self, *args: Any, **options: Any) -> Any:
        """Open a Unix domain socket."""
        connect = self._backend.connect_unix_socket
        return _AsyncStream(await connect(*args, **_bounded(options)))
