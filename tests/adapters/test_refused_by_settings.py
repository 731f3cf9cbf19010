"""The setting `refuse_remote` refuses calls, as the block does."""

from __future__ import annotations

import pytest

from llmguard import config
from llmguard.adapters import remote_calls
from llmguard.errors import RemoteCallRefusedError
from llmguard.pins import Pin

PIN = Pin(route="triage", provider="openai", model="gpt-5.2-2025-12-11")


def test_the_setting_refuses_what_leaves_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Remote endpoints are refused by name of the setting; loopback ones are not."""
    remote_calls.ensure_allowed("https://api.example.com/v1", pin=PIN)
    with monkeypatch.context() as patch:
        patch.setenv("LLMGUARD_REFUSE_REMOTE", "1")
        config.reset()
        with pytest.raises(RemoteCallRefusedError, match="LLMGUARD_REFUSE_REMOTE"):
            remote_calls.ensure_allowed("https://api.example.com/v1", pin=PIN)
        remote_calls.ensure_allowed("http://127.0.0.1:8080/v1", pin=PIN)
    config.reset()
    remote_calls.ensure_allowed("https://api.example.com/v1", pin=PIN)
