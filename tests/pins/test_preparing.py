"""Preparing and checking: names classified, files hashed, ends known."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import date, timedelta
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from llmguard.errors import ConfigError
from llmguard.pins import Lock, Pin, check, content_hash, prepare, refresh, shutdown_of

TODAY = date(2026, 11, 23)


def pin(model: str = "gpt-5.2-2025-12-11", **more: Any) -> Pin:
    return Pin(**{"route": "triage", "provider": "openai", "model": model, **more})


def codes(one: Pin, **how: Any) -> list[str]:
    return [found.code for found in check([one], today=TODAY, **how)]


def test_a_versioned_name_is_ready() -> None:
    """Class and announced end are filled in."""
    ready = prepare(pin("gpt-5-2025-08-07"))
    assert (ready.version_class, ready.lifecycle["shutdown"]) == (
        "versioned",
        "2026-12-11",
    )


def test_an_alias_is_refused_with_the_dated_command() -> None:
    """The message holds the whole command, and says when that name ends."""
    with pytest.raises(ConfigError) as caught:
        prepare(pin("gpt-4o"))
    assert "which shuts down on 2027-01-14" in str(caught.value)
    assert "`llmguard pin add triage --provider openai --model gpt-4o-2024-11-20`" in (
        str(caught.value)
    )


def test_an_alias_without_a_known_date_points_at_the_providers_list() -> None:
    """Nothing is guessed."""
    with pytest.raises(ConfigError, match=r"https://docs\.mistral\.ai"):
        prepare(pin("mistral-small-latest", provider="mistral"))


def test_a_suggestion_without_a_known_end_names_none() -> None:
    """No date is invented for the suggested name."""
    with pytest.raises(ConfigError, match="'claude-haiku-4-5-20251001': `llmguard"):
        prepare(pin("claude-haiku-4-5", provider="anthropic"))


def test_an_opaque_name_needs_a_reason() -> None:
    """Blank reasons are none."""
    with pytest.raises(ConfigError, match="--accept-opaque REASON"):
        prepare(pin("gpt-5.6-sol", accept_opaque=" "))
    ready = prepare(pin("gpt-5.6-sol", accept_opaque="no dated id"))
    assert ready.version_class == "opaque"


def test_an_unknown_name_is_refused_in_strict_mode_only() -> None:
    """Private providers need no rules until somebody asks for them."""
    one = pin("x", provider="fake")
    assert prepare(one).version_class == "unknown"
    with pytest.raises(ConfigError, match="LLMGUARD_STRICT=0"):
        prepare(one, strict=True)


def test_a_file_is_hashed_where_the_lock_is(tmp_path: Path) -> None:
    """The hash makes it immutable; a relative path starts at the lock."""
    (tmp_path / "a.jsonl").write_bytes(b"{}\n")
    ready = prepare(pin("a.jsonl", provider="replay", base=str(tmp_path)))
    expected = hashlib.sha256(b"{}\n").hexdigest()
    assert (ready.version_class, ready.options) == ("immutable", {"sha256": expected})


def test_a_recorded_hash_stays_unless_asked(tmp_path: Path) -> None:
    """Nobody pins a swapped file by accident."""
    (tmp_path / "a.gguf").write_bytes(b"new")
    old = pin(
        "a.gguf",
        provider="llama.cpp",
        base=str(tmp_path),
        options={"gguf_sha256": "ab" * 32},
    )
    assert prepare(old).options == old.options
    expected = hashlib.sha256(b"new").hexdigest()
    assert prepare(old, rehash=True).options == {"gguf_sha256": expected}


def test_a_missing_file_is_named() -> None:
    """The message says where it looked."""
    with pytest.raises(ConfigError, match=r"'/nowhere/a\.gguf'.*No such file"):
        prepare(pin("/nowhere/a.gguf", provider="llama.cpp"))


class _Models:
    """An installed distribution that embeds one model."""

    @staticmethod
    def entry_points(*, group: str) -> list[EntryPoint]:
        point = EntryPoint("embedded", f"{__name__}:manifest", group)
        return [_Loaded(point)]  # type: ignore[list-item] - only `load` is used


class _Loaded:
    def __init__(self, point: EntryPoint) -> None:
        self.point = point

    def load(self) -> Any:
        return lambda: {"tiny-1.0": {"sha256": "cd" * 32}}


def test_embedded_models_bring_their_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """The distribution's manifest says what the weights are."""
    monkeypatch.setattr("importlib.metadata.entry_points", _Models.entry_points)
    one = pin("embedded:tiny-1.0", provider="llama.cpp")
    assert content_hash(one) == "cd" * 32
    with pytest.raises(ConfigError, match=r"known: tiny-1\.0"):
        content_hash(pin("embedded:huge", provider="llama.cpp"))


