"""Compare two versions' logs, and watch one, on Dask: partitions add up to the whole.

`python partitions.py` writes logs of its own into a temporary folder, as if machines
had collected them; in your project they are files on shared storage, and `--address`
names a scheduler of your cluster (`pip install dask distributed`).
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dask

from llmguard.monitor.drift import (
    Backtest,
    Baseline,
    Extractor,
    LogPart,
    backtest_parts,
    learn_baseline,
    read_answers,
    read_part,
    run_backtest,
)
from llmguard.shadow import Ladder, Report, Tally, Version, compare_files, report

PARTS = 4
CATEGORIES = ("billing", "shipping", "refund", "other")


# --- shadow compare: every worker counts its share of the requests


def count(a: Path, b: Path, repeat: Path, part: int) -> dict[str, Any]:
    """Compare one share, by a hash of the request's id; return its counts."""
    made = compare_files(a, b, ladder=Ladder(), repeats_a=[repeat], part=(part, PARTS))
    return made.tally.document()


def add(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Add the counts of two shares; any order, any tree."""
    tally = Tally.load(first, Ladder())
    tally.merge(Tally.load(second, Ladder()))
    return tally.document()


def compare(a: Path, b: Path, repeat: Path) -> Tally:
    """Compare two recordings on the cluster."""
    counts = [dask.delayed(count)(a, b, repeat, part) for part in range(PARTS)]
    while len(counts) > 1:
        pairs = zip(counts[::2], counts[1::2], strict=False)
        odd = counts[-1:] if len(counts) % 2 else []
        counts = [*(dask.delayed(add)(*pair) for pair in pairs), *odd]
    return Tally.load(counts[0].compute(), Ladder())


def shown(tally: Tally) -> Report:
    """Return the report of counts."""
    return report(tally, incumbent=Version(name="v1"), challenger=Version(name="v2"))


# --- monitor backtest: every worker reads files, one follows what they read


def read(extractor: Extractor, file: Path) -> LogPart:
    """Turn a file's answers into numbers: nearly all of the work."""
    return read_part(extractor, read_answers(file))


def watch(baseline: Baseline, extractor: Extractor, files: Sequence[Path]) -> Backtest:
    """Follow a log that lies in several files, in their order."""
    parts = dask.compute(*(dask.delayed(read)(extractor, file) for file in files))
    return backtest_parts(baseline, extractor, parts)


# --- what stands for your logs


def write_log(file: Path, seed: int, *, changed: float, start: int = 0) -> Path:
    """Write 400 answers; a share of them is wordier and in another category."""
    rng = random.Random(seed)
    with file.open("w", encoding="utf-8") as out:
        for number in range(start, start + 400):
            category = CATEGORIES[number % 4]
            other = rng.random() < changed
            value = {
                "category": "other" if other else category,
                "note": "very " * (6 if other else 1) + "brief",
            }
            line = {"id": f"r{number}", "output": json.dumps(value)}
            out.write(json.dumps(line) + "\n")
    return file


def main() -> None:
    """Do both on partitions and on the whole, and say whether they agree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", help="of a Dask scheduler; processes without")
    address: str | None = parser.parse_args().address
    if address is None:
        dask.config.set(scheduler="processes", num_workers=2)
    else:
        from distributed import Client

        Client(address)
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        a, again, b = (
            write_log(here / f"{name}.jsonl", seed, changed=share)
            for name, seed, share in (("v1", 1, 0), ("again", 2, 0), ("v2", 3, 0.1))
        )
        tally = compare(a, b, again)
        whole = compare_files(a, b, ladder=Ladder(), repeats_a=[again]).tally
        found = shown(tally)
        net = found.main.net.value
        print(f"{found.verdict}: {tally.requests} requests, {net:.1%} net")
        print(f"partitions agree with the whole: {tally.digest == whole.digest}")

        base, extractor, _ = learn_baseline(read_answers(a), label="v1")
        days = [
            write_log(here / f"day{n}.jsonl", n + 9, changed=0.4 * (n > 1), start=n)
            for n in range(4)
        ]
        result = watch(base, extractor, days)
        answers = (one for day in days for one in read_answers(day))
        alone = run_backtest(base, extractor, answers)
        first = min((alarm.output for alarm in result.first.values()), default=0)
        print(f"{result.outputs} answers, first alarm at {first}: {[*result.first]}")
        same = result.document() == alone.document()
        print(f"partitions agree with the whole: {same}")
    sys.exit(not (same and tally.digest == whole.digest))


if __name__ == "__main__":
    main()
