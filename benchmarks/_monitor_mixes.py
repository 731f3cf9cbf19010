"""Only the mix of prompts changes: who raises an alarm that is none?

A baseline of one half of the prompts, a stream picked one-sidedly from the other half,
the same version and run of it. Streams are made in two ways. `once`: every answer comes
once, as live traffic does; streams are as long as the pool, one to two hundred outputs.
`again`: 5,000 outputs drawn from that pool, so that each answer comes some thirty
times; then the pool's own error, which no live stream has, is watched as well. What
that alone does is seen on a pool of as many prompts picked at random, mixed as the
baseline is; it is the control of both ways.

Shares are means over halves, and their intervals are over halves: streams of one
half share its luck; 16 halves once, the first 5 of them again. None of these halves
was used to choose a rule or a constant of the detectors; those were chosen on halves
of the answers of other versions.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from _measure import table

from llmguard.monitor.drift import (
    FAMILIES,
    Baseline,
    Calibration,
    Extractor,
    Row,
    Rows,
    first_alarms,
    freeze,
)
from llmguard.monitor.drift._calibrate import stationary
from llmguard.monitor.drift._rows import Order

SEED: Final = 3000
"""Of the first half."""
HALVES, ORDERS = 16, 10
AGAIN, STREAMS, LONG = 5, 20, 5_000
LONG_PROMPT: Final = 200
_DRAWS: Final = 10_000
_PAIRS: Final = "2 of 5 sources"


@dataclass(slots=True)
class Shares:
    """Of one kind of stream: the share that alarms, for each half."""

    any: list[float] = field(default_factory=list[float])
    held: list[float] = field(default_factory=list[float])
    families: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    outputs: list[int] = field(default_factory=list[int])

    def of(self, one: Mapping[str, Any], outputs: int) -> None:
        """Add the streams of one half and pool."""
        self.any.append(one["any"])
        self.held.append(one["held"])
        self.outputs.append(outputs)
        for name in FAMILIES:
            self.families.setdefault(name, []).append(one[name])


def mixes(
    read: Mapping[bool, Sequence[Row]], sources: Sequence[str], chars: Sequence[int]
) -> dict[str, Any]:
    """Follow all streams, print both tables, return the shares.

    Args:
        read: The rows with their prompts (True) and without (False).
        sources: Where each prompt comes from.
        chars: Length of each prompt.
    """
    wanted: dict[str, list[Callable[[int], bool]]] = {
        _PAIRS: [
            lambda i, pair=pair: sources[i] in pair
            for pair in itertools.combinations(sorted(set(sources)), 2)
        ],
        "long prompts": [lambda i: chars[i] > LONG_PROMPT],
    }
    found: dict[tuple[str, str, bool], Shares] = {}
    for half in range(HALVES):
        rng = np.random.default_rng(SEED + half)
        order = rng.permutation(len(sources))
        base, rest = order[: len(order) // 2], order[len(order) // 2 :]
        for known, rows in read.items():
            made = freeze(
                [rows[i] for i in base],
                Extractor(),
                function="bench",
                pin="mixes",
                calibration=Calibration(block=5),
            )
            for what, picks in wanted.items():
                for pick in picks:
                    pool = [int(i) for i in rest if pick(int(i))]
                    even = [int(i) for i in rng.permutation(rest)[: len(pool)]]
                    told = [(what, pool)] + [("none", even)] * (what == _PAIRS)
                    for name, some in told:
                        size = len(some)
                        drawn = np.stack([rng.permutation(size) for _ in range(ORDERS)])
                        into = shares(found, "once", name, known)
                        _follow(made, rows, some, drawn, into)
                        if known and half < AGAIN:
                            drawn = stationary(rng, size, (STREAMS, LONG), 5)
                            into = shares(found, "again", name, known)
                            _follow(made, rows, some, drawn, into)
    return _tell(found)


def shares(
    found: dict[tuple[str, str, bool], Shares], way: str, what: str, known: bool
) -> Shares:
    """Return the shares of one kind of stream, so far."""
    return found.setdefault((way, what, known), Shares())


def _follow(
    made: Baseline,
    rows: Sequence[Row],
    pool: Sequence[int],
    order: Order,
    into: Shares,
) -> None:
    long = order.shape[1]
    raised, held = first_alarms(made, Rows.of([rows[i] for i in pool]), order)
    one = {name: float((raised[name] <= long).mean()) for name in FAMILIES}
    into.of(one | {"any": _any(raised, long), "held": _any(held, long)}, long)


def _any(first: Mapping[str, np.ndarray], long: int) -> float:
    return float((np.min([first[n] for n in FAMILIES], axis=0) <= long).mean())


def _tell(found: Mapping[tuple[str, str, bool], Shares]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for way in ("once", "again"):
        lines: list[tuple[object, ...]] = []
        halves = HALVES if way == "once" else AGAIN
        for (how, what, known), one in sorted(found.items(), key=lambda i: i[0]):
            if how != way:
                continue
            low, high = _interval(one.any, halves)
            outputs = float(np.mean(one.outputs))
            rate = 1e4 * float(np.mean(one.any)) / outputs
            lines.append(
                (
                    what,
                    "read" if known else "not read",
                    f"{outputs:.0f}",
                    *(f"{np.mean(one.families[n]):.1%}" for n in FAMILIES),
                    f"{np.mean(one.any):.1%} ({low:.1%} to {high:.1%})",
                    f"{rate:.1f}",
                    f"{np.mean(one.held):.0%}",
                )
            )
            kept[f"{way}, {what}, prompts {'read' if known else 'not read'}"] = {
                "outputs": outputs,
                "families": {n: float(np.mean(one.families[n])) for n in FAMILIES},
                "any": float(np.mean(one.any)),
                "interval": (low, high),
                "held": float(np.mean(one.held)),
            }
        told = "each answer once" if way == "once" else f"{LONG:,} drawn from the pool"
        table(
            f"another mix of prompts, the same version; {told}, {halves} halves: "
            "streams that alarm",
            ("shift", "prompts", "outputs", *FAMILIES, "any", "per 10k", "held back"),
            lines,
        )
    return kept


def _interval(alarmed: Sequence[float], halves: int) -> tuple[float, float]:
    """Return the 95 % interval of the mean, by resampling halves."""
    means = np.array(alarmed).reshape(halves, -1).mean(axis=1)
    drawn = np.random.default_rng(1).choice(means, (_DRAWS, halves)).mean(axis=1)
    return float(np.quantile(drawn, 0.025)), float(np.quantile(drawn, 0.975))
