"""People who use a console, and what they are asked."""

from __future__ import annotations

import re
from typing import Any

from starlette.applications import Starlette
from starlette.testclient import TestClient

__all__ = ["ORIGIN", "RIGHT", "SCHEMA", "WRONG", "Person"]

ORIGIN = "http://localhost"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["category", "order_id", "items"],
    "properties": {
        "category": {"enum": ["billing", "refund", "other"]},
        "order_id": {"type": ["integer", "null"]},
        "items": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["name", "count"],
                "properties": {
                    "name": {"type": "string", "maxLength": 20},
                    "count": {"type": "integer", "minimum": 1},
                },
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}
WRONG = {"category": "billing", "order_id": 7, "items": [{"name": "a", "count": 0}]}
RIGHT = {"category": "refund", "order_id": 7, "items": [{"name": "a", "count": 2}]}


class Person(TestClient):
    """Somebody with a browser: cookies, an origin, forms of the page that is shown."""

    def __init__(self, app: Starlette, **options: Any) -> None:
        options = {"base_url": ORIGIN, "follow_redirects": False, **options}
        super().__init__(app, raise_server_exceptions=False, **options)
        self.headers["origin"] = str(self.base_url).rstrip("/")
        self.headers["accept"] = "text/html"

    def login(self, secret: str) -> Any:
        """Log in with a token."""
        return self.post("/login", data={"token": secret})

    def csrf(self, path: str = "/review/") -> str:
        """Return the form token of this session, as pages have it."""
        found = re.search(r'data-csrf="([0-9a-f]+)"', self.get(path).text)
        assert found
        return found[1]

    def submit(self, path: str, **pairs: str) -> Any:
        """Post a form of our own."""
        return self.post(path, data={"csrf": self.csrf(), **pairs})
