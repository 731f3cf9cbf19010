"""Where the console is: under any path, behind proxies, after a redactor."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from console_people import Person
from starlette.applications import Starlette
from starlette.routing import Mount

from llmguard import contract, fallback_chain
from llmguard.errors import Deferred
from llmguard.store import Store
from llmguard_fallbacks import human
from llmguard_fallbacks.console._run import running


def test_it_works_under_any_path(app: Starlette, add_user: Callable[..., str]) -> None:
    """Links, forms, cookies and redirects stay below it."""
    outer = Starlette(routes=[Mount("/ops/llm", app)])
    ann = Person(outer)
    found = ann.get("/ops/llm/review/")
    assert "/ops/llm/login?next=/ops/llm/review/" == found.headers["location"]
    given = {"token": add_user("ann"), "next": "/ops/llm/review/"}
    found = ann.post("/ops/llm/login", data=given)
    assert "/ops/llm/review/" == found.headers["location"]
    page = ann.get("/ops/llm/review/").text
    links = re.findall(r'(?:href|src|action|hx-get)="([^"]*)"', page)
    assert links
    assert [] == [one for one in links if not one.startswith(("/ops/llm/", "#"))]
    outside = {**given, "next": "/admin"}
    assert "/ops/llm/" == ann.post("/ops/llm/login", data=outside).headers["location"]
    assert 200 == ann.get("/ops/llm/static/console.css").status_code


def test_it_works_behind_a_proxy_that_strips_its_path(app: Starlette) -> None:
    """Requests come without it; links, forms and redirects have it."""
    with running(app, root_path="/ops") as url:
        request = urllib.request.Request(f"{url}/review/")  # noqa: S310 - our own server
        with urllib.request.build_opener(NoRedirect).open(request) as found:
            assert "/ops/login?next=/ops/review/" == found.headers["location"]
        with urllib.request.urlopen(f"{url}/login") as found:  # noqa: S310 - likewise
            page = found.read().decode()
    links = re.findall(r'(?:href|src|action)="([^"]*)"', page)
    assert [] == [one for one in links if not one.startswith(("/ops/", "#"))]


class NoRedirect(urllib.request.HTTPErrorProcessor):
    """Takes every answer as it is."""

    def http_response(self, request: Any, response: Any) -> Any:
        """Return it."""
        return response


def test_redaction_is_kept(person: Callable[..., Person], store: Store) -> None:
    """What a redactor hides is on no page, in inputs or in what tiers said."""

    @fallback_chain(
        human("q", store=store, redact=lambda _: {"text": "[hidden]"}), deadline=5.0
    )
    @contract({"type": "object", "required": ["name"]})
    def read(text: str) -> dict[str, str]:
        return {"nome": text}

    with pytest.raises(Deferred) as caught:
        read("4111 1111 1111 1111")
    ann = person()
    found = ann.get(f"/review/t/{caught.value.ticket_id}").text
    assert "[hidden]" in found
    assert "What it said is hidden by redaction" in found
    assert "4111" not in found
