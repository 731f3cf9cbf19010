"""Fixtures for pins: a fresh process-wide state, and a lock file to write to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from llmguard import config, pins


@pytest.fixture(autouse=True)
def _fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LLMGUARD_LOCK", raising=False)
    config.reset()
    pins.forget()
    yield
    config.reset()
    pins.forget()


@pytest.fixture
def lock_path(tmp_path: Path) -> Path:
    return tmp_path / "models.lock"
