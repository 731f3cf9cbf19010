"""A suite of 40 prompts until it is decided: llmguard, promptfoo, inspect-ai.

    python benchmarks/suite_peers.py --install   # Node.js and both peers, below `.nox/`
    python benchmarks/suite_peers.py

Each library judges whether a stub's answers fit a schema, as a program of its own and
20 calls at once: llmguard asks until its sequential test decides, at its default rates
and at most 2,000 calls; the others have no such thing and ask every prompt 50 times, as
their users are told to for answers that vary. One version of the model never fails, one
in 20 % of answers. Calls are counted by the stub; CPU is that of the whole program and
its children; programs take turns in an order drawn anew, inspect-ai in one round. No
model thinks here: seconds and CPU are the libraries' own; calls are what costs.
"""

from __future__ import annotations

import json
import os
import random
import resource
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import _promptfoo
from _environments import ROOT, make, python_of, run, weight_of
from _measure import machine, options, report, spread, table
from _stub import MODEL, stub
from _suite_child import PASS, PROMPTS, SCHEMA

EPOCHS: Final = 50
AT_ONCE: Final = 20
VERSIONS: Final = {0: "never fails", 20: "fails in 20 %"}
OURS: Final = "llmguard"
ONCE: Final = {"inspect-ai"}
"""Takes longer than all of the others together, so that it runs in one round."""
CHILD: Final = Path(__file__).with_name("_suite_child.py")


def install() -> None:
    """Make the environments; say what cannot be made."""
    for problem in (make("inspect"), _promptfoo.install()):
        if problem:
            print(f"not installed: {problem}")


def _python(name: str, python: Path | str) -> Callable[[str, int], dict[str, Any]]:
    def once(url: str, epochs: int) -> dict[str, Any]:
        done = run(python, "-W", "ignore", CHILD, name, url, epochs, AT_ONCE, cwd=ROOT)
        lines = [line for line in done.stdout.splitlines() if line.startswith("@")]
        if not lines:
            raise SystemExit(f"{name}: {done.stderr.strip().splitlines()[-1:]}")
        found: dict[str, Any] = json.loads(lines[-1][1:])
        return found

    return once


def promptfoo(url: str, epochs: int) -> dict[str, Any]:
    """Evaluate with promptfoo; its verdict is its exit code."""
    config = {
        "prompts": ["{{text}}"],
        "providers": [
            {
                "id": f"openai:chat:{MODEL}",
                "config": {"apiBaseUrl": url, "apiKey": "none"},
            }
        ],
        "defaultTest": {"assert": [{"type": "is-json", "value": SCHEMA}]},
        "tests": [{"vars": {"text": text}} for text in PROMPTS],
    }
    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder) / "promptfooconfig.json", Path(folder) / "out.json"
        file.write_text(json.dumps(config))
        flags = ("--repeat", epochs, "-j", AT_ONCE, "--no-cache", "--no-progress-bar")
        more = ("--no-table", "-c", file, "-o", out)
        threshold = {"PROMPTFOO_PASS_RATE_THRESHOLD": str(round(PASS * 100))}
        words = _promptfoo.command("eval", *flags, *more)
        done = run(*words, cwd=folder, env=_promptfoo.environ(threshold))
        if not out.exists():
            raise SystemExit(f"promptfoo: {done.stderr.strip().splitlines()[-1:]}")
    return {"verdict": "fail" if done.returncode else "pass"}


def runners() -> dict[str, Callable[[str, int], dict[str, Any]]]:
    """Return who takes part; say who does not, and why."""
    found = {OURS: _python(OURS, sys.executable)}
    missing = (
        "skipped: no environment; run `python benchmarks/suite_peers.py --install`"
    )
    if _promptfoo.weight() is None:
        print(f"promptfoo: {missing}")
    else:
        found["promptfoo"] = promptfoo
    if python_of("inspect").exists():
        found["inspect-ai"] = _python("inspect", python_of("inspect"))
    else:
        print(f"inspect-ai: {missing}")
    return found


def _count(root: str) -> int:
    with urllib.request.urlopen(f"{root}/count", timeout=10) as answer:  # noqa: S310 - the stub
        return sum(json.load(answer).values())


def once(
    ask: Callable[[str, int], dict[str, Any]], root: str, bad: int, epochs: int
) -> dict[str, Any]:
    """Run one program; return its verdict, calls, seconds and CPU seconds."""
    before, spent = _count(root), _spent()
    began = time.perf_counter()
    found = ask(f"{root}/change/bad/{bad}/v1", epochs)
    seconds = time.perf_counter() - began
    return {
        **found,
        "calls": _count(root) - before,
        "seconds": seconds,
        "cpu_s": _spent() - spent,
    }


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def rows(runs: Mapping[str, list[dict[str, Any]]]) -> list[list[object]]:
    """Return a row for each library; the ratio is to ours of the same round."""
    ours = [one["seconds"] for one in runs[OURS]]
    lines: list[list[object]] = []
    for name, each in runs.items():
        over = spread(
            [one["seconds"] for one in each], ours[: len(each)], subtract=False
        )
        medians = [
            spread([float(one[key]) for one in each], subtract=False)["median"]
            for key in ("calls", "seconds", "cpu_s")
        ]
        per_call = [1e3 * one["cpu_s"] / max(one["calls"], 1) for one in each]
        verdicts = ", ".join(sorted({one["verdict"] for one in each}))
        lines.append(
            [
                name,
                verdicts,
                int(medians[0]),
                medians[1],
                over["median"],
                over["low"],
                over["high"],
                medians[2],
                spread(per_call, subtract=False)["median"],
            ]
        )
    return lines


def _shown() -> str:
    inspect = weight_of("inspect") or {"versions": {}}
    versions = {**inspect["versions"], **(_promptfoo.weight() or inspect)["versions"]}
    each = (f"{name} {versions.get(name, '?')}" for name in ("inspect-ai", "promptfoo"))
    return ", ".join(each)


def main() -> None:
    asked = options(__doc__ or "", "--install")
    if asked.install:
        install()
        return
    os.environ["OPENAI_API_KEY"] = "none"
    racers, rng = runners(), random.Random(0)
    epochs, rounds = (2, 1) if asked.quick else (EPOCHS, 3)
    found: dict[str, Any] = {}
    with stub() as url:
        for bad, title in VERSIONS.items():
            runs: dict[str, list[dict[str, Any]]] = {name: [] for name in racers}
            names = list(racers)
            for number in range(rounds):
                rng.shuffle(names)
                for name in names:
                    if number and name in ONCE:
                        continue
                    runs[name].append(once(racers[name], url, bad, epochs))
            found[title] = runs
            head = ["", "verdict", "calls", "s", "x llmguard", "25 %", "75 %"]
            head += ["CPU s", "CPU ms a call"]
            table(f"A version that {title} ({_shown()})", head, rows(runs))
    report({"suites": found}, machine(), asked.json)


if __name__ == "__main__":
    main()
