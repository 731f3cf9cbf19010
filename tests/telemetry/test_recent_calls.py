"""Which calls are kept, and what of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard import Attempt, Kind, Outcome
from llmguard.errors import ConfigError
from llmguard.telemetry import Answer
from llmguard.telemetry.recent import CallLog, Recent, RecentCounts, Said, call_log


class Time:
    """A clock that a test turns."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def recent(time: Time) -> Recent:
    return Recent(capacity=8, clock=time)


def _outcome(
    number: int, kind: Kind = Kind.OK, *, tier_index: int = 0, function: str = "app.f"
) -> Outcome:
    return Outcome(
        call_id=f"c{number}",
        function=function,
        kind=kind,
        tier="f" if kind is Kind.OK else "",
        tier_index=tier_index if kind is Kind.OK else -1,
    )


def _ids(recent: Recent) -> list[str]:
    return [held.outcome.call_id for held in recent.drain()]


def test_good_calls_are_sampled_for_each_function(recent: Recent, time: Time) -> None:
    """One a second; a busy function takes no place of a quiet one."""
    for number in range(5):
        recent(_outcome(number))
    recent(_outcome(7, function="app.quiet"))
    time.now = 1.0
    recent(_outcome(8))
    recent(_outcome(9))
    assert ["c0", "c7", "c8"] == _ids(recent)
    assert RecentCounts(told=8, kept=3, passed=5, dropped=0) == recent.counts()


def test_failures_and_degraded_calls_are_always_kept(recent: Recent) -> None:
    """As long as there is room, of which good ones may take half."""
    recent.log = CallLog(per_second=1e9)
    for number in range(6):
        recent(_outcome(number))
    recent(_outcome(10, Kind.TIMEOUT))
    recent(_outcome(11, tier_index=2))
    for number in range(20, 26):
        recent(_outcome(number, Kind.SCHEMA))
    kept = ["c0", "c1", "c2", "c3", "c10", "c11", "c20", "c21"]
    assert kept == _ids(recent)
    assert RecentCounts(told=14, kept=8, passed=0, dropped=6) == recent.counts()


def test_no_good_call_is_kept_at_rate_0(recent: Recent, time: Time) -> None:
    """Only what went wrong."""
    recent.log = CallLog(per_second=0)
    recent(_outcome(1))
    time.now = 1e6
    recent(_outcome(2))
    recent(_outcome(3, Kind.REFUSAL))
    assert ["c3"] == _ids(recent)


def test_what_could_not_be_written_waits_in_order(recent: Recent) -> None:
    """What finds no room any more is counted."""
    for number in range(5):
        recent(_outcome(number, Kind.TIMEOUT))
    held = recent.drain()
    for number in range(5, 10):
        recent(_outcome(number, Kind.TIMEOUT))
    recent.put_back(held)
    assert [f"c{number}" for number in range(2, 10)] == _ids(recent)
    assert 2 == recent.counts().dropped


def _answer(number: int, text: str) -> Answer:
    attempt = Attempt(
        tier="f", tier_index=0, number=1, kind=Kind.OK, started=0.0, elapsed=0.1
    )
    return Answer(
        call_id=f"c{number}",
        function="app.f",
        at=0.0,
        attempt=attempt,
        value=text.upper(),
        text=text,
        inputs={"question": number},
    )


def test_content_is_held_until_the_call_ends(recent: Recent) -> None:
    """And forgotten with calls that are not kept."""
    recent.answered(_answer(1, "a"))
    recent.answered(_answer(1, "b"))
    recent.answered(_answer(2, "c"))
    recent(_outcome(1))
    recent(_outcome(2))
    [held] = recent.drain()
    said = tuple(
        Said(tier_index=0, number=1, text=text, value=text.upper()) for text in "ab"
    )
    assert ({"question": 1}, said) == (held.inputs, held.said)
    recent(_outcome(2, Kind.TIMEOUT))
    assert [None] == [held.inputs for held in recent.drain()]


def test_calls_that_never_end_are_forgotten(recent: Recent) -> None:
    """The oldest first, so that what is held stays bounded."""
    for number in range(2_001):
        recent.answered(_answer(number, "x"))
    recent(_outcome(0, Kind.TIMEOUT))
    recent(_outcome(2_000, Kind.TIMEOUT))
    assert [None, {"question": 2_000}] == [held.inputs for held in recent.drain()]


def test_a_child_starts_empty(recent: Recent) -> None:
    """What waits is its parent's."""
    recent(_outcome(1))
    recent.renew()
    assert [] == recent.drain()
    assert 0 == recent.counts().told


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 2)), max_size=60))
def test_every_call_is_kept_passed_or_dropped(calls: list[tuple[bool, float]]) -> None:
    """Whatever comes when, the counts add up and the queue is bounded."""
    time = Time()
    recent = Recent(capacity=10, clock=time)
    for number, (good, later) in enumerate(calls):
        time.now += later
        recent(_outcome(number, Kind.OK if good else Kind.TRANSPORT))
    counts, waits = recent.counts(), _ids(recent)
    assert (len(calls), len(waits)) == (counts.told, counts.kept)
    assert counts.kept <= 10
    bad = sum(not good for good, _ in calls)
    assert counts.dropped == 0 or counts.kept >= min(10, bad)


def test_settings_are_read() -> None:
    """`content` follows `capture_content` unless the table says so itself."""
    assert CallLog() == call_log({}, capture=False)
    assert call_log({"rows": 5}, capture=True).content
    assert not call_log({"content": False}, capture=True).content


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"row": 5}, "unknown key `row`"),
        ({"rows": -1}, "`rows = -1`"),
        ({"rows": 1.5}, "a whole number"),
        ({"days": "7"}, "`days = '7'`"),
        ({"per_second": True}, "`per_second = True`"),
        ({"per_second": float("nan")}, "`per_second = nan`"),
        ({"content": 1}, "true or false"),
        ({"redact": 1}, "'module:function'"),
    ],
)
def test_wrong_settings_are_refused(table: dict[str, object], told: str) -> None:
    """With the key and what it may be."""
    with pytest.raises(ConfigError, match=r"llmguard\.calls") as error:
        call_log(table, capture=False)
    assert told in str(error.value)


def test_a_redactor_that_is_not_there_is_refused() -> None:
    """Before anything is kept."""
    with pytest.raises(ConfigError, match=r"`\[tool.llmguard.calls\]` cannot be impor"):
        CallLog(redact="no.such:function").redactor()
