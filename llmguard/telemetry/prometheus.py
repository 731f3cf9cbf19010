"""Prometheus scrapes this process: text for an endpoint of yours, or one of ours.

    from llmguard.telemetry import prometheus

    app.mount("/metrics", prometheus.asgi)   # ASGI
    prometheus.serve(9464)                   # or a port of its own

Importing it counts calls from then on; programs that keep a store count anyway.
Where several worker processes share one port a scrape meets any one of them: scrape
`llmguard metrics --listen`, which adds them up from the store.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ._hooks import add_hook
from .exposition import OPENMETRICS, PLAIN, expose, wants_openmetrics
from .families import families, sourced
from .tally import TALLY

__all__ = ["asgi", "render", "serve", "wsgi"]

add_hook(TALLY)


def render(*, openmetrics: bool = False) -> str:
    """Return what this process has counted since it started, as text.

    Args:
        openmetrics: OpenMetrics 1.0 rather than Prometheus's format 0.0.4.
    """
    return expose([*families(TALLY.snapshot()), *sourced()], openmetrics=openmetrics)


def answer(accept: str, read: Callable[[bool], str]) -> tuple[str, bytes]:
    """Return content type and body for an `Accept` header."""
    chosen = wants_openmetrics(accept)
    return (OPENMETRICS if chosen else PLAIN), read(chosen).encode()


def _here(openmetrics: bool) -> str:
    return render(openmetrics=openmetrics)


def wsgi(
    environ: Mapping[str, Any], start_response: Callable[..., object]
) -> Iterable[bytes]:
    """Answer a scrape, as a WSGI application."""
    kind, body = answer(str(environ.get("HTTP_ACCEPT", "")), _here)
    start_response(
        "200 OK", [("Content-Type", kind), ("Content-Length", str(len(body)))]
    )
    return [body]


async def asgi(
    scope: Mapping[str, Any],
    receive: Callable[[], Awaitable[Any]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """Answer a scrape, as an ASGI application.

    Raises:
        RuntimeError: Called for a scope that is not `http`, such as `lifespan`.
    """
    del receive
    if scope["type"] != "http":
        raise RuntimeError(f"`prometheus.asgi` answers http, not {scope['type']!r}")
    accept = next((v for k, v in scope["headers"] if k == b"accept"), b"")
    kind, body = answer(accept.decode("latin-1"), _here)
    headers = [(b"content-type", kind.encode()), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class _Handler(BaseHTTPRequestHandler):
    """Answers `/metrics`."""

    read: Callable[[bool], str] = staticmethod(_here)

    def do_GET(self) -> None:
        """Answer a scrape."""
        if self.path.partition("?")[0] not in {"/metrics", "/"}:
            self.send_error(404, "metrics are at /metrics")
            return
        kind, body = answer(self.headers.get("accept", ""), self.read)
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name
        """Keep scrapes out of the program's output."""


def make_server(
    port: int, *, address: str = "127.0.0.1", read: Callable[[bool], str] = _here
) -> ThreadingHTTPServer:
    """Return a server of `/metrics` that `serve_forever` runs; port 0 for any.

    Raises:
        OSError: The port is taken.
    """
    handler = type("_Handler", (_Handler,), {"read": staticmethod(read)})
    return ThreadingHTTPServer((address, port), handler)


def serve(port: int, *, address: str = "127.0.0.1") -> int:
    """Answer scrapes of `/metrics` on a thread, until the process ends.

    Args:
        port: 0 takes any free one.
        address: Where to listen; `0.0.0.0` for Prometheus on another machine.

    Returns:
        The port.

    Raises:
        OSError: The port is taken.
    """
    server = make_server(port, address=address)
    threading.Thread(
        target=server.serve_forever, name="llmguard-metrics", daemon=True
    ).start()
    return int(server.server_port)
