"""Naming: what a model name promises, on the examples that the providers document."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import date

import pytest

from llmguard import pins
from llmguard.pins import classify, naming, shutdown
from llmguard.pins._pin import VERSION_CLASSES

SHA = "ab" * 32
CASES = [
    ("openai", "gpt-4o-2024-08-06", "versioned"),
    ("openai", "gpt-5-2025-08-07", "versioned"),
    ("openai", "gpt-4-0613", "versioned"),
    ("openai", "gpt-4-0125-preview", "versioned"),
    ("openai", "gpt-4-1106-vision-preview", "versioned"),
    ("openai", "gpt-3.5-turbo-0125", "versioned"),
    ("openai", "ft:gpt-4o-mini-2024-07-18:acme::id1", "versioned"),
    ("openai", "ft:gpt-4o-mini:acme::id1", "opaque"),
    ("openai", "gpt-4o", "alias"),
    ("openai", "gpt-5", "alias"),
    ("openai", "gpt-4.1-mini", "alias"),
    ("openai", "o3", "alias"),
    ("openai", "chatgpt-4o-latest", "alias"),
    ("openai", "gpt-5-chat-latest", "alias"),
    ("openai", "gpt-5.6", "alias"),
    ("openai", "gpt-6.1", "alias"),
    ("openai", "gpt-5.6-sol", "opaque"),
    ("openai", "gpt-6-luna", "opaque"),
    ("openai", "gpt-6.1-sol", "opaque"),
    ("openai", "text-embedding-3-small", "opaque"),
    ("openai", "my-model", "unknown"),
    ("anthropic", "claude-sonnet-4-5-20250929", "versioned"),
    ("anthropic", "claude-3-5-sonnet-20241022", "versioned"),
    ("anthropic", "claude-opus-4-6", "versioned"),
    ("anthropic", "claude-opus-4-7", "versioned"),
    ("anthropic", "claude-sonnet-5", "versioned"),
    ("anthropic", "claude-sonnet-5-5", "versioned"),
    ("anthropic", "claude-2.1", "versioned"),
    ("anthropic", "claude-sonnet-4-5", "alias"),
    ("anthropic", "claude-opus-4", "alias"),
    ("anthropic", "claude-3-5-sonnet-latest", "alias"),
    ("anthropic", "claude-3-opus", "alias"),
    ("gemini", "gemini-2.0-flash-001", "versioned"),
    ("gemini", "gemini-2.5-pro-preview-05-06", "versioned"),
    ("google", "gemini-2.5-flash-preview-09-2025", "versioned"),
    ("gemini", "gemini-2.5-pro", "opaque"),
    ("vertex", "gemini-flash-latest", "alias"),
    ("gemini", "gemini-2.0-flash-exp", "alias"),
    ("gemini", "gemini-1.5-pro", "alias"),
    ("azure", "prod-gpt4", "opaque"),
    ("azure-openai", "gpt-4o-2024-08-06", "opaque"),
    ("bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0", "versioned"),
    ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "versioned"),
    ("bedrock", "global.anthropic.claude-sonnet-4-6", "versioned"),
    ("bedrock", "amazon.nova-lite-v1:0", "versioned"),
    ("bedrock", "arn:aws:bedrock:us-east-1:1:prompt-router/anthropic.x", "alias"),
    ("bedrock", "claude", "unknown"),
    ("mistral", "mistral-large-2512", "versioned"),
    ("mistral", "mistral-small-latest", "alias"),
    ("mistral", "mistral-small", "alias"),
    ("mistral", "mistral-medium", "alias"),
    ("cohere", "command-r-08-2024", "versioned"),
    ("cohere", "command-r", "alias"),
    ("xai", "grok-4-0709", "versioned"),
    ("xai", "grok-3-latest", "alias"),
    ("xai", "grok-4", "alias"),
    ("openrouter", "~openai/gpt-sol-latest", "alias"),
    ("openrouter", "openai/gpt-4o-2024-08-06", "opaque"),
    ("litellm", "gpt-4o", "opaque"),
    ("litellm", "gpt-latest", "alias"),
    ("ollama", f"llama3@sha256:{SHA}", "immutable"),
    ("ollama", "llama3:8b", "alias"),
    ("hf", f"org/name@{'0' * 40}", "immutable"),
    ("huggingface", "org/name", "alias"),
    ("llama.cpp", "model.gguf", "unknown"),
    ("replay", "answers.jsonl", "unknown"),
    ("fake", "anything", "unknown"),
]


@pytest.mark.parametrize(("provider", "model", "expected"), CASES)
def test_documented_names_have_their_class(
    provider: str, model: str, expected: str
) -> None:
    """Each example of the providers' documentation is classified as documented."""
    assert classify(provider, model).version_class == expected


