"""People who use a console, and what they are asked."""

from __future__ import annotations

import re
from typing import Any

from browser import Browser
from starlette.testclient import TestClient

from llmguard.store import NewTicket, Store, fingerprint
from llmguard.store.access import AccessToken, AccessUser, secret_digest

__all__ = ["ORIGIN", "RIGHT", "SCHEMA", "WRONG", "Person", "Site", "login"]

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

    def __init__(self, app: Any, **options: Any) -> None:
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


class Site:
    """A console that runs, with its store."""

    def __init__(self, store: Store, url: str) -> None:
        self.store = store
        self.url = url
        self._count = 0

    def user(self, name: str, *scopes: str) -> str:
        """Add a user with a token and return its secret."""
        scopes = scopes or ("read", "review")
        self.store.access.put_user(AccessUser(name=name, scopes=scopes, roles=("*",)))
        token = AccessToken(id=f"token-{name}"[:60], user=name, scopes=scopes)
        self.store.access.add_token(token, secret_digest(f"secret-{name}"))
        return f"secret-{name}"

    def ask(self, **fields: Any) -> str:
        """Make a ticket."""
        self._count += 1
        given: dict[str, Any] = {
            "id": f"ticket{self._count:03}",
            "queue": "triage",
            "key": f"key-{self._count}",
            "fingerprint": fingerprint(self._count),
            "inputs": {"ticket": f"text {self._count}"},
            "schema": SCHEMA,
            "title": f"Ticket {self._count}",
            "outputs": (
                {"tier": "primary", "kind": "schema", "value": WRONG},
                {"tier": "rules", "kind": "low_confidence", "value": RIGHT},
            ),
        }
        return self.store.tickets.enqueue(NewTicket(**{**given, **fields})).ticket.id


def login(browser: Browser, site: Site, name: str, *scopes: str) -> None:
    """Log in by the form, as a person does."""
    secret = site.user(name, *scopes)
    browser.go(f"{site.url}/review/")
    browser.find("#token").type(secret)
    browser.find("button", "Log in").click()
    browser.find("h1", "Review")
