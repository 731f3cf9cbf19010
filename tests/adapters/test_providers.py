"""How a pin finds its provider, and when it may be called."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest

from llmguard.adapters import (
    Model,
    Provider,
    classify,
    close_providers,
    known_providers,
    provider_for,
    register_provider,
    remote_calls,
    verify_served,
)
from llmguard.errors import ConfigError, LLMGuardWarning, RemoteCallRefusedError
from llmguard.outcome import Kind
from llmguard.pins import Pin
from llmguard.reply import Reply
from llmguard.testing import FaultServer


class Echo:
    """The smallest provider a user may write."""

    remote = False

    def __init__(self, pin: Pin) -> None:
        self.pin = pin
        self.closed = False

    def complete(self, request: Any) -> Reply:
        return Reply(text=str(request.messages[-1].content))

    async def acomplete(self, request: Any) -> Reply:
        return self.complete(request)

    def stream(self, request: Any) -> Iterator[Any]:
        raise NotImplementedError  # nobody streams in these tests

    astream = stream

    def client(self, timeout: float) -> Any:
        return ("client", timeout)

    async_client = client

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def echo() -> Iterator[Pin]:
    register_provider("echo", Echo)
    yield Pin(route="triage", provider="echo", model="m-1")
    close_providers("echo")


def test_same_pin_has_one_provider_for_all_threads(echo: Pin) -> None:
    """Threads that ask at once share what the first one made."""
    together = threading.Barrier(8)
    found: list[Provider] = []

    def look() -> None:
        together.wait()
        found.append(provider_for(echo))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 8 == len(found)
    assert 1 == len({id(provider) for provider in found})
    assert isinstance(found[0], Provider)


def test_registering_again_replaces_and_closes(echo: Pin) -> None:
    """A provider of the same name takes over; the old one is closed."""
    old = provider_for(echo)
    register_provider("echo", Echo)
    assert isinstance(old, Echo)
    assert old.closed
    assert provider_for(echo) is not old


def test_own_provider_works_with_model(echo: Pin) -> None:
    """A user's provider needs nothing but the protocol."""
    model = Model(echo, provider_for(echo), remaining=lambda: 3.0)
    assert ("hi", ("client", 3.0)) == (model.complete("hi").text, model.client)


def test_unknown_provider_lists_the_known_ones(pin_for: Callable[..., Pin]) -> None:
    """The error names what exists here, the nearest name and the remedy."""
    with pytest.raises(ConfigError) as caught:
        provider_for(pin_for(None, provider="opneai"))
    message = str(caught.value)
    assert "did you mean 'openai'?" in message
    assert ", ".join(known_providers()) in message
    assert "register_provider('opneai', factory)" in message


def test_built_in_and_installed_providers_are_known() -> None:
    """Built-ins are always there; entry points bring the rest."""
    assert {"openai", "replay"} <= set(known_providers())


def test_wrong_registration_is_refused() -> None:
    """A provider needs a name and something to call."""
    with pytest.raises(ConfigError, match="a name and a callable"):
        register_provider("", Echo)


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:8000/v1", True),
        ("http://127.9.9.9/v1", True),
        ("http://[::1]:8000/v1", True),
        ("http://localhost/v1", True),
        ("http://api.localhost/v1", True),
        ("http://LOCALHOST./v1", True),
        ("https://api.openai.com/v1", False),
        ("http://127.0.0.1.example.com/v1", False),
        ("http://10.0.0.1/v1", False),
        ("http://localhost@evil.example/v1", False),
        ("http://[bad/v1", False),
        (None, False),
    ],
)
def test_loopback_is_decided_by_the_host(url: str | None, *, loopback: bool) -> None:
    """Only this machine's own addresses count, and no name is resolved."""
    assert loopback == remote_calls.is_loopback(url)


def test_refused_calls_open_no_socket(pin_for: Callable[..., Pin]) -> None:
    """Inside the block every way to a remote model raises; nested blocks add up."""
    pin = pin_for("http://llm.invalid/v1")
    model = Model(pin, provider_for(pin))
    with remote_calls.refuse():
        with remote_calls.refuse():
            pass
        for call in (
            lambda: model.complete("x"),
            lambda: list(model.stream("x")),
            lambda: model.client,
        ):
            with pytest.raises(RemoteCallRefusedError, match=r"llm\.invalid") as caught:
                call()
            assert Kind.SKIPPED == caught.value.kind
    assert not remote_calls.refused()


