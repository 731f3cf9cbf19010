"""A rollback that nobody asked for, as its post-mortem tells it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from llmguard.monitor.postmortem import gather, to_markdown
from llmguard.telemetry import add_hook, remove_hook
from llmguard.telemetry.growth import Growth
from llmguard.telemetry.tally import Tally

from . import test_monitor_wiring as wiring
from .project import broken

store, told, world = wiring.store, wiring.told, wiring.world


@pytest.fixture
def tally() -> Iterator[Tally]:
    """Count the calls, as the keeper of a process does."""
    made = Tally()
    add_hook(made)
    yield made
    remove_hook(made)


@pytest.mark.slow
def test_the_record_tells_the_whole_story(
    world: Callable[..., wiring.World], tally: Tally
) -> None:
    """First sign, calls until then, probe, rollback by itself, figures that say why."""
    w = world(v2=broken(0.6))
    w.upgrade()
    w.calls(60)
    growth = Growth(tally)
    batch = growth.batch(time.time())
    assert batch is not None
    w.store.counts.add(
        "prod", batch.rows, source=batch.source, number=batch.number, at=batch.at
    )
    found = gather(w.store, "prod", "triage", -1, now=time.time())
    assert found.upgrade.automatic
    assert found.upgrade.end == "rolled back"
    assert found.detected is not None
    assert found.detected.kind == "probe.paired"
    text = to_markdown(found)
    assert "was rolled back by itself" in text
    assert "**probe.paired**" in text
    assert "first answers that break the contract" in text
