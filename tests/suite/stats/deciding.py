"""Rules, cases and a round of them, for tests of the sequential decision."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from llmguard.suite.stats import Decider, Rule

SCHEMA = Rule(name="schema", tolerate=0.005, unacceptable=0.02)
LOOSE = Rule(name="loose", tolerate=0.05, unacceptable=0.5)
WORST = Rule(name="worst", tolerate=0.05, unacceptable=0.25, per_prompt=True)
PAIRED = Rule(name="paired", tolerate=0.0, unacceptable=0.05, relative=True)
TRAFFIC = replace(SCHEMA, name="traffic", scope="traffic")
CASES = [f"c{i}" for i in range(40)]


def play_round(
    decider: Decider,
    failing: Iterable[str] = (),
    *,
    cases: Iterable[str] = CASES,
    names: Iterable[str] | None = None,
) -> None:
    """Play one round of every open rule."""
    bad = set(failing)
    for case in cases:
        for name in names or decider.open:
            decider.feed(name, case, case in bad, False)
    decider.end_round()
