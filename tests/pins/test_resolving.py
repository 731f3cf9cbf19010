"""Resolving: cached, picked up when the file changes, never unpinned by a bad edit."""

from __future__ import annotations

import os
import warnings
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from llmguard import config
from llmguard.errors import LLMGuardWarning, LockError
from llmguard.pins import Lock, Pin, forget, load_lock, resolve, to_text

CALM = date(2026, 1, 1)


def pin(model: str = "gpt-5.2-2025-12-11", **more: Any) -> Pin:
    entry = {"route": "triage", "provider": "openai", "version_class": "versioned"}
    return Pin(**{**entry, "model": model, **more})


def write(path: Path, *pins: Pin) -> None:
    lock = Lock()
    for each in pins:
        lock = lock.with_pin(each)
    path.write_text(to_text(lock), encoding="utf-8")


def test_the_configured_lock_is_the_default(lock_path: Path) -> None:
    """Without arguments, `models.lock` of the project is read."""
    write(lock_path, pin())
    assert resolve("triage") == pin()
    assert load_lock().path == lock_path


def test_a_lock_or_its_path_can_be_given(tmp_path: Path) -> None:
    """Tests and tools bring their own."""
    write(tmp_path / "other.lock", pin())
    lock = load_lock(tmp_path / "other.lock")
    assert resolve("triage", lock=lock) == resolve("triage", lock=lock.path) == pin()


def test_an_unchanged_file_is_not_read_again(lock_path: Path) -> None:
    """The same object comes back, so a call costs one stat."""
    write(lock_path, pin())
    assert load_lock() is load_lock()


def test_a_changed_file_is_picked_up(lock_path: Path) -> None:
    """The next resolve after a replacement sees the new pin."""
    write(lock_path, pin())
    before = resolve("triage")
    write(lock_path.with_name("new"), pin("o3-pro-2025-06-10", owner="x"))
    lock_path.with_name("new").replace(lock_path)
    after = resolve("triage", today=CALM)
    assert (before.model, after.model) == ("gpt-5.2-2025-12-11", "o3-pro-2025-06-10")


def test_a_swapped_link_is_picked_up(tmp_path: Path, lock_path: Path) -> None:
    """Kubernetes replaces a link, not the file; both must be noticed."""
    write(tmp_path / "one", pin())
    write(tmp_path / "two", pin(params={"seed": 2}))
    lock_path.symlink_to(tmp_path / "one")
    before = resolve("triage")
    (tmp_path / "link").symlink_to(tmp_path / "two")
    (tmp_path / "link").replace(lock_path)
    assert (before.params, resolve("triage").params) == ({}, {"seed": 2})


@pytest.mark.parametrize("damage", ["broken", "missing"])
def test_a_process_keeps_its_good_lock_and_says_so_once(
    lock_path: Path, damage: str
) -> None:
    """Half an edit neither stops a running service nor unpins it."""
    write(lock_path, pin())
    resolve("triage")
    if damage == "missing":
        lock_path.unlink()
    else:
        text = lock_path.read_text(encoding="utf-8")
        lock_path.write_text(text.replace("openai", "closed"), encoding="utf-8")
    with pytest.warns(LLMGuardWarning, match="keeps the lock it read before"):
        assert resolve("triage") == pin()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert resolve("triage") == pin()
    with pytest.raises(LockError):
        load_lock()


def test_a_repaired_lock_is_believed_again(lock_path: Path) -> None:
    """Last known good is for the time until the repair only."""
    write(lock_path, pin())
    resolve("triage")
    lock_path.write_text("lock_version = 9\n", encoding="utf-8")
    with pytest.warns(LLMGuardWarning):
        resolve("triage")
    write(lock_path, pin(params={"seed": 3}))
    assert resolve("triage").params == {"seed": 3}


def test_without_any_good_lock_resolving_fails(lock_path: Path) -> None:
    """A process that starts with a bad or missing lock does not start."""
    with pytest.raises(LockError, match="llmguard pin add ROUTE"):
        resolve("triage")
    lock_path.write_text("lock_version = 9\n", encoding="utf-8")
    with pytest.raises(LockError, match="lock_version"):
        resolve("triage")


def test_unknown_routes_say_how_to_add_them(lock_path: Path) -> None:
    """The error holds the command."""
    write(lock_path, pin())
    with pytest.raises(LockError, match="`llmguard pin add invoice --provider"):
        resolve("invoice")


def test_a_shutdown_within_the_horizon_is_warned_about_once(lock_path: Path) -> None:
    """Ninety days ahead, once per process and pin."""
    write(lock_path, pin("gpt-5-2025-08-07"))
    with pytest.warns(LLMGuardWarning, match="2026-12-11, in 18 days.*pin add"):
        resolve("triage", today=date(2026, 11, 23))
    resolve("triage", today=date(2026, 11, 24))


@pytest.mark.parametrize(
    ("today", "warned"),
    [("2026-09-11", False), ("2026-09-12", True), ("2027-03-01", True)],
)
def test_the_horizon_is_ninety_days(lock_path: Path, today: str, warned: bool) -> None:
    """91 days ahead is silent, 90 is not, and neither is the time after."""
    write(lock_path, pin("gpt-5-2025-08-07"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        resolve("triage", today=date.fromisoformat(today))
    assert bool(caught) is warned


def test_strict_mode_refuses_unknown_names(
    lock_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name no rule knows runs only where nobody asked for strictness."""
    write(lock_path, pin("x", provider="fake", version_class="unknown"))
    assert resolve("triage").version_class == "unknown"
    forget()
    monkeypatch.setenv("LLMGUARD_STRICT", "1")
    config.reset()
    with pytest.raises(LockError, match="LLMGUARD_STRICT=0"):
        resolve("triage")


def test_relative_model_files_start_at_the_lock(tmp_path: Path) -> None:
    """A worker in another directory finds the same file."""
    (tmp_path / "conf").mkdir()
    write(tmp_path / "conf" / "models.lock", pin("m/x.gguf", provider="llama.cpp"))
    found = resolve("triage", lock=os.path.join("conf", "models.lock"))  # noqa: PTH118 - as users give it
    assert found.path == tmp_path / "conf" / "m" / "x.gguf"
