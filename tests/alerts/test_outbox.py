"""The outbox: what is news, what is tried again, what is dropped."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmguard.errors import ConfigError
from llmguard.monitor.alerts import Alert, Call, Outbox, RetryLaterError
from llmguard.testing import VirtualClock


class Sink:
    """Keeps what it got; fails as often as told."""

    def __init__(self, *faults: Exception, name: str = "sink") -> None:
        self.name = name
        self.faults = list(faults)
        self.got: list[tuple[str, str]] = []

    def deliver(self, alert: Alert, *, delivery: str, at: float) -> None:
        if self.faults:
            raise self.faults.pop(0)
        self.got.append((alert.signal, delivery))


def _outbox(*sinks: Any, **options: Any) -> tuple[Outbox, VirtualClock]:
    clock = VirtualClock()
    outbox = Outbox(clock=clock, threaded=False, **options)
    outbox.sinks = sinks
    return outbox, clock


def test_an_alert_says_everything(alert: Alert) -> None:
    """Version, signal, since when, evidence and the command are on its one line."""
    assert alert.text() == (
        "PAGE slo.schema_valid: triage-1.1 of app.triage (route triage), since "
        "2025-06-15T15:06:40+00:00: 12 of 40 answers broke the schema in 5 minutes. "
        "Look: `llmguard slo status app.triage`"
    )
    assert alert.document()["version"] == "triage-1.1"
    assert alert.key == "prod/triage/app.triage/triage-1.1/slo.schema_valid"


@pytest.mark.parametrize("field", ["signal", "evidence", "command"])
def test_an_alert_that_helps_nobody_is_refused(alert: Alert, field: str) -> None:
    """What happened, why, and how to look are required."""
    with pytest.raises(ConfigError, match=field):
        replace(alert, **{field: ""})


def test_a_severity_that_is_none(alert: Alert) -> None:
    """Typing errors are found where they are made."""
    with pytest.raises(ConfigError, match="'critical'"):
        replace(alert, severity="critical")


def test_the_same_alert_goes_out_once(alert: Alert) -> None:
    """A repeated alert is counted and not sent; a worse one is news."""
    sink = Sink()
    outbox, clock = _outbox(sink, repeat=100.0)
    mild = replace(alert, severity="warning")
    sent = [outbox.offer(a) for a in (mild, mild, alert, mild)]
    assert sent == [True, False, True, False]
    clock.advance(99)
    assert not outbox.offer(alert)
    clock.advance(1)
    assert outbox.offer(alert)
    outbox.step()
    assert len({delivery for _, delivery in sink.got}) == 3
    assert outbox.counts.repeated == 3


def test_the_end_is_news_and_so_is_the_next_beginning(alert: Alert) -> None:
    """Resolved alerts are sent once, and only for what was sent."""
    outbox, _ = _outbox(Sink())
    over = replace(alert, resolved=True)
    sent = [outbox.offer(a) for a in (over, alert, over, over, alert)]
    assert sent == [False, True, True, False, True]


def test_a_failing_sink_holds_up_no_other(alert: Alert) -> None:
    """It is tried again after 5 s, then as late as the receiver asks."""
    slow = Sink(RetryLaterError("503"), RetryLaterError("503", after=60), name="slow")
    fast = Sink(name="fast")
    outbox, clock = _outbox(slow, fast)
    outbox.offer(alert)
    assert outbox.step() == 5.0
    assert (len(slow.got), len(fast.got)) == (0, 1)
    clock.advance(5)
    assert outbox.step() == 60.0
    clock.advance(60)
    assert outbox.step() is None
    assert len(slow.got) == 1
    assert outbox.counts.retried == 2


def test_it_gives_up_in_the_end(alert: Alert) -> None:
    """After six tries over some 42 minutes a delivery has failed."""
    sink = Sink(*[RetryLaterError("refused")] * 9)
    outbox, clock = _outbox(sink)
    outbox.offer(alert)
    waited = 0.0
    while (pause := outbox.step()) is not None:
        waited += pause
        clock.advance(pause)
    assert waited == 5 + 30 + 120 + 600 + 1800
    assert (outbox.counts.failed, len(sink.faults)) == (1, 3)


def test_a_raising_sink_ends_its_delivery_only(alert: Alert) -> None:
    """A fault in foreign code is counted and logged."""
    outbox, _ = _outbox(Sink(ValueError("bug")), good := Sink())
    outbox.offer(alert)
    outbox.step()
    assert (outbox.counts.failed, len(good.got)) == (1, 1)


def test_a_full_outbox_drops_and_counts(alert: Alert) -> None:
    """It is bounded; nothing blocks."""
    outbox, _ = _outbox(Sink(), capacity=2)
    sent = [outbox.offer(replace(alert, key=str(n))) for n in range(4)]
    assert sent == [True, True, False, False]
    assert outbox.counts.dropped == 2
    outbox.step()
    assert outbox.offer(replace(alert, key="2"))


def test_nobody_to_tell(alert: Alert) -> None:
    """Without a sink nothing is taken, and nothing is remembered as sent."""
    outbox, _ = _outbox()
    assert not outbox.offer(alert)
    outbox.sinks = (sink := Sink(),)
    assert outbox.offer(alert)
    outbox.step()
    assert len(sink.got) == 1


def test_another_process_may_have_told(alert: Alert) -> None:
    """A claim that is refused is no alert here; one that fails is."""
    outbox, _ = _outbox(sink := Sink(), claim=lambda _: False)
    assert outbox.offer(alert)
    outbox.step()
    assert (sink.got, outbox.counts.repeated) == ([], 1)

    def broken(one: Alert) -> bool:
        raise OSError(one.key)

    outbox, _ = _outbox(sink, claim=broken)
    outbox.offer(alert)
    outbox.step()
    assert len(sink.got) == 1


def test_the_thread_delivers(alert: Alert) -> None:
    """The default outbox needs nobody to step it."""
    got: list[Alert] = []
    outbox = Outbox()
    outbox.sinks = (Call(got.append),)
    outbox.offer(alert)
    assert outbox.flush(10.0)
    assert got == [alert]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["a", "b"]),
            st.sampled_from(["info", "warning", "page"]),
            st.booleans(),
        ),
        max_size=30,
    )
)
def test_every_sink_sees_a_sensible_story(
    alert: Alert, steps: list[tuple[str, Any, bool]]
) -> None:
    """Per key: never two ends in a row, never an end first, never the same twice."""
    sink: list[Alert] = []
    outbox, _ = _outbox(Call(sink.append))
    for key, severity, resolved in steps:
        outbox.offer(replace(alert, key=key, severity=severity, resolved=resolved))
    outbox.step()
    ranks = ["info", "warning", "page"]
    for key in ("a", "b"):
        story = [(a.resolved, ranks.index(a.severity)) for a in sink if a.key == key]
        assert not story or not story[0][0]
        for (over, before), (over_next, after) in pairwise(story):
            assert not (over and over_next)
            assert over or over_next or after > before
