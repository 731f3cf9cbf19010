"""Recorded pairs a second, and whether memory grows with them.

Run `python benchmarks/shadow_bench.py`; it writes recordings of 10,000 to 1,000,000
requests (a ticket's triage as JSON, the incumbent repeated on a quarter of them) to a
temporary folder, in random order, and compares each in a process of its own. `--quick`
stops at 20,000, `--short` at 300,000. Memory is the peak of the process that compares
(`VmHWM` of Linux).
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from _measure import machine, options, report, table

SIZES: Final = (10_000, 100_000, 1_000_000)
SHORT: Final = (10_000, 100_000, 300_000)
QUICK: Final = (2_000, 20_000)
SCHEMA: Final = {
    "type": "object",
    "properties": {
        "category": {"enum": ["billing", "shipping", "refund", "bug", "other"]},
        "priority": {"enum": ["low", "normal", "high", "urgent"]},
        "needs_human": {"type": "boolean"},
        "order_id": {"type": ["string", "null"]},
        "amount": {"type": "number"},
        "summary": {"type": "string"},
    },
    "required": ["category", "priority", "needs_human"],
}
WORDS: Final = ("parcel", "late", "broken", "please", "send", "another", "soon")


def answer(rng: random.Random, request: int, noise: float) -> str:
    """Return what a version says: mostly the request's own answer, sometimes not."""
    own = random.Random(request)
    source = rng if rng.random() < noise else own
    return json.dumps(
        {
            "category": source.choice(
                ["billing", "shipping", "refund", "bug", "other"]
            ),
            "priority": source.choice(["low", "normal", "high", "urgent"]),
            "needs_human": source.random() < 0.2,
            "order_id": f"A-{own.randrange(10**6)}",
            "amount": round(own.random() * 100, 2),
            "summary": " ".join(rng.choices(WORDS, k=20)),
        }
    )


def write(path: Path, requests: Sequence[int], *, seed: int, noise: float) -> None:
    rng = random.Random(seed)
    with path.open("w", encoding="utf-8") as file:
        for request in rng.sample(requests, len(requests)):
            row = {
                "id": f"r{request}",
                "output": answer(rng, request, noise),
                "route": f"s{request % 20}",
                "user": f"u{request % 5000}",
                "latency_s": 0.5,
            }
            file.write(json.dumps(row) + "\n")


def recordings(folder: Path, n: int) -> list[Path]:
    paths = [folder / f"{name}.{n}.jsonl" for name in ("a", "b", "a2")]
    everything = range(n)
    for path, requests, seed in zip(
        paths, (everything, everything, range(n // 4)), (1, 2, 3), strict=True
    ):
        write(path, requests, seed=seed, noise=0.10 if seed == 2 else 0.08)
    return paths


def peak_mb() -> float:
    """Return the peak of this process alone; `ru_maxrss` remembers its parent's."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def child(paths: Sequence[str], validate: str) -> None:
    """Compare in this process, and say what it took."""
    from llmguard.shadow import compare_files, read_settings

    settings = read_settings(
        read={"stratum": "route", "cluster": "user"},
        ladder={"schema": SCHEMA, "validate": validate == "validated"},
    )
    a, b, a2 = paths
    before = peak_mb()
    started, cpu = time.perf_counter(), time.process_time()
    made = compare_files(
        a, b, repeats_a=[a2], ladder=settings.ladder, fields=settings.read
    )
    figures = {
        "wall_s": time.perf_counter() - started,
        "cpu_s": time.process_time() - cpu,
        "start_mb": before,
        "peak_mb": peak_mb(),
        "requests": made.tally.requests,
    }
    print(json.dumps(figures))


def measure(n: int, *, validate: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="shadow-bench-") as name:
        paths = recordings(Path(name), n)
        size = sum(path.stat().st_size for path in paths)
        words = [sys.executable, __file__, "--child", validate, *map(str, paths)]
        done = subprocess.run(  # noqa: S603 - this file
            words, capture_output=True, text=True, check=True
        )
    found: dict[str, Any] = json.loads(done.stdout)
    found |= {"n": n, "fields": validate, "megabytes": size / 2**20}
    found["pairs_per_cpu_s"] = n / found["cpu_s"]
    return found


def main() -> None:
    chosen = options(__doc__ or "", "--short")
    sizes = QUICK if chosen.quick else SHORT if chosen.short else SIZES
    rows = [measure(n, validate="declared") for n in sizes]
    rows.append(measure(sizes[0], validate="validated"))
    table(
        "recordings compared, one process each",
        ["requests", "schema", "input MB", "pairs / CPU s", "peak MB", "at start MB"],
        [
            [
                f"{row['n']:,}",
                row["fields"],
                f"{row['megabytes']:.0f}",
                f"{row['pairs_per_cpu_s']:,.0f}",
                f"{row['peak_mb']:.0f}",
                f"{row['start_mb']:.0f}",
            ]
            for row in rows
        ],
    )
    report({"comparisons": rows}, machine(), chosen.json)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[3:], sys.argv[2])
    else:
        main()
