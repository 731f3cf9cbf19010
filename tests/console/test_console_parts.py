"""Small parts of the console: turns, spans, values."""

from __future__ import annotations

import pytest

from llmguard.testing import VirtualClock
from llmguard_fallbacks.console._format import FILTERS, pretty, span
from llmguard_fallbacks.console._limits import Limiter


def test_turns_come_back_with_time(clock: VirtualClock) -> None:
    """A key has its own; forgetting gives all of them back."""
    limiter = Limiter(2, clock=clock)
    assert [0, 0, 30] == [limiter.wait("a") for _ in range(3)]
    assert 0 == limiter.wait("b")
    clock.advance(30.0)
    assert [0, 30] == [limiter.wait("a") for _ in range(2)]
    limiter.forget("a")
    assert 0 == limiter.wait("a")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (float("inf"), "-"),
        (0, "0 s"),
        (0.0004, "under 1 ms"),
        (0.25, "250 ms"),
        (59, "59 s"),
        (200, "3 min 20 s"),
        (12 * 60 + 5, "12 min"),
        (3 * 3600 + 1200, "3 h 20 min"),
        (2 * 86400 + 3600 * 4, "2 d 4 h"),
        (-90, "1 min 30 s"),
    ],
)
def test_spans_are_short(seconds: float | None, text: str) -> None:
    """Two units at most."""
    assert text == span(seconds)


def test_values_are_shown_as_they_are() -> None:
    """Text as text, the rest as JSON; letters stay letters."""
    assert "ä" == pretty("ä")
    assert '{\n  "a": "ä"\n}' == pretty({"a": "ä"})
    assert '"\\ud800"' == pretty(["\ud800"])[4:-2]
    assert "1,000" == FILTERS["number"](1000)
