"""Drift detectors on real pairs of model versions: how soon, and how often wrongly.

    LLMGUARD_TEST_DATA=../data python benchmarks/monitor_bench.py [--quick]
    LLMGUARD_TEST_DATA=../data python benchmarks/monitor_bench.py --peers-only

Baseline: 805 answers of gpt-4-0314. Healthy: another run of the same version (a
floating alias), 10,000 outputs a stream. Changed: gpt-4-0613 and gpt-4-1106-preview,
5,000 outputs a stream; a third of the streams with each of three baselines. Delays are
outputs until the alarm, median / 90 % of the streams, and where 95 % of resampled
90 % points lie; `>` says that fewer than that ever alarmed. All detectors, the peers'
too, are given the same number of false alarms: 0.25 in 10,000 outputs each.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _measure import machine, options, table
from _monitor_mixes import mixes
from _monitor_peers import race

from llmguard.monitor.drift import (
    Calibration,
    Extractor,
    Row,
    Rows,
    first_alarms,
    freeze,
)
from llmguard.monitor.drift._calibrate import stationary

DATA = Path(os.environ.get("LLMGUARD_TEST_DATA", "../shared/data"))
BASE, SAME = "gpt-4-0314", "gpt-4-alias-mid2023"
CHANGED = ("gpt-4-0613", "gpt-4-1106-preview")
HEALTHY, LONG = 10_000, 5_000
STREAMS, TURNS = 300, 3
FAMILIES = ("style", "wording", "patterns", "length")
NOTES = {  # research figures for the same data, thresholds and order of outputs
    (False, 1.0): {
        "style": ("80/115", "14/23"),
        "wording": ("120/211", "25/32"),
        "patterns": ("138/217", "22/30"),
        "length": ("200/402", "120/140"),
    },
}
Statistic = Callable[[Any, np.ndarray], np.ndarray]


def load(name: str) -> list[dict[str, Any]]:
    path = DATA / "alpaca-eval" / name
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def rows_of(model: str, prompts: Mapping[str, str], *, known: bool) -> list[Row]:
    extractor = Extractor()
    return [
        extractor.read(
            line["output"], prompt=prompts[line["prompt_id"]] if known else None
        )
        for line in load(f"outputs.{model}.jsonl.gz")
    ]


def delays(
    baseline: Any, rows: Sequence[Row], *, streams: int, long: int, seed: int
) -> dict[str, np.ndarray]:
    """Return the first alarm of each family in each stream; `long + 1` for none.

    Alarms that other inputs explain are not raised, and do not count.
    """
    order = stationary(
        np.random.default_rng(seed),
        len(rows),
        (streams, long),
        baseline.calibration.block,
    )
    return dict(first_alarms(baseline, Rows.of(rows), order)[0])


def shown(first: np.ndarray, long: int) -> str:
    parts = (np.median(first), np.quantile(first, 0.9))
    return "/".join(f">{long}" if part > long else f"{part:.0f}" for part in parts)


def shuffled(rows: Sequence[Row], seed: int) -> list[Row]:
    order = np.random.default_rng(seed).permutation(len(rows))
    return [rows[i] for i in order]


def compare(*, known: bool, block: float, streams: int) -> dict[str, Any]:
    """Freeze baselines and follow all streams, an equal part of them with each.

    Each baseline is of the same answers in another order, which gives it thresholds
    of its own: a single one's luck would be in every stream.
    """
    prompts = {line["prompt_id"]: line["prompt"] for line in load("prompts.jsonl.gz")}
    read = {
        model: rows_of(model, prompts, known=known) for model in (BASE, SAME, *CHANGED)
    }
    found: dict[str, list[dict[str, np.ndarray]]] = {name: [] for name in read}
    for turn in range(TURNS):
        # The file is sorted by source; live prompts are not.
        made = freeze(
            shuffled(read[BASE], 10 * turn + 1),
            Extractor(),
            function="bench",
            pin=BASE,
            calibration=Calibration(block=block, seed=7 + turn),
        )
        for n, model in enumerate((SAME, *CHANGED)):
            other = shuffled(read[model], 10 * turn + 2 + n)
            long = HEALTHY if model == SAME else LONG
            few, seed = max(streams // TURNS, 1), 10 * turn + 5 + n
            found[model].append(delays(made, other, streams=few, long=long, seed=seed))
    first = {
        model: {name: np.concatenate([one[name] for one in some]) for name in FAMILIES}
        for model, some in found.items()
        if some
    }
    figures: dict[str, Any] = {
        name: {"healthy": float((first[SAME][name] <= HEALTHY).mean())}
        for name in FAMILIES
    }
    for name in FAMILIES:
        for model in CHANGED:
            figures[name][model] = shown(first[model][name], LONG)
            figures[name][f"{model}, 90 %"] = interval(first[model][name], LONG)
    together = np.min(list(first[SAME].values()), axis=0) <= HEALTHY
    figures["together"] = {"healthy": float(together.mean())}
    return figures


def interval(first: np.ndarray, long: int) -> str:
    """Return the 95 % interval of the 90 % point, by resampling streams."""
    drawn = np.random.default_rng(1).choice(first, (2_000, len(first)))
    ends = np.quantile(np.quantile(drawn, 0.9, axis=1), (0.025, 0.975))
    return " to ".join(f">{long}" if end > long else f"{end:.0f}" for end in ends)


def other_mixes() -> dict[str, Any]:
    """Follow streams of which only the mix of prompts changes."""
    lines = {line["prompt_id"]: line for line in load("prompts.jsonl.gz")}
    prompts = {key: line["prompt"] for key, line in lines.items()}
    ids = [line["prompt_id"] for line in load(f"outputs.{BASE}.jsonl.gz")]
    return mixes(
        {known: rows_of(BASE, prompts, known=known) for known in (True, False)},
        [lines[key]["subset"] for key in ids],
        [len(prompts[key]) for key in ids],
    )


def peers(streams: int) -> dict[str, Any]:
    """Run evidently and river on the lengths of the same streams, and ours beside."""

    def lengths(model: str, seed: int) -> list[float]:
        lines = load(f"outputs.{model}.jsonl.gz")
        order = np.random.default_rng(seed).permutation(len(lines))
        return [float(np.log1p(len(lines[i]["output"]))) for i in order]

    def drawn(model: str, long: int) -> list[list[float]]:
        values = np.array(lengths(model, 4))
        rng = np.random.default_rng(5)
        return [
            [float(v) for v in values[rng.integers(0, len(values), long)]]
            for _ in range(min(streams, 24))
        ]

    found = race(
        {
            "base": lengths(BASE, 1),
            "healthy": drawn(SAME, HEALTHY),
            "changed": {model: drawn(model, LONG) for model in CHANGED},
        }
    )
    lines: list[tuple[str, ...]] = []
    for name, one in found.items():
        if isinstance(one, str):
            lines.append((name, one, "", ""))
            continue
        delays_of = [shown(np.array(one["delays"][model]), LONG) for model in CHANGED]
        lines.append((name, f"{one['healthy']:.0%}", *delays_of))
    table(
        "peers on lengths, their knob set on the healthy streams (22 % may alarm)",
        ("detector", "healthy", "-> 0613", "-> 1106"),
        lines,
    )
    return found


def main() -> None:
    given = options(__doc__.splitlines()[0], "--peers-only")
    if not (DATA / "alpaca-eval").is_dir():
        print(f"skipped: no recorded outputs at {str(DATA)!r}; set LLMGUARD_TEST_DATA")
        return
    streams = 10 if given.quick else STREAMS
    figures: dict[str, Any] = {"machine": machine()}
    runs = [(False, 1.0), (True, 1.0), (True, 5.0), (True, 20.0)]
    runs = [] if given.peers_only else runs[:1] if given.quick else runs
    for known, block in runs:
        title = f"{'with' if known else 'without'} prompts, blocks of {block:g}"
        found = compare(known=known, block=block, streams=streams)
        figures[title] = found
        lines: list[tuple[str, ...]] = []
        for name in FAMILIES:
            one = found[name]
            note = NOTES.get((known, block), {}).get(name, ("", ""))
            lines.append(
                (
                    name,
                    f"{one['healthy']:.0%}",
                    *(one[each] for each in CHANGED),
                    *(one[f"{each}, 90 %"] for each in CHANGED),
                    "  ".join(note),
                )
            )
        table(
            f"{title}; of healthy streams, 22 % may alarm per family, 63 % in all",
            (
                "family",
                "healthy",
                "-> 0613",
                "-> 1106",
                "90 % lies",
                "90 % lies",
                "aim 0613, 1106",
            ),
            lines,
        )
        print(f"any family: {found['together']['healthy']:.0%} of healthy streams")
    if not (given.quick or given.peers_only):
        figures["mixes"] = other_mixes()
    figures["peers"] = peers(streams)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1, default=str))


if __name__ == "__main__":
    sys.exit(main())
