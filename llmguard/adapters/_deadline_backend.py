"""A network backend whose reads and writes all share one deadline.

An HTTP client's read timeout starts anew with every read, so a server that sends one
byte a second is never too slow. The deadline of the request in hand is kept in a
context variable; every socket operation below gets what is left of it.

The wrapped objects belong to httpcore (or httpcore2): this module only passes on
what it is given, so neither has to be imported.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import Any, Final

__all__ = ["DEADLINE", "AsyncDeadlineBackend", "DeadlineBackend", "install"]

DEADLINE: Final[ContextVar[float | None]] = ContextVar(
    "llmguard_deadline", default=None
)
"""Monotonic time at which the request in hand must be over; None for no limit."""

_EXPIRED: Final = 0.001
"""Seconds given to an operation after the deadline: it then raises its own timeout."""


def install(client: Any) -> bool:
    """Wrap the network backends of an httpx client; return False when it has none.

    httpx offers no public way to set a backend. Where a version moved the private
    field, the response stream's own check still ends a call between two chunks.
    """
    transports = [getattr(client, "_transport", None)]
    transports += list(getattr(client, "_mounts", {}).values())
    pools = [pool for t in transports if (pool := getattr(t, "_pool", None))]
    for pool in pools:
        backend = getattr(pool, "_network_backend", None)
        if backend is None:
            return False
        is_async = hasattr(pool, "aclose")
        wrapper = AsyncDeadlineBackend if is_async else DeadlineBackend
        pool._network_backend = wrapper(backend)  # noqa: SLF001 - see the docstring
    return bool(pools)


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
        return self._stream.write(buffer, _left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(self, *args: Any, **options: Any) -> Any:
        return _Stream(self._stream.start_tls(*args, **_bounded(options)))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _AsyncStream(_Stream):
    """The same for asyncio: reads and writes of the base are awaited by the caller."""

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(self, *args: Any, **options: Any) -> Any:
        try:
            inner = await self._stream.start_tls(*args, **_bounded(options))
        except BaseException:
            await self._stream.aclose()  # a cancelled handshake would leave it open
            raise
        return _AsyncStream(inner)


class DeadlineBackend:
    """Opens connections that keep to the deadline; `sleep` is passed on."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def connect_tcp(self, *args: Any, **options: Any) -> Any:
        """Open a TCP connection."""
        return _Stream(self._backend.connect_tcp(*args, **_bounded(options)))

    def connect_unix_socket(self, *args: Any, **options: Any) -> Any:
        """Open a Unix domain socket."""
        return _Stream(self._backend.connect_unix_socket(*args, **_bounded(options)))

    def sleep(self, seconds: float) -> Any:
        """Wait before the pool's own connection retry (off by default)."""
        return self._backend.sleep(seconds)


class AsyncDeadlineBackend(DeadlineBackend):
    """The same for asyncio; an async `sleep` is passed on as it is."""

    async def connect_tcp(self, *args: Any, **options: Any) -> Any:
        """Open a TCP connection."""
        connect = self._backend.connect_tcp
        return _AsyncStream(await connect(*args, **_bounded(options)))

    async def connect_unix_socket(self, *args: Any, **options: Any) -> Any:
        """Open a Unix domain socket."""
        connect = self._backend.connect_unix_socket
        return _AsyncStream(await connect(*args, **_bounded(options)))
