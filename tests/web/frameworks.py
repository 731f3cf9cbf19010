"""One small application on every framework; each is asked in the same way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import django
import flask
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, JsonResponse
from django.urls import clear_url_caches, path
from fastapi import FastAPI
from litestar import Litestar, get
from litestar import Request as LitestarRequest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from werkzeug.test import Client

from llmguard import current_outcome
from llmguard.web.asgi import LLMGuardMiddleware
from llmguard.web.flask import LLMGuard
from llmguard.web.litestar import exception_handlers

from .world import FAILURES, Ask, Got, Names, World

__all__ = ["FRAMEWORKS", "asgi_client", "django_handler", "wsgi_client"]


class _Handlers:
    """What the routes do, whatever the framework."""

    def __init__(self, world: World) -> None:
        self._triage, self._later = world.triage(), world.later()
        self._degraded = world.degraded()

    def triage(self) -> Any:
        return self._triage("t")

    def degraded(self) -> Any:
        return self._degraded("t")

    def later(self, text: str = "t") -> Any:
        return self._later(text)

    def deadline(self) -> Any:
        self._triage("t")
        outcome = current_outcome()
        assert outcome is not None
        return {"deadline": outcome.deadline}

    def fail(self, name: str) -> Any:
        error = FAILURES[name]()
        raise error


def _fastapi(world: World, options: dict[str, Any]) -> Ask:
    app, do = FastAPI(), _Handlers(world)
    app.add_middleware(LLMGuardMiddleware, **options)
    app.get("/triage")(do.triage)
    app.get("/degraded")(do.degraded)
    app.get("/later")(do.later)
    app.get("/deadline")(do.deadline)
    app.get("/fail/{name}")(do.fail)
    return asgi_client(app)


def _starlette(world: World, options: dict[str, Any]) -> Ask:
    do = _Handlers(world)

    def route(place: str, answer: Callable[[Request], Any]) -> Route:
        # A plain function, which Starlette runs in a thread.
        return Route(place, lambda request: JSONResponse(answer(request)))

    app = Starlette(
        routes=[
            route("/triage", lambda _: do.triage()),
            route("/degraded", lambda _: do.degraded()),
            route("/later", lambda got: do.later(got.query_params.get("text", "t"))),
            route("/deadline", lambda _: do.deadline()),
            route("/fail/{name}", lambda got: do.fail(got.path_params["name"])),
        ]
    )
    app.add_middleware(LLMGuardMiddleware, **options)
    return asgi_client(app)


def _litestar(world: World, options: dict[str, Any]) -> Ask:
    do = _Handlers(world)

    @get("/triage", sync_to_thread=True)
    def triage() -> dict[str, str]:
        found: dict[str, str] = do.triage()
        return found

    @get("/degraded", sync_to_thread=True)
    def degraded() -> dict[str, str]:
        found: dict[str, str] = do.degraded()
        return found

    @get("/later", sync_to_thread=True)
    def later(request: LitestarRequest[Any, Any, Any]) -> dict[str, str]:
        found: dict[str, str] = do.later(request.query_params.get("text", "t"))
        return found

    @get("/deadline", sync_to_thread=True)
    def deadline() -> dict[str, float | None]:
        found: dict[str, float | None] = do.deadline()
        return found

    @get("/fail/{name:str}", sync_to_thread=True)
    def fail(request: LitestarRequest[Any, Any, Any]) -> None:
        do.fail(request.path_params["name"])

    app = Litestar(
        [triage, degraded, later, deadline, fail],
        exception_handlers=exception_handlers(),
        openapi_config=None,
        logging_config=None,
    )
    return asgi_client(LLMGuardMiddleware(app, **options))


def _flask(world: World, options: dict[str, Any]) -> Ask:
    app, do = flask.Flask("shop"), _Handlers(world)
    LLMGuard(app, **options)
    app.add_url_rule("/triage", view_func=do.triage)
    app.add_url_rule("/degraded", view_func=do.degraded)
    app.add_url_rule("/deadline", view_func=do.deadline)
    app.add_url_rule("/fail/<name>", view_func=do.fail)

    @app.get("/later")
    def _later() -> Any:
        return do.later(flask.request.args.get("text", "t"))

    return wsgi_client(app)


def _django_views(world: World) -> list[Any]:
    do = _Handlers(world)

    def view(answer: Callable[..., Any]) -> Callable[..., JsonResponse]:
        return lambda request, **named: JsonResponse(answer(request, **named))

    def later(request: HttpRequest) -> Any:
        return do.later(request.GET.get("text", "t"))

    return [
        path("triage", view(lambda _: do.triage())),
        path("degraded", view(lambda _: do.degraded())),
        path("later", view(later)),
        path("deadline", view(lambda _: do.deadline())),
        path("fail/<name>", view(lambda _, name: do.fail(name))),
    ]


class _Urls:
    """What Django takes for the module of its routes."""

    urlpatterns: ClassVar[list[Any]] = []


def django_handler(
    kind: Callable[[], Any], views: list[Any], options: Mapping[str, Any]
) -> Any:
    """Return Django's handler of some views, behind the middleware; one at a time."""
    if not settings.configured:
        settings.configure(
            ALLOWED_HOSTS=["*"],
            LOGGING_CONFIG=None,
            MIDDLEWARE=["llmguard.web.django.LLMGuardMiddleware"],
            ROOT_URLCONF=_Urls,
            USE_TZ=True,
        )
        django.setup()
    settings.LLMGUARD = options
    _Urls.urlpatterns = views
    clear_url_caches()
    return kind()


def _django_wsgi(world: World, options: dict[str, Any]) -> Ask:
    return wsgi_client(django_handler(WSGIHandler, _django_views(world), options))


def _django_asgi(world: World, options: dict[str, Any]) -> Ask:
    return asgi_client(django_handler(ASGIHandler, _django_views(world), options))


def asgi_client(app: Any) -> Ask:
    """Ask an ASGI application, from this machine."""

    async def nearby(scope: Any, receive: Any, send: Any) -> None:
        await app(scope | {"client": ("127.0.0.1", 5)}, receive, send)

    client = TestClient(nearby, raise_server_exceptions=False)

    def ask(place: str, *, method: str = "GET", **headers: str) -> Got:
        got = client.request(method, place, headers=_named(headers))
        return Got(got.status_code, got.headers, got.text)

    return ask


def wsgi_client(app: Any) -> Ask:
    """Ask a WSGI application, from this machine."""

    def ask(place: str, *, method: str = "GET", **headers: str) -> Got:
        got = Client(app).open(
            place,
            method=method,
            headers=_named(headers),
            environ_overrides={"REMOTE_ADDR": "127.0.0.1"},
        )
        try:
            return Got(got.status_code, Names(got.headers), got.get_data(as_text=True))
        finally:
            got.close()

    return ask


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


FRAMEWORKS: Mapping[str, Callable[[World, dict[str, Any]], Ask]] = {
    "fastapi": _fastapi,
    "starlette": _starlette,
    "litestar": _litestar,
    "flask": _flask,
    "django-wsgi": _django_wsgi,
    "django-asgi": _django_asgi,
}
