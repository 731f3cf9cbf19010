"""An OpenAI-compatible server, so that many processes share one local model."""

from __future__ import annotations

from ._canary import Canary, check_canary, require_enforcement
from ._server import create_app, listen, run, running
from ._settings import ServeSettings, require_token
from ._targets import Served, serve_pin, serve_targets

__all__ = [
    "Canary",
    "ServeSettings",
    "Served",
    "check_canary",
    "create_app",
    "listen",
    "require_enforcement",
    "require_token",
    "run",
    "running",
    "serve_pin",
    "serve_targets",
]
