"""Shadows of the tests' own, which start nothing else."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmguard import config
from llmguard.guard import Runtime, use_runtime
from llmguard.pins import Lock, forget, to_text
from llmguard.shadow.live import Shadows
from llmguard.shadow.live._exchange import exchange
from llmguard.store import ShadowPair, SqliteStore
from llmguard.testing import FakeModel, VirtualClock


class Live:
    """A process in small: shadows that follow its calls, and what they found."""

    def __init__(self) -> None:
        self._all: list[Shadows] = []
        self.shadows = Shadows()
        self.runtime = Runtime(watch=self.shadows.watch)

    def join(self) -> None:
        """Wait for the draws."""
        self.shadows.join()

    def counts(self) -> Counter[str]:
        """Return and forget what was counted, by name."""
        found: Counter[str] = Counter()
        for run in (*self.shadows.runs.values(), *self.shadows.ending):
            rows, self.pairs, _ = run.counts.drain(run.key)
            for row in rows:
                found[row.name] += row.n
        return found

    pairs: list[ShadowPair]

    def bodies(self) -> list[dict[str, Any]]:
        """Return the pairs that the last `counts` found."""
        return [json.loads(pair.body) for pair in self.pairs]


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Live]:
    """Follow calls in memory: no store is configured, none is written."""
    monkeypatch.chdir(tmp_path)
    config.reset()
    made = Live()
    with use_runtime(made.runtime):
        yield made
    made.shadows.close()
    config.reset()


class Project(Live):
    """A folder with a lock of two pins on one route, and a store that processes share.

    Every `process()` is another one in small: its own shadows on the same store.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.clock = VirtualClock(epoch=1_000_000.0)
        self.store = SqliteStore(folder / "store.db", clock=self.clock)
        self.old = FakeModel({"category": "legal", "human": True}, name="old-1")
        self.replies: list[object] = [{"category": "legal", "human": False}]
        self.new = FakeModel(self._say, name="new-1")
        self.a, self.b = self.old.pin("triage"), self.new.pin("triage")
        lock = Lock().with_pin(self.a).with_pin(self.b)
        (folder / "models.lock").write_text(to_text(lock))
        self.use(self.process())

    def _say(self, request: object) -> object:
        del request
        return self.replies.pop(0) if self.replies[1:] else self.replies[0]

    def process(self) -> Shadows:
        """Return the shadows of another process."""
        made = Shadows(clock=self.clock)
        self._all.append(made)
        return made

    def use(self, shadows: Shadows) -> None:
        """Make the calls that follow in that process."""
        self.shadows = shadows
        self.runtime.watch = shadows.watch

    def tick(self, seconds: float = 1.0) -> None:
        """Let the keeper of every process exchange, after some time."""
        self.clock.advance(seconds)
        for each in self._all:
            exchange(each, self.store)

    def close(self) -> None:
        """End every process."""
        for each in self._all:
            each.close()
        self.store.close()

    def kinds(self) -> list[str]:
        """Return the kinds of all events."""
        return [event.kind for event in self.store.events.list()]

    def stored(self, run: str) -> Counter[str]:
        """Return what the store counted, by name."""
        found: Counter[str] = Counter()
        for row in self.store.shadow.counts(run):
            found[row.name] += row.n
        return found


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """Give a project in its own folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLMGUARD_STORE", str(tmp_path / "store.db"))
    config.reset()
    forget()
    made = Project(tmp_path)
    with use_runtime(made.runtime):
        yield made
    made.close()
    config.reset()
    forget()
