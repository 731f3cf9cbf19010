"""`check` of the `openai` provider: what the first call would lack, said before it."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from llmguard.adapters import provider_for
from llmguard.errors import TierUnavailableError
from llmguard.outcome import Kind
from llmguard.pins import Pin


def _check(**more: Any) -> None:
    pin = Pin(route="checked", provider="openai", model="gpt-5-2025-08-07", **more)
    provider: Any = provider_for(pin)
    provider.check()


def test_a_remote_endpoint_needs_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the variable; with the variable set, all is well."""
    monkeypatch.delenv("CHECKED_KEY", raising=False)
    with pytest.raises(TierUnavailableError, match="`CHECKED_KEY`") as caught:
        _check(options={"api_key_env": "CHECKED_KEY"})
    assert Kind.AUTH is caught.value.kind
    monkeypatch.setenv("CHECKED_KEY", "secret")
    _check(options={"api_key_env": "CHECKED_KEY"})


def test_a_server_on_this_machine_needs_no_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor does anything have to listen there: nothing is sent."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    _check(endpoint="http://127.0.0.1:9/v1")


def test_a_missing_sdk_is_named_with_its_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The extra that brings it is part of the message."""
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(TierUnavailableError, match=r"llmguard-toolkit\[openai\]"):
        _check(endpoint="http://127.0.0.1:9/v1")
