"""What the console and `llmguard serve` share: a socket, and uvicorn in a thread."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
from collections.abc import Generator
from typing import Any

from llmguard.errors import ConfigError

__all__ = ["bind", "is_loopback", "make_server", "served"]


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes any free one.

    Raises:
        ConfigError: The address is taken, or none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(128)
    except OSError as error:
        bound.close()
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another "
            "`--port`, or 0 for any free one"
        ) from error
    return bound


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address stays on this machine."""
    bare = host.strip("[]")
    if bare == "localhost":
        return True
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False


def make_server(app: Any, *, install: str, **options: Any) -> Any:
    """Return a quiet `uvicorn.Server` of an application.

    Args:
        app: The ASGI application.
        install: The command that installs what is missing.
        options: Of `uvicorn.Config`.

    Raises:
        ConfigError: uvicorn is not installed.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise ConfigError(f"uvicorn is not installed: `{install}`") from error
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, **options
    )
    return uvicorn.Server(config)


@contextlib.contextmanager
def served(server: Any, bound: socket.socket, *, name: str) -> Generator[str]:
    """Run a server in a thread while the block runs; yields its URL, without a slash.

    Args:
        server: What `make_server` returned.
        bound: The listening socket, closed at the end.
        name: Of the thread.
    """
    host, port = bound.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, name=name)
    thread.start()
    try:
        yield f"http://{shown}:{port}"
    finally:
        server.should_exit = True
        thread.join()
        bound.close()
