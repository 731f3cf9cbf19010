"""Drift detectors on real pairs of model versions: how soon, and how often wrongly.

    LLMGUARD_TEST_DATA=../data python benchmarks/monitor_bench.py [--quick]
    LLMGUARD_TEST_DATA=../data python benchmarks/monitor_bench.py --peers-only

Baseline: 805 answers of gpt-4-0314. Healthy: another run of the same version (a
floating alias), 10,000 outputs a stream. Changed: gpt-4-0613 and gpt-4-1106-preview,
5,000 outputs a stream. Delays are outputs until the alarm, median / 90 % of the
streams; `>` says that fewer than that ever alarmed. All detectors, the peers' too, are
given the same number of false alarms: 0.25 in 10,000 outputs each.
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
    """Freeze the baseline and follow all streams."""
    prompts = {line["prompt_id"]: line["prompt"] for line in load("prompts.jsonl.gz")}
    # The file is sorted by source; live prompts are not.
    base = shuffled(rows_of(BASE, prompts, known=known), 1)
    made = freeze(
        base,
        Extractor(),
        function="bench",
        pin=BASE,
        calibration=Calibration(block=block),
    )
    figures: dict[str, Any] = {name: {} for name in FAMILIES}
    same = shuffled(rows_of(SAME, prompts, known=known), 2)
    quiet = delays(made, same, streams=streams, long=HEALTHY, seed=3)
    for name in FAMILIES:
        share = float((quiet[name] <= HEALTHY).mean())
        figures[name]["healthy"] = share
    figures["together"] = {
        "healthy": float(
            np.mean(np.min([quiet[n] for n in FAMILIES], axis=0) <= HEALTHY)
        )
    }
    for model in CHANGED:
        other = shuffled(rows_of(model, prompts, known=known), 4)
        for name, first in delays(
            made, other, streams=streams, long=LONG, seed=5
        ).items():
            figures[name][model] = shown(first, LONG)
    return figures


def mixes(streams: int) -> list[tuple[str, str, str]]:
    """Return the share of streams that alarm when only the prompts' mix changes."""
    lines = load("prompts.jsonl.gz")
    prompts = {line["prompt_id"]: line["prompt"] for line in lines}
    subset = {line["prompt_id"]: line["subset"] for line in lines}
    ids = [line["prompt_id"] for line in load(f"outputs.{BASE}.jsonl.gz")]
    half = set(np.random.default_rng(6).permutation(len(ids))[: len(ids) // 2].tolist())
    shifts: dict[str, Callable[[str], bool]] = {
        "2 of 5 sources": lambda key: subset[key] in sorted(set(subset.values()))[:2],
        "long prompts": lambda key: len(prompts[key]) > 200,
    }
    found = []
    for known in (False, True):
        rows = rows_of(BASE, prompts, known=known)
        base = shuffled([r for i, r in enumerate(rows) if i in half], 7)
        made = freeze(
            base,
            Extractor(),
            function="bench",
            pin=BASE,
            calibration=Calibration(block=5),
        )
        for what, wanted in shifts.items():
            other = [r for i, r in enumerate(rows) if i not in half and wanted(ids[i])]
            first = delays(made, other, streams=streams, long=LONG, seed=8)
            alarmed = " ".join(
                f"{name} {float((first[name] <= LONG).mean()):.0%}" for name in FAMILIES
            )
            found.append((what, "with prompts" if known else "without", alarmed))
    return found


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
    streams = 10 if given.quick else 60
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
                    one[CHANGED[0]],
                    one[CHANGED[1]],
                    "  ".join(note),
                )
            )
        table(
            f"{title}; of healthy streams, 22 % may alarm per family, 63 % in all",
            ("family", "healthy", "-> 0613", "-> 1106", "aim 0613, 1106"),
            lines,
        )
        print(f"any family: {found['together']['healthy']:.0%} of healthy streams")
    if not (given.quick or given.peers_only):
        found_mixes = mixes(streams)
        figures["mixes"] = found_mixes
        table(
            "another mix of prompts, the same version: streams that alarm",
            ("shift", "prompts", "alarms"),
            found_mixes,
        )
    figures["peers"] = peers(streams)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1, default=str))


if __name__ == "__main__":
    sys.exit(main())
