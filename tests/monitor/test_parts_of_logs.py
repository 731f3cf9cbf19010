"""Parts of a log, read apart and sent between processes, give what the whole gives."""

from __future__ import annotations

import pickle

from hypothesis import given, settings
from hypothesis import strategies as st

from llmguard.monitor.drift import (
    Logged,
    backtest_parts,
    learn_baseline,
    read_part,
    run_backtest,
)

_BASE = [
    Logged(text=f"order {n} is on its way", prompt=f"where is {n}?") for n in range(300)
]
_BASELINE, _EXTRACTOR, _ = learn_baseline(iter(_BASE), label="v1")
_TEXTS = ("order 1 is on its way", "```\nno\n```", "I cannot help with that.")


@settings(max_examples=10)
@given(
    st.lists(st.tuples(st.sampled_from(_TEXTS), st.integers(1, 150)), max_size=6),
    st.integers(1, 200),
)
def test_parts_give_what_the_whole_gives(
    runs: list[tuple[str, int]], size: int
) -> None:
    """Whatever the cuts: the same alarms at the same outputs, the same sketch."""
    log = [Logged(text=text, prompt="where?") for text, n in runs for _ in range(n)]
    parts = [
        pickle.loads(pickle.dumps(read_part(_EXTRACTOR, log[i : i + size])))  # noqa: S301 - ours
        for i in range(0, len(log), size)
    ]
    extractor = pickle.loads(pickle.dumps(_EXTRACTOR))  # noqa: S301 - ours
    whole = run_backtest(_BASELINE, _EXTRACTOR, log)
    assert whole.document() == backtest_parts(_BASELINE, extractor, parts).document()
