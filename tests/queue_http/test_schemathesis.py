"""The interface does what its description says, whatever is sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from starlette.applications import Starlette
from starlette.testclient import TestClient

from llmguard.store import Store

schemathesis = pytest.importorskip("schemathesis")

Ask = Callable[..., str]
# Endless, and tried in tests of its own.
STREAMS = frozenset({"/queue/events"})


def _tried(operation: Any, tickets: list[str], mode: str, authorization: str) -> int:
    """Send generated requests of one operation; returns how many."""
    from requests.structures import CaseInsensitiveDict
    from schemathesis import GenerationMode
    from schemathesis.specs.openapi.checks import ignored_auth

    tried = 0

    @settings(
        max_examples=40,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )
    @given(case=operation.as_strategy(generation_mode=GenerationMode(mode)))
    def check(case: Any) -> None:
        nonlocal tried
        tried += 1
        if "ticket_id" in (case.path_parameters or {}) and tried % 4:
            case.path_parameters["ticket_id"] = tickets[tried % len(tickets)]
        case.headers = case.headers or CaseInsensitiveDict()
        case.headers["Authorization"] = authorization
        case.headers["Prefer"] = "wait=0"
        # Where authorization is wrong on purpose, ours replaces it.
        left_out = [ignored_auth] if mode == "negative" else []
        case.call_and_validate(
            base_url="http://testserver/api/v1", excluded_checks=left_out
        )

    check()
    return tried


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_generated_requests(
    app: Starlette, program: Callable[..., TestClient], ask: Ask, mode: str
) -> None:
    """No 5xx, no undescribed status, type or document; wrong requests are refused."""
    client = program("ann", "read", "review", "approve", "admin", roles=("*",))
    authorization = client.headers["authorization"]
    schema = schemathesis.openapi.from_asgi(
        "/api/v1/openapi.json",
        app,
        headers={"authorization": authorization},
    )
    tried = 0
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path in STREAMS:
            continue
        tickets = [ask(schema=None, reviewers=1 + n % 2) for n in range(3)]
        tried += _tried(operation, tickets, mode, authorization)
    assert tried > 200


def test_the_description_names_every_route(app: Starlette, store: Store) -> None:
    """And nothing that is not there."""
    from llmguard_fallbacks.console.api import _routes
    from llmguard_fallbacks.console.api._openapi import document

    described = {
        (path, method.upper())
        for path, calls in document("/api/v1")["paths"].items()
        for method in calls
    }
    there = {
        (route.path, method)
        for route in _routes.routes()
        for method in route.methods - {"HEAD"}
    }
    assert there - {("/openapi.json", "GET")} == described
