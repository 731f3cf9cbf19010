"""The application: routes, the door, errors for people and for programs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route

from llmguard.clock import SYSTEM_CLOCK, Clock
from llmguard.errors import StoreError
from llmguard.store import Store, open_store

from ._console import Console
from ._door import SAFE
from ._login import home, login_page, login_post, logout, session, to_login
from ._problems import LoginNeededError, RefusedError
from ._section import Section
from ._settings import ConsoleSettings
from ._shield import Shield
from ._static import static
from .api._answers import problem

if TYPE_CHECKING:
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["SECTIONS", "console_app", "load_sections", "open_routes"]

SECTIONS: Final = (
    "review",
    "cases",
    "versions",
    "health",
    "evidence",
    "calls",
    "api",
)
"""Packages beside this module whose `SECTION` is shown, in the navigation's order."""

_OPEN: Final = frozenset({login_page, login_post, static})


def load_sections(names: Iterable[str] = SECTIONS) -> tuple[Section, ...]:
    """Return the parts of the console."""
    return tuple(import_module(f".{name}", __package__).SECTION for name in names)


def console_app(
    store: Store | str | os.PathLike[str] | None = None,
    *,
    settings: ConsoleSettings | None = None,
    sections: Sequence[Section] | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> Starlette:
    """Return the console as a Starlette application.

    Mount it under any path: `app.mount("/llmguard", console_app())`. Nobody gets in
    without a token (`llmguard console token add`), a user named by a declared proxy,
    or a link that `llmguard console` prints.

    Args:
        store: The store or its URL; None for the configured one.
        settings: Host names, proxies, limits; by default for this machine only.
        sections: The parts to show; all by default.
        clock: Gives the time.

    Raises:
        TypeError: A route of `sections` asks for no login.
        ConfigError: The URL is none of a store.
        StoreError: The store cannot be opened.
    """
    if store is None or isinstance(store, (str, os.PathLike)):
        store = open_store(store)
    settings = settings or ConsoleSettings()
    sections = load_sections() if sections is None else sections
    routes: list[BaseRoute] = [
        Route("/", home, name="home"),
        Route("/login", login_page, name="login"),
        Route("/login", login_post, name="login-post", methods=["POST"]),
        Route("/session", session, name="session"),
        Route("/logout", logout, name="logout", methods=["POST"]),
        Route("/static/{name}", static, name="static"),
        *(
            Mount(one.path, routes=list(one.routes()), name=one.name)
            for one in sections
        ),
    ]
    for route in open_routes(routes):
        raise TypeError(f"{route!r} is open to everybody: decorate it with `require`")
    app = _App(
        routes=routes,
        exception_handlers={
            LoginNeededError: _login_needed,
            RefusedError: _told,
            HTTPException: _not_here,
            StoreError: _away,
            Exception: _crashed,
        },
    )
    app.state.console = Console(
        store, settings=settings, sections=sections, clock=clock
    )
    return app


def open_routes(routes: Iterable[BaseRoute]) -> list[BaseRoute]:
    """Return the routes that ask for no login, other than those that must not."""
    found: list[BaseRoute] = []
    for route in routes:
        endpoint: Any = getattr(route, "endpoint", None)
        if isinstance(route, Mount):
            found += open_routes(route.routes or [])
        elif endpoint not in _OPEN and not hasattr(endpoint, "__console_scope__"):
            found.append(route)
    return found


class _App(Starlette):
    """Has the shield around everything, also around what failed."""

    def build_middleware_stack(self) -> ASGIApp:
        """Return what a request passes through."""
        console: Console = self.state.console
        inner = Shield(super().build_middleware_stack(), console.settings)

        async def outer(scope: Scope, receive: Receive, send: Send) -> None:
            # Where the console is mounted, before its own mounts add to it.
            place = scope.get("root_path", "").rstrip("/")
            await inner({**scope, "app_path": place}, receive, send)

        return outer


def _for_programs(request: Request) -> bool:
    accept = request.headers.get("accept", "")
    if "/api/v1/" in request.url.path:
        return True
    return "authorization" in request.headers or accept.startswith("application/json")


async def _login_needed(request: Request, error: Exception) -> Response:
    assert isinstance(error, LoginNeededError)  # noqa: S101 - registered for this type
    if _for_programs(request):
        return _problem(error)
    return to_login(request)


async def _told(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)  # noqa: S101 - registered for this type
    return _problem(error) if _for_programs(request) else _page(request, error)


async def _not_here(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type
    message = {404: "there is no such page", 405: "this page is not asked so"}
    return await _told(
        request,
        RefusedError(
            error.status_code,
            message.get(error.status_code, str(error.detail)),
            code="not_found" if error.status_code == 404 else "refused",  # noqa: PLR2004 - HTTP
        ),
    )


async def _away(request: Request, error: Exception) -> Response:
    # The path of a file or the name of a server is not for browsers; the log has it.
    import logging

    logging.getLogger("llmguard.console").warning("the store failed: %s", error)
    # What was under way may have been done all the same: its record was lost, or word
    # of it.
    unsure = "" if request.method in SAFE else ", before you repeat what you did"
    return await _told(
        request,
        RefusedError(
            503,
            f"the store cannot be used just now; look again in a moment{unsure}. "
            "Whoever runs it looks with `llmguard store check`",
            code="store",
            headers={"Retry-After": "5"},
        ),
    )


async def _crashed(request: Request, _error: Exception) -> Response:
    # The traceback goes to the server's log; what it says is none of the browser's.
    return await _told(
        request, RefusedError(500, "the console failed; see its log", code="failed")
    )


def _problem(error: RefusedError) -> Response:
    return problem(
        error.status,
        error.code,
        str(error),
        headers=error.headers,
        error={"code": error.code, "message": str(error)},
    )


def _page(request: Request, error: RefusedError) -> Response:
    console: Console = request.app.state.console
    text = console.render(
        request, "refused.html", status=error.status, error=str(error)
    )
    return HTMLResponse(text, status_code=error.status, headers=error.headers)
