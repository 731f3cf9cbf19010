"""Middleware for web applications: requests give deadlines, outcomes give responses.

`llmguard.web.asgi` serves FastAPI, Starlette and every other ASGI application,
`llmguard.web.flask` Flask, `llmguard.web.wsgi` any WSGI application. None of them is
imported here, and none imports a framework that the application does not use.
"""

from __future__ import annotations

from ._options import HEADERS, MAX_WAIT, Seen, WebOptions

__all__ = ["HEADERS", "MAX_WAIT", "Seen", "WebOptions"]
