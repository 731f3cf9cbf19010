"""A connection whose exchange ends in time, however slowly the other side talks."""

from __future__ import annotations

import io
import socket
from time import monotonic
from typing import Any

__all__ = ["Bounded"]


class Bounded:
    """What `http.client` needs of a socket; each step has the time that is left.

    The time-out of a socket is that of one step, and a receiver that sends a byte
    every few seconds never lets one run out.

    Args:
        raw: A connected socket; whoever made it closes it.
        end: By `time.monotonic()`.
    """

    def __init__(self, raw: socket.socket, end: float) -> None:
        self._raw, self._end = raw, end

    def sendall(self, data: bytes) -> None:
        """Send all of it, or raise `TimeoutError`."""
        self._in_time().sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return what reads, and raises `TimeoutError` at the end of the time."""
        del mode  # `http.client` only reads so
        return io.BufferedReader(_Reader(self))

    def receive(self, buffer: Any) -> int:
        """Read into a buffer; returns how many bytes."""
        return self._in_time().recv_into(buffer)

    def close(self) -> None:
        """Leave the socket open: an answer may still be read from it."""

    def _in_time(self) -> socket.socket:
        left = self._end - monotonic()
        if left <= 0:
            raise TimeoutError("no whole answer in time")
        self._raw.settimeout(left)
        return self._raw


class _Reader(io.RawIOBase):
    def __init__(self, connection: Bounded) -> None:
        super().__init__()
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        return self._connection.receive(buffer)
