"""What waits for people is said to be queued, not skipped."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from console_people import Person

from llmguard import Deferred, contract, fallback_chain, static
from llmguard.guard import fitness
from llmguard.guard._recent import row_of
from llmguard.promotion.overview import gather
from llmguard.store import CallFilter, Store
from llmguard.telemetry import add_hook, remove_hook
from llmguard.telemetry.activity import Activity
from llmguard.telemetry.recent import CallLog, Recent
from llmguard.telemetry.redact import scrub
from llmguard.testing import VirtualClock
from llmguard_fallbacks import human


@pytest.fixture
def asked(store: Store) -> None:
    """Ask people three times while the model is down, and once not even them."""
    activity, recent = Activity(), Recent()
    recent.log = CallLog(per_second=1e6)
    add_hook(activity)
    add_hook(recent)
    try:
        people = human(
            "triage", store=store, when=lambda call: call.inputs["ticket"] != "4"
        )

        @fallback_chain(people, static({}), deadline=60.0)
        @contract({"type": "object"})
        def triage(ticket: str) -> dict[str, str]:
            raise ConnectionError(ticket)

        for number in range(3):
            with pytest.raises(Deferred):
                triage(str(number))
        assert {} == triage("4")
    finally:
        remove_hook(activity)
        remove_hook(recent)
    store.add_activity(activity.drain())
    rows = [row_of(one, "prod", {}, recent.log, scrub) for one in recent.drain()]
    store.calls.add(rows, most=100, keep=86_400.0)


@pytest.mark.usefixtures("asked")
def test_queued_questions_are_told_from_skipped_ones(
    store: Store, clock: VirtualClock
) -> None:
    """Neither says anything of what the tier is worth."""
    report = gather(store, window=3600.0, now=clock.time())
    (line,) = [one for one in report.tiers if one.tier == "human:triage"]
    assert {"queued": 3, "skipped": 1} == line.failed
    (found,) = [
        one
        for one in fitness(store=store, now=clock.time())
        if one.tier == "human:triage"
    ]
    assert (0, None) == (found.failed, found.bound)


@pytest.mark.usefixtures("asked")
def test_the_pages_say_so(store: Store, person: Callable[..., Person]) -> None:
    """Health, and a call of its own."""
    rita = person("rita", "read")
    text = " ".join(re.sub(r"<[^>]*>", " ", rita.get("/health/?env=prod").text).split())
    assert "3 queued, 1 skipped" in text
    call = store.calls.list("prod", CallFilter(outcome="deferred"))[0]
    assert ">queued</span>" in rita.get(f"/calls/call/{call.id}").text
