"""Pins that name an endpoint: guarded functions, and whether it holds schemas."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from llmguard import Model, capture, contract, fallback_chain, pinned, static
from llmguard.errors import ConfigError
from llmguard.pins import Pin
from llmguard.testing import FaultServer


class Triage(BaseModel):
    category: Literal["billing", "shipping", "refund", "account", "bug", "other"]
    needs_human: bool


def pin_on(url: str, **options: Any) -> Pin:
    return Pin(
        route="triage",
        provider="openai",
        model="triage-1.0",
        endpoint=url,
        options=options,
        accept_opaque="we run it",
    )


@pytest.fixture(autouse=True)
def closed(packages: None) -> Iterator[None]:
    """Close the connections of every test."""
    from llmguard.adapters import close_providers

    yield
    close_providers()


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_a_guarded_function_on_the_endpoint(url: str, prompt: str, api: str) -> None:
    """A pin that names the server runs a guarded function, model echo verified."""

    @fallback_chain(static(Triage(category="other", needs_human=True)), deadline=60)
    @contract(Triage)
    @pinned(pin_on(url, api=api))
    def triage(ticket: str, *, model: Model) -> Triage:
        return model.complete(ticket)

    with capture() as outcomes:
        assert isinstance(triage(prompt), Triage)
    (outcome,) = outcomes
    assert ("ok", "triage-1.0") == (outcome.kind.value, outcome.served_model)


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_the_canary_finds_our_own_server_enforcing(url: str, api: str) -> None:
    """`llmguard serve` holds schemas against the words of the prompt."""
    from llmguard_fallbacks.serve import check_canary, require_enforcement

    assert check_canary(pin_on(url, api=api)).state == "enforced"
    require_enforcement(pin_on(url, api=api))


def test_the_canary_finds_a_server_that_only_nods() -> None:
    """A server that takes the schema and answers as it likes is found out."""
    from llmguard_fallbacks.serve import check_canary, require_enforcement

    with FaultServer(answer="no") as server:
        found = check_canary(pin_on(server.base_url))
        assert ("ignored", False) == (found.state, found.enforced)
        assert "'no'" in found.detail
        with pytest.raises(ConfigError, match="must hold JSON Schemas"):
            require_enforcement(pin_on(server.base_url))


def test_the_canary_is_not_fooled_by_the_shape() -> None:
    """JSON of the right shape with another word is no enforcement."""
    from llmguard_fallbacks.serve import check_canary

    with FaultServer(answer=json.dumps({"canary": "no"})) as server:
        assert check_canary(pin_on(server.base_url)).state == "ignored"


@pytest.mark.parametrize(
    ("fault", "state"), [("400", "refused"), ("500", "failed"), ("401", "failed")]
)
def test_the_canary_tells_refusal_from_failure(fault: str, state: str) -> None:
    """A refused schema is not an endpoint that is down."""
    from llmguard_fallbacks.serve import check_canary

    with FaultServer(fault) as server:
        assert state == check_canary(pin_on(server.base_url)).state


def test_the_canary_command(url: str, tmp_path: Any) -> None:
    """`llmguard models canary ROUTE` exits 0 for an endpoint that holds schemas."""
    from click.testing import CliRunner

    from llmguard.pins import edit_lock, prepare
    from llmguard_fallbacks.weights.cli import models

    lock = tmp_path / "models.lock"
    pin = prepare(pin_on(url))
    edit_lock(lock, lambda old: old.with_pin(pin))
    found = CliRunner().invoke(models, ["canary", "triage", "--lock", str(lock)])
    assert (0, True) == (found.exit_code, "enforced" in found.output), found.output
