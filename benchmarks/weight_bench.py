"""What llmguard and its peers weigh: installed megabytes, distributions, import time.

    python benchmarks/weight_bench.py --install   # makes what is missing
    python benchmarks/weight_bench.py

Each package is alone in an environment of its own below `.nox/`, made from the index,
and weighed before anything else joins it: files as installed, without bytecode and the
installer. Imports happen in fresh processes that take turns in an order drawn anew;
CPU time over a bare interpreter, and the ratio to `import openai` of the same round.
promptfoo comes from npm and is not imported; its Node.js is not counted, as Python is
not for the others.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import _promptfoo
from _environments import make, python_of, run, weight_of
from _measure import machine, options, report, spread, table

SUBJECTS: Final = {
    "openai": "import openai",
    "llmguard-bare": "import llmguard",
    "llmguard": "import llmguard, openai",
    "llmguard-newcomer": "import llmguard, llmguard_fallbacks, llmguard_models",
    "instructor": "import instructor; instructor.from_openai",
    "pydantic-ai": (
        "from pydantic_ai import Agent; "
        "from pydantic_ai.models.openai import OpenAIChatModel"
    ),
    "pydantic-ai-full": "from pydantic_ai import Agent",
    "litellm": "import litellm",
    "guardrails": "import guardrails",
    "inspect": "import inspect_ai",
}
SHOWN: Final = {
    "llmguard-bare": "llmguard-toolkit",
    "llmguard": "llmguard-toolkit[openai]",
    "llmguard-newcomer": "... [openai,suite], local model, queue",
    "pydantic-ai": "pydantic-ai-slim[openai]",
    "pydantic-ai-full": "pydantic-ai",
    "guardrails": "guardrails-ai",
    "inspect": "inspect-ai, openai",
}
IMPORTED: Final = {
    "llmguard": "llmguard, then openai (the first call does it)",
    "llmguard-newcomer": "llmguard, llmguard_fallbacks, llmguard_models",
}
BARE: Final = "bare"
_PROBE: Final = "import sys, time; {code}; print(time.process_time(), len(sys.modules))"


def install() -> None:
    """Make every environment; say what cannot be made."""
    for name in SUBJECTS:
        if problem := make(name):
            print(f"{name}: not installed: {problem}")
    if problem := _promptfoo.install():
        print(f"promptfoo: not installed: {problem}")


def weights() -> dict[str, Any]:
    """Return what each environment weighs, and why some are not there."""
    found: dict[str, Any] = {name: weight_of(name) for name in SUBJECTS}
    for one in filter(None, found.values()):  # folders of this machine
        del one["wanted"], one["joined"]
        one.pop("source", None)
    found["promptfoo"] = _promptfoo.weight()
    return found


def imports(rounds: int) -> dict[str, Any]:
    """Return milliseconds of CPU of every import, and modules loaded."""
    there = {name: code for name, code in SUBJECTS.items() if python_of(name).exists()}
    codes = {BARE: "pass", **there}
    taken: dict[str, list[float]] = {name: [] for name in codes}
    modules: dict[str, int] = {}
    rng, names = random.Random(0), list(codes)
    with tempfile.TemporaryDirectory() as cache:
        for number in range(rounds + 1):
            rng.shuffle(names)
            for name in names:
                python = Path(sys.executable) if name == BARE else python_of(name)
                milliseconds, modules[name] = _once(python, codes[name], cache)
                if number:  # the first round writes the bytecode
                    taken[name].append(milliseconds)
    bare = statistics.median(taken[BARE])
    over = {name: [t - bare for t in taken[name]] for name in there}
    return {
        name: {
            "ms": spread(times, subtract=False),
            "x": spread(times, over.get("openai", times), subtract=False),
            "modules": modules[name],
        }
        for name, times in over.items()
    }


def _once(python: Path, code: str, cache: str) -> tuple[float, int]:
    environ = {**os.environ, "PYTHONPYCACHEPREFIX": cache}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    words = (python, "-W", "ignore", "-c", _PROBE.format(code=code))
    done = run(*words, env=environ)
    if done.returncode:
        raise SystemExit(f"{code}: {done.stderr.strip().splitlines()[-1]}")
    seconds, modules = done.stdout.split()[-2:]
    return float(seconds) * 1e3, int(modules)


def main() -> None:
    asked = options(__doc__ or "", "--install")
    if asked.install:
        install()
        return
    weighed, imported = weights(), imports(1 if asked.quick else 11)
    for name in [name for name, one in weighed.items() if one is None]:
        print(
            f"{name}: skipped: no environment; run `python benchmarks/weight_bench.py "
            "--install`"
        )
    sizes = {name: one for name, one in weighed.items() if one is not None}
    rows = [
        [
            SHOWN.get(name, name),
            one["versions"].get(SHOWN.get(name, name).partition("[")[0], ""),
            one["distributions"],
            one["megabytes"],
            ", ".join(f"{part} {size:g}" for part, size in one["largest"].items()),
        ]
        for name, one in sizes.items()
    ]
    head = ["package", "version", "distributions", "MB", "largest, MB"]
    table("Installed, alone", head, rows)
    lines = [
        [
            IMPORTED.get(name, SHOWN.get(name, name).partition("[")[0]),
            one["ms"]["median"],
            one["ms"]["min"],
            *(one["x"][part] for part in ("median", "low", "high")),
            one["modules"],
        ]
        for name, one in imported.items()
    ]
    head = ["import", "CPU ms", "least", "x openai", "25 %", "75 %", "modules"]
    table("Import over a bare interpreter", head, lines)
    report({"weight": weighed, "import": imported}, machine(), asked.json)


if __name__ == "__main__":
    main()
