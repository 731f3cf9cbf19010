"""The Flask extension: the WSGI middleware, and handlers for what guarded calls raise.

    guard = LLMGuard()
    guard.init_app(app)            # or LLMGuard(app, deadline=8.0)

Options come from `LLMGuard(...)`, then from `app.config`: `LLMGUARD_DEADLINE` is the
option `deadline`, and so on.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, Final

import flask

from ..errors import (
    CallError,
    ConfigError,
    Deferred,
    FallbackExhaustedError,
    StoreError,
)
from ._options import WebOptions
from .sse import Broken, frames
from .wsgi import EnvironSeen, LLMGuardMiddleware

__all__ = ["LLMGuard", "event_stream"]

_PREFIX: Final = "LLMGUARD_"
_NAMES: Final = tuple(field.name for field in fields(WebOptions))
_HANDLED: Final = (Deferred, FallbackExhaustedError, CallError, StoreError)


class LLMGuard:
    """Adds llmguard to Flask applications.

    Args:
        app: An application to add it to now.
        **options: Of `WebOptions`, for every application.

    Raises:
        ConfigError: An option, or a key of `app.config`, is unknown or cannot work.
    """

    def __init__(self, app: flask.Flask | None = None, **options: Any) -> None:
        self._options = options
        if app is not None:
            self.init_app(app)

    def init_app(self, app: flask.Flask) -> None:
        """Add it to an application; twice to the same one is refused.

        Raises:
            ConfigError: It was added already, or an option or key of `app.config` is
                unknown or cannot work.
        """
        if "llmguard" in app.extensions:
            raise ConfigError(
                f"Flask application {app.name!r} has llmguard already: call "
                "`init_app` once, or pass `app` to `LLMGuard(...)`, not both"
            )
        options = _configured(app.config) | self._options
        middleware = LLMGuardMiddleware(app.wsgi_app, **options)
        app.wsgi_app = middleware  # type: ignore[method-assign]  # how Flask is wrapped
        app.extensions["llmguard"] = middleware
        for kind in _HANDLED:
            app.register_error_handler(kind, _handle)


def event_stream(
    stream: Iterable[object], *, broken: Broken = "retract"
) -> flask.Response:
    """Return a guarded stream as server-sent events.

    The first chunk is awaited before the response starts, so that a fallback, a
    ticket (202) or a failure (503) is still a response of its own.

    Args:
        stream: What a guarded generator function returned.
        broken: What the caller is told when the stream fails or breaks its contract
            after the first chunk; see `llmguard.web.sse`.
    """
    response = flask.Response(
        flask.stream_with_context(frames(stream, broken=broken)),
        mimetype="text/event-stream",
    )
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _handle(error: Exception) -> flask.Response:
    middleware: LLMGuardMiddleware = flask.current_app.extensions["llmguard"]
    answer = middleware.answer_to(error, EnvironSeen(flask.request.environ))
    if answer is None:
        raise error
    return flask.Response(
        answer.body, status=answer.status, headers=list(answer.headers)
    )


def _configured(config: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in config.items():
        if not key.startswith(_PREFIX):
            continue
        name = key.removeprefix(_PREFIX).lower()
        if name not in _NAMES:
            near = difflib.get_close_matches(name, _NAMES, n=1)
            hint = f"; did you mean `{_PREFIX}{near[0].upper()}`?" if near else ""
            raise ConfigError(f"unknown key `{key}` in `app.config`{hint}")
        found[name] = value
    return found
