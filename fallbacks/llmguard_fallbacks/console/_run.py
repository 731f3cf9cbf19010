"""Running the console: in this process until it is told to stop, or in a thread."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from llmguard.errors import ConfigError
from llmguard.store import Store
from llmguard.store.access import SCOPES, AccessUser

from .._uvicorn import bind, is_loopback, make_server, served
from ._settings import ConsoleSettings

if TYPE_CHECKING:
    from starlette.applications import Starlette

__all__ = ["link_user", "login_link", "require_users", "run", "running"]


def require_users(store: Store, host: str, settings: ConsoleSettings) -> None:
    """Refuse to be reached from elsewhere while nobody could log in.

    Raises:
        ConfigError: Beyond loopback without a token and without a trusted proxy.
    """
    if is_loopback(host) or settings.user_header:
        return
    if any(token.revoked_at is None for token in store.access.list_tokens()):
        return
    raise ConfigError(
        f"listening on {host!r} lets other machines in, and nobody has a token yet: "
        "`llmguard console user add NAME --scope review` and `llmguard console token "
        "add NAME` first, or listen on 127.0.0.1"
    )


def link_user(store: Store, name: str) -> AccessUser:
    """Return the user whom a printed link logs in; whoever runs this owns the store."""
    user = store.access.get_user(name)
    if user is not None and user.disabled_at is None:
        return user
    return store.access.put_user(
        AccessUser(name=name, scopes=SCOPES, roles=("*",), created_by="console")
    )


def login_link(app: Starlette, url: str, user: str) -> str:
    """Return a link that logs a user in once."""
    return f"{url}/login?code={app.state.console.links.make(user)}"


def run(app: Starlette, bound: socket.socket, *, root_path: str = "") -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        ConfigError: uvicorn is not installed.
    """
    from ..queue import keep_sending

    # What this store's tickets owe is sent by whoever lives long and can sign it.
    if os.environ.get("LLMGUARD_CALLBACK_SECRET"):
        keep_sending(app.state.console.store)
    _server(app, root_path).run(sockets=[bound])


@contextlib.contextmanager
def running(
    app: Any, *, host: str = "127.0.0.1", port: int = 0, root_path: str = ""
) -> Generator[str]:
    """Serve from a thread of this process while the block runs: for tests and scripts.

    Args:
        app: `console_app(...)`, or an application that it is mounted in.
        host: Address to listen on.
        port: Port; 0 takes any free one.
        root_path: Path that a proxy puts before the application's.

    Yields:
        The base URL, without a slash at the end.
    """
    with served(
        _server(app, root_path), bind(host, port), name="llmguard-console"
    ) as url:
        yield url


def _server(app: Any, root_path: str) -> Any:
    from . import INSTALL

    return make_server(
        app,
        install=INSTALL,
        # `_door` decides whom to believe; uvicorn would believe every local proxy.
        proxy_headers=False,
        root_path=root_path,
        lifespan="auto",
        # Live pages never end by themselves.
        timeout_graceful_shutdown=1,
    )