@pytest.mark.parametrize(
    ("endpoint", "model", "expected"),
    [
        ("https://api.openai.com/v1", "gpt-4o", "alias"),
        ("https://eu.api.openai.com/v1", "gpt-4o-2024-08-06", "versioned"),
        ("https://api.mistral.ai/v1", "mistral-large-2512", "versioned"),
        ("https://me.openai.azure.com/openai/v1", "gpt-4o-2024-08-06", "opaque"),
        ("https://openrouter.ai/api/v1", "openrouter/auto", "alias"),
        ("http://127.0.0.1:8000/v1", "gpt-4o-2024-08-06", "opaque"),
        ("https://notopenai.com/v1", "gpt-4o-2024-08-06", "opaque"),
    ],
)
def test_the_endpoint_tells_whose_names_an_openai_server_uses(
    endpoint: str, model: str, expected: str
) -> None:
    """A compatible server's names mean what its operator says, not what OpenAI says."""
    assert classify("openai", model, endpoint=endpoint).version_class == expected


@pytest.mark.parametrize(
    ("provider", "option"), [("llama.cpp", "gguf_sha256"), ("replay", "sha256")]
)
def test_files_are_immutable_by_their_recorded_hash(provider: str, option: str) -> None:
    """A hash in the options is the promise; anything else is none."""
    found = [
        classify(provider, "x", options={option: value}).version_class
        for value in (SHA, "short", 3)
    ]
    assert found == ["immutable", "unknown", "unknown"]


def test_suggestions_are_pinned_names_of_the_same_provider() -> None:
    """No suggestion sends anybody to another alias."""
    table = naming()
    classes = {
        classify(provider, better).version_class
        for provider, known in table.suggestions.items()
        for better in known.values()
    }
    assert classes == {"versioned", "opaque"}


def test_every_suggestion_belongs_to_an_alias() -> None:
    """Suggestions are only looked up for aliases; others would be dead entries."""
    table = naming()
    classes = {
        classify(provider, name).version_class
        for provider, known in table.suggestions.items()
        for name in known
    }
    assert classes == {"alias"}


def test_aliases_come_with_the_dated_name() -> None:
    """The most common mistake has an answer."""
    assert classify("openai", "gpt-4o").suggestion == "gpt-4o-2024-11-20"


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        ("openai", "gpt-5-mini-2025-08-07", "2026-12-11"),
        ("openai", "gpt-4o-2024-08-06", "2027-01-14"),
        ("anthropic", "claude-sonnet-4-5-20250929", "2026-11-30"),
    ],
)
def test_announced_shutdowns_are_known(
    provider: str, model: str, expected: str
) -> None:
    """Dates come with their source and the date of the table."""
    found = shutdown(provider, model)
    assert found is not None
    assert (found.date, found.seen) == (expected, naming().updated)
    assert found.source.startswith("https://")


def test_other_platforms_keep_their_own_schedules() -> None:
    """A provider's date says nothing about the same model elsewhere."""
    azure = "https://me.openai.azure.com/openai/v1"
    assert shutdown("openai", "gpt-4o-2024-08-06", endpoint=azure) is None


def test_the_table_is_well_formed() -> None:
    """Classes are known, dates are dates, references resolve."""
    table = naming()
    rules = [rule for scheme in table.rules.values() for rule in scheme]
    assert {rule.version_class for rule in rules} <= set(VERSION_CLASSES)
    assert all(rule.reason for rule in rules)
    assert set(table.hosts.values()) | set(table.providers.values()) <= set(table.rules)
    assert {end.scheme for end in table.ends} <= set(table.rules)
    dates = [table.updated, *(end.date for end in table.ends)]
    assert [date.fromisoformat(each).isoformat() for each in dates] == dates
    assert all(re.fullmatch(r"https?://\S+|the .*", doc) for doc in table.docs.values())


def test_every_public_name_is_there() -> None:
    """Names that are imported on use are found, others are not."""
    missing = [name for name in pins.__all__ if getattr(pins, name, None) is None]
    assert missing == []
    with pytest.raises(AttributeError, match="'pinz'"):
        pins.pinz  # noqa: B018 - the access is the test


_LIGHT = """
import sys
from llmguard import pins
loaded = sorted(name for name in sys.modules if name.startswith("llmguard.pins._"))
print(*(name.removeprefix("llmguard.pins._") for name in loaded))
"""


def test_importing_pins_loads_what_a_service_needs() -> None:
    """Hashing files, checking and writing wait until somebody does that."""
    done = subprocess.run(
        [sys.executable, "-c", _LIGHT], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [
        "cache",
        "canonical",
        "lock",
        "pin",
        "read",
        "rules",
        "secrets",
        "ways",
    ]