def test_a_client_made_before_is_refused_too(
    pin_for: Callable[..., Pin],
) -> None:
    """A raw client that was handed out earlier cannot slip through."""
    pin = pin_for("http://llm.invalid/v1")
    client = Model(pin, provider_for(pin)).client
    with (
        remote_calls.refuse(),
        # openai 2 wraps what a hook raises, openai 3 lets it through.
        pytest.raises((RemoteCallRefusedError, openai.APIConnectionError)) as caught,
    ):
        client.models.list()
    assert Kind.SKIPPED == classify(caught.value).kind


def test_loopback_goes_on_while_remote_calls_are_refused(
    server: FaultServer, model_for: Callable[..., Model]
) -> None:
    """Local servers are what tests use instead; they stay reachable."""
    with remote_calls.refuse():
        assert "stop" == model_for(server.base_url).complete("x").finish_reason


@pytest.mark.parametrize(
    ("fields", "served", "verdict"),
    [
        ({}, "m-1", "match"),
        ({}, "m-2", "mismatch"),
        ({}, None, "unverifiable"),
        ({}, "", "unverifiable"),
        ({"expect_echo": ("m-1-2026", "m-1b")}, "m-1b", "match"),
        ({"expect_echo": ("m-1-2026",)}, "m-1", "mismatch"),
        ({"expect_echo": ("*",)}, "anything", "unverifiable"),
    ],
)
def test_served_model_is_compared_with_the_pin(
    fields: dict[str, Any],
    served: str | None,
    verdict: str,
    pin_for: Callable[..., Pin],
) -> None:
    """The echo matches, does not, or cannot be verified: three answers, not two."""
    assert verdict == verify_served(pin_for(None, **fields), Reply(served_model=served))


@pytest.mark.parametrize(
    ("policy", "fingerprint", "verdict"),
    [
        ("record", "fp_9", "match"),
        ("block", "fp_1", "match"),
        ("block", "fp_9", "mismatch"),
        ("block", None, "unverifiable"),
        ("warn", "fp_2", "match"),
    ],
)
def test_fingerprints_follow_their_policy(
    policy: str, fingerprint: str | None, verdict: str, pin_for: Callable[..., Pin]
) -> None:
    """A new fingerprint is recorded, or blocks the answer, as the pin says."""
    options = {"fingerprints": ["fp_1", "fp_2"]}
    pin = pin_for(None, options=options, fingerprint_policy=policy)
    reply = Reply(served_model="m-1", fingerprint=fingerprint)
    assert verdict == verify_served(pin, reply)


def test_fingerprint_policy_warn_warns(pin_for: Callable[..., Pin]) -> None:
    """Under "warn" another fingerprint is a warning that names it."""
    pin = pin_for(None, options={"fingerprints": "fp_1"}, fingerprint_policy="warn")
    with pytest.warns(LLMGuardWarning, match="'fp_9' is not one of"):
        verify_served(pin, Reply(served_model="m-1", fingerprint="fp_9"))


def test_missing_sdk_names_the_extra() -> None:
    """Without `openai` installed, the tier is unavailable and says what to install."""
    code = """
import sys
sys.modules["openai"] = None
from llmguard.adapters import Model, provider_for
from llmguard.errors import TierUnavailableError
from llmguard.pins import Pin
pin = Pin(route="t", provider="openai", model="m", endpoint="http://127.0.0.1:9/v1")
try:
    Model(pin, provider_for(pin)).complete("x")
except TierUnavailableError as exc:
    print(exc.kind, exc)
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert ran.stdout.startswith("skipped pin 't' uses provider 'openai'")
    assert "pip install 'llmguard-toolkit[openai]'" in ran.stdout


def test_importing_adapters_imports_no_sdk() -> None:
    """SDKs and HTTP libraries are imported by the first call, not by the import."""
    code = (
        "import sys, llmguard.adapters\n"
        "heavy = {'openai', 'httpx', 'httpx2', 'jinja2', 'requests', 'anyio'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    )
    assert "[]" == ran.stdout.strip()
