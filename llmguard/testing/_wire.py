"""HTTP/1.1 on a bare socket: enough to answer a client, and to fail it exactly."""

from __future__ import annotations

import http.client
import io
import json
import socket
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

__all__ = ["Head", "Wire", "read_request"]

_TLS_HANDSHAKE: Final = 0x16
_MAX_BODY: Final = 64 * 2**20


class _Reader(Protocol):
    def readline(self, limit: int = -1, /) -> bytes: ...
    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A request as it came: headers lower-cased, the body as parsed JSON or None."""

    method: str
    path: str
    headers: Mapping[str, str]
    json: object


def read_request(reader: _Reader) -> Head | None:
    """Read one request; None when the client has gone or speaks no HTTP."""
    line = reader.readline(65_536).decode("latin-1").split()
    if len(line) != 3:  # noqa: PLR2004 - method, target, version
        return None
    message = http.client.parse_headers(io.BytesIO(_header_block(reader)))
    headers = {key.lower(): value for key, value in message.items()}
    length = int(headers.get("content-length") or 0)
    body = reader.read(min(length, _MAX_BODY)) if length else b""
    return Head(method=line[0], path=line[1], headers=headers, json=_parse(body))


def _header_block(reader: _Reader) -> bytes:
    lines: list[bytes] = []
    while (line := reader.readline(65_536)) not in {b"\r\n", b"\n", b""}:
        lines.append(line)
    return b"".join([*lines, b"\r\n"])


def _parse(body: bytes) -> object:
    try:
        parsed: object = json.loads(body) if body else None
    except ValueError:
        return None
    return parsed


class Wire:
    """One accepted connection."""

    def __init__(self, conn: socket.socket, *, keep_alive: bool) -> None:
        self._conn = conn
        self.keep_alive = keep_alive
        self.reusable = keep_alive

    def send(self, data: bytes) -> None:
        """Send everything."""
        self._conn.sendall(data)

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the status line and the headers."""
        reason = http.client.responses.get(status, "Unknown")
        lines = [f"HTTP/1.1 {status} {reason}"]
        lines += [f"{key}: {value}" for key, value in headers.items()]
        lines.append(f"connection: {'keep-alive' if self.keep_alive else 'close'}")
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1"))

    def body(
        self, status: int, body: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        """Send a whole response with its length."""
        length = {"content-length": str(len(body))}
        self.head(status, {**(headers or {}), **length})
        self.send(body)

    def chunked(self, chunks: Iterable[bytes], headers: Mapping[str, str]) -> None:
        """Send a 200 in chunks, without its end; `end()` closes it."""
        self.head(200, {**headers, "transfer-encoding": "chunked"})
        for chunk in chunks:
            self.chunk(chunk)

    def chunk(self, data: bytes) -> None:
        """Send one chunk of a chunked body."""
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def end(self) -> None:
        """Send the last chunk."""
        self.send(b"0\r\n\r\n")

    def hold(self, seconds: float | None) -> bool:
        """Say nothing for `seconds`; True when the client left meanwhile.

        Closing the server also counts as leaving: it shuts the connection down.
        What the client sends meanwhile is dropped, and starts the wait anew.
        """
        self._conn.settimeout(seconds)
        try:
            while self._conn.recv(65_536):
                pass
        except TimeoutError:
            return False
        else:
            return True
        finally:
            self._conn.settimeout(None)

    def drop(self) -> None:
        """Close after this exchange, whatever the response promised."""
        self.reusable = False

    def reset(self) -> None:
        """Close with a TCP reset: linger for zero seconds."""
        self.drop()
        linger = struct.pack("ii", 1, 0)
        self._conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._conn.close()

    def speaks_tls(self) -> bool:
        """Tell whether the client opened with a TLS handshake; consumes nothing."""
        first = self._conn.recv(1, socket.MSG_PEEK)
        return bool(first) and first[0] == _TLS_HANDSHAKE
