"""A store and settings of the tests' own, and exercises that can be waited for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llmguard import config
from llmguard.guard import Exerciser, Runtime, use_runtime
from llmguard.outcome import Attempt

Notes = list[tuple[str, str, str]]


@pytest.fixture
def store_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Configure a store, which makes every guard a managed one."""
    path = tmp_path / "store.db"
    monkeypatch.setenv("LLMGUARD_STORE", str(path))
    config.reset()
    yield path
    config.reset()


@pytest.fixture
def notes() -> Notes:
    """Collect what exercises record: tier, kind, source."""
    return []


@pytest.fixture
def exerciser(notes: Notes) -> Iterator[Exerciser]:
    """Give an exerciser of the test's own, which ends with it."""

    def record(function: str, attempt: Attempt, at: float, source: str) -> None:
        assert function
        assert at > 0
        notes.append((attempt.tier, str(attempt.kind), source))

    made = Exerciser(record=record, capacity=2)
    yield made
    made.stop()


@pytest.fixture
def live(exerciser: Exerciser, store_path: Path) -> Iterator[Callable[[], Runtime]]:
    """Answer calls on a runtime that exercises, though it writes nothing."""
    assert store_path
    runtime = Runtime(exercise=exerciser.offer)
    with use_runtime(runtime):
        yield lambda: runtime
