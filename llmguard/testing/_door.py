"""A listening socket, a thread per visitor, and a close that leaves nothing behind."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable
from typing import Final

__all__ = ["Door", "reserve_port"]

# Without SO_REUSEPORT (Windows) SO_REUSEADDR shares a port in the same way.
_SHARE: Final[int] = getattr(socket, "SO_REUSEPORT", socket.SO_REUSEADDR)
_JOIN_SECONDS: Final = 5.0


def reserve_port(port: int = 0) -> socket.socket:
    """Bind a loopback port without listening on it: connecting is refused.

    A `Door` may open on the same number, and nobody else gets it while it is shut.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, _SHARE, 1)
    sock.bind(("127.0.0.1", port))
    return sock


class Door:
    """Accepts connections on a loopback port, one thread each.

    Args:
        serve: Called with each accepted socket on a thread of its own. It may let
            `OSError` through: the visitor left, or the door was closed.
        port: Port to open, shared with `reserve_port`; 0 picks a free one.
    """

    def __init__(
        self, serve: Callable[[socket.socket], None], *, port: int = 0
    ) -> None:
        self._serve = serve
        self._listener = reserve_port(port)
        self._listener.listen(512)
        self._listener.setblocking(False)  # a visitor may vanish before accept()
        self.port: int = self._listener.getsockname()[1]
        self._wake, self._woken = socket.socketpair()
        self._lock = threading.Lock()
        self._visits: dict[threading.Thread, socket.socket] = {}
        self._thread = threading.Thread(
            target=self._run, name=f"llmguard-fault-door-{self.port}", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Refuse new connections, cut the present ones, wait for their threads."""
        self._wake.send(b"x")
        self._thread.join()
        for sock in (self._listener, self._wake, self._woken):
            sock.close()
        with self._lock:
            visits = dict(self._visits)
        for conn in visits.values():
            with contextlib.suppress(OSError):
                conn.shutdown(socket.SHUT_RDWR)
        for thread in visits:
            if thread is not threading.current_thread():
                thread.join(_JOIN_SECONDS)

    def _run(self) -> None:
        while True:
            ready, _, _ = select.select([self._listener, self._woken], [], [])
            if self._woken in ready:
                return
            with contextlib.suppress(BlockingIOError, ConnectionError):
                conn, _ = self._listener.accept()
                conn.setblocking(True)
                self._let_in(conn)

    def _let_in(self, conn: socket.socket) -> None:
        visit = threading.Thread(
            target=self._visit,
            args=(conn,),
            name=f"llmguard-fault-visit-{self.port}",
            daemon=True,
        )
        with self._lock:
            self._visits[visit] = conn
        visit.start()

    def _visit(self, conn: socket.socket) -> None:
        with contextlib.suppress(OSError):
            self._serve(conn)
        with contextlib.suppress(OSError):
            conn.shutdown(socket.SHUT_WR)
        conn.close()
        with self._lock:
            del self._visits[threading.current_thread()]
