"""Running the application: in this process until it is told to stop, or in a thread."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from llmguard.errors import ConfigError

from .._uvicorn import bind, make_server, served
from ._settings import require_token

if TYPE_CHECKING:
    from ._settings import ServeSettings
    from ._targets import Served

__all__ = ["INSTALL", "create_app", "listen", "run", "running"]

INSTALL = "pip install 'llmguard-fallbacks[serve,llamacpp]'"


def create_app(
    models: list[Served], settings: ServeSettings, *, warm: bool = True
) -> Any:
    """Return the server as an ASGI application.

    Args:
        models: What is served.
        settings: The limits and the token.
        warm: Load the models at start-up instead of at the first request.

    Raises:
        ConfigError: Starlette is not installed.
    """
    try:
        from ._app import make_app
    except ImportError as error:
        raise ConfigError(f"{error.name} is not installed: `{INSTALL}`") from error
    return make_app(models, settings, warm=warm)


def listen(host: str, port: int, settings: ServeSettings) -> socket.socket:
    """Return a listening socket; port 0 takes any free one.

    Raises:
        ConfigError: Beyond loopback without a token, or the address is taken.
    """
    require_token(host, settings.token)
    return bind(host, port)


def run(app: Any, bound: socket.socket, *, grace: float = 10.0) -> None:
    """Serve until SIGINT or SIGTERM; answers under way get `grace` seconds to end.

    Raises:
        ConfigError: uvicorn is not installed.
    """
    _server(app, grace).run(sockets=[bound])


@contextlib.contextmanager
def running(
    models: list[Served],
    settings: ServeSettings,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    warm: bool = True,
    grace: float = 10.0,
) -> Generator[str]:
    """Serve from a thread of this process while the block runs: for tests and scripts.

    Args:
        models: What is served.
        settings: The limits and the token.
        host: Address to listen on.
        port: Port; 0 takes any free one.
        warm: Load the models at start-up.
        grace: Seconds that answers under way get at the end.

    Yields:
        The base URL for clients, such as `http://127.0.0.1:8080/v1`.

    Raises:
        ConfigError: A package is missing, or the port cannot be had.
    """
    app = create_app(models, settings, warm=warm)
    bound = listen(host, port, settings)
    with served(_server(app, grace), bound, name="llmguard-serve") as url:
        yield f"{url}/v1"


def _server(app: Any, grace: float) -> Any:
    return make_server(
        app,
        install=INSTALL,
        lifespan="on",
        timeout_graceful_shutdown=max(1, round(grace)),
    )
