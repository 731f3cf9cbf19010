"""Seconds from a dead model to the second one's answer: llmguard, openai, the peers.

    python benchmarks/failover_bench.py --install   # makes what is missing
    python benchmarks/failover_bench.py

Each peer is in an environment of its own (`_environments.py`), in turns with `openai`
by hand (try, except, ask the other) and llmguard. All wait at most 2 s for one answer,
llmguard has 3 s for everything; retries are at each library's defaults unless a row
says otherwise. Instructor and guardrails have no second model: theirs is by hand, too.
"""

from __future__ import annotations

import json
from typing import Any, Final

from _environments import ROOT, make, python_of, run
from _measure import machine, options, report, spread, table
from _stub import stub

PEERS: Final = ("instructor", "pydantic-ai", "litellm", "guardrails")
FAULTS: Final = {
    "closed": "its port is closed",
    "fail": "500 to every request",
    "hang": "it never answers",
}
OURS: Final = "llmguard"
ROUNDS: Final = 3


def install() -> None:
    """Make every environment; say what cannot be made."""
    for name in PEERS:
        if problem := make(name, join=[str(ROOT)]):
            print(f"{name}: not installed: {problem}")


def measure(name: str, url: str, rounds: int) -> dict[str, Any] | str:
    """Return one environment's figures, or why there are none."""
    python = python_of(name)
    if not python.exists():
        return "no environment; run `python benchmarks/failover_bench.py --install`"
    child = ROOT / "benchmarks" / "_failover_child.py"
    done = run(python, "-W", "ignore", child, name, url, rounds)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return lines[-1] if lines else "it ended without a word"
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def rows(subjects: dict[str, Any]) -> list[list[object]]:
    """Return a row for each subject; the ratio is to ours of the same round."""
    ours = [one["seconds"] for one in subjects[OURS]]
    lines: list[list[object]] = []
    for name, each in subjects.items():
        taken = [one["seconds"] for one in each]
        times = spread(taken, subtract=False)
        over = spread(taken, ours, subtract=False)
        ended = sorted({one["ended"] for one in each})
        asked = sorted({str(one["asked"]) for one in each})
        lines.append(
            [
                name,
                times["median"],
                times["min"],
                max(taken),
                over["median"],
                " or ".join(asked),
                ", ".join(ended),
            ]
        )
    return lines


def main() -> None:
    asked = options(__doc__ or "", "--install")
    if asked.install:
        install()
        return
    found: dict[str, Any] = {}
    with stub() as url:
        for name in PEERS:
            one = measure(name, url, 1 if asked.quick else ROUNDS)
            found[name] = one
            if isinstance(one, str):
                print(f"{name}: skipped: {one}")
                continue
            versions = ", ".join(f"{d} {v}" for d, v in one["versions"].items())
            for fault, title in FAULTS.items():
                head = ["", "s, median", "least", "most", "x ours", "asked", "ended by"]
                table(f"{versions}: {title}", head, rows(one["faults"][fault]))
    report({"failover": found}, machine(), asked.json)


if __name__ == "__main__":
    main()