def test_embedded_models_of_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the distribution, the message says what to install."""
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [])
    with pytest.raises(ConfigError, match="pip install llmguard-models"):
        content_hash(pin("embedded:tiny-1.0", provider="llama.cpp"))


def test_refresh_follows_what_changed(tmp_path: Path) -> None:
    """Ids move with their files, routes with their ids."""
    file = tmp_path / "a.jsonl"
    file.write_bytes(b"1")
    one = prepare(pin("a.jsonl", provider="replay", base=str(tmp_path)))
    two = prepare(pin())
    lock = Lock().with_pin(one).with_pin(two)
    assert refresh(lock) == lock
    file.write_bytes(b"2")
    now = refresh(lock, rehash=True)
    assert now.resolve("triage") == prepare(one, rehash=True)
    assert set(now.routes["triage"].allowed) == set(now.pins)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (pin(version_class="versioned"), []),
        (pin("gpt-4o", version_class="versioned"), ["alias"]),
        (pin("mistral-small", provider="mistral"), ["alias"]),
        (pin("gpt-5.6-sol", version_class="opaque"), ["opaque"]),
        (pin("gpt-5.6-sol", version_class="opaque", accept_opaque="so"), []),
        (pin(version_class="opaque", accept_opaque="so"), ["class"]),
        (pin("x", provider="fake"), []),
        (pin("gpt-5-2025-08-07", version_class="versioned"), ["shutdown"]),
        (pin("gpt-4-0613", version_class="versioned"), ["shutdown"]),
    ],
)
def test_what_is_wrong_with_a_pin_is_found(one: Pin, expected: list[str]) -> None:
    """One finding per fact, none for a good pin."""
    assert codes(one) == expected


def test_strict_check_finds_unknown_names() -> None:
    """As at run time, only when asked."""
    assert codes(pin("x", provider="fake"), strict=True) == ["unknown"]


def test_a_shorter_horizon_finds_less() -> None:
    """Ends outside the horizon are no finding; past ends always are."""
    one = pin("gpt-5-2025-08-07", version_class="versioned")
    assert codes(one, horizon=timedelta(days=17)) == []
    assert codes(one, horizon=timedelta(days=18)) == ["shutdown"]
    past = pin("gpt-4-0613", version_class="versioned")
    (found,) = check([past], today=TODAY, horizon=timedelta(days=0))
    assert "was shut down on 2026-10-23" in found.message


def test_changed_and_missing_files_are_found(tmp_path: Path) -> None:
    """A swapped file makes the lock stale; a missing one does not."""
    file = tmp_path / "a.jsonl"
    file.write_bytes(b"1")
    one = prepare(pin("a.jsonl", provider="replay", base=str(tmp_path)))
    assert codes(one) == []
    file.write_bytes(b"2")
    (found,) = check([one], today=TODAY)
    assert (found.code, found.stale) == ("file-changed", True)
    assert codes(one, files=False) == []
    file.unlink()
    (found,) = check([one], today=TODAY)
    assert (found.code, found.stale) == ("file-missing", False)


def test_a_file_without_a_recorded_hash_is_only_unknown(tmp_path: Path) -> None:
    """There is nothing to compare it with."""
    (tmp_path / "a.jsonl").write_bytes(b"1")
    one = pin("a.jsonl", provider="replay", base=str(tmp_path))
    assert codes(one, strict=True) == ["unknown"]


@pytest.mark.parametrize(
    ("lifecycle", "expected"),
    [
        ({}, "2026-12-11"),
        ({"shutdown": "2027-06-01", "seen": "2026-01-01"}, "2026-12-11"),
        ({"shutdown": "2027-06-01", "seen": "2027-01-01"}, "2027-06-01"),
        ({"shutdown": "2027-06-01"}, "2027-06-01"),
    ],
)
def test_the_newer_word_about_an_end_counts(
    lifecycle: dict[str, str], expected: str
) -> None:
    """The table's, unless the lock's is newer or was written by a person."""
    end = shutdown_of(pin("gpt-5-2025-08-07", lifecycle=lifecycle))
    assert end is not None
    assert end.date == expected


def test_a_date_noted_by_a_person_is_kept() -> None:
    """Preparing again does not overwrite what somebody knows better."""
    noted = pin("gpt-5-2025-08-07", lifecycle={"shutdown": "2027-06-01"})
    assert prepare(noted).lifecycle == {"shutdown": "2027-06-01"}
    assert prepare(replace(noted, lifecycle={})).lifecycle["shutdown"] == "2026-12-11"
