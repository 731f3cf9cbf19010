"""Run every benchmark, keep what each printed, and write the page of results.

Usage: python benchmarks/run_all.py [NAME ...] [--quick] [--limit SECONDS] [--page]

NAMEs choose scripts (`guard_bench`). Each leaves `benchmarks/results/NAME.json`: the
command, when it ran, what it printed, and its figures where it gives them as JSON. The
page, `docs/benchmarks-results.md`, is made of all those files, also of older ones;
`--page` writes it and runs nothing. A quick run is a smoke test and is not kept.
"""

from __future__ import annotations

import argparse
import ast
import datetime as dt
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parent
RESULTS: Final = HERE / "results"
PAGE: Final = ROOT / "docs" / "benchmarks-results.md"
LONGEST: Final = 3600
_MACHINE: Final = re.compile(r"(/[\w.-]+)+/(?=benchmarks/|llmguard/|tests/|docs/)")


def scripts() -> list[str]:
    """Return the names of the benchmarks, sorted."""
    found = (file.stem for file in HERE.glob("[!_]*.py"))
    return sorted(name for name in found if name != Path(__file__).stem)


def about(name: str) -> str:
    """Return the first line of a script's docstring."""
    text = ast.get_docstring(ast.parse((HERE / f"{name}.py").read_text("utf-8")))
    return (text or name).splitlines()[0]


def run(name: str, *, quick: bool, limit: int) -> dict[str, Any]:
    """Run one script and return what is kept of it."""
    began, load = time.time(), os.getloadavg()
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "figures.json"
        takes_json = "--json" in _source(name)
        words = [sys.executable, str(HERE / f"{name}.py")]
        words += ["--quick"] if quick else []
        words += ["--json", str(figures)] if takes_json else []
        try:
            done = subprocess.run(  # noqa: S603 - our own scripts
                words, cwd=ROOT, capture_output=True, text=True, check=False,
                timeout=limit,
            )  # fmt: skip
            printed, code = done.stdout, done.returncode
            problem = done.stderr.strip().splitlines()[-1:] if code else []
        except subprocess.TimeoutExpired:
            printed, code, problem = "", 124, [f"not done after {limit} s"]
        held = json.loads(figures.read_text()) if figures.exists() else None
    return {
        "script": name,
        "command": f"python benchmarks/{name}.py",
        "at": dt.datetime.fromtimestamp(began, dt.UTC).strftime("%Y-%m-%d"),
        "seconds": round(time.time() - began),
        "machine": {
            "python": platform.python_version(),
            "machine": platform.machine(),
            "cpus": os.cpu_count(),
            "load_before": [round(one, 1) for one in load],
            "load_after": [round(one, 1) for one in os.getloadavg()],
        },
        "exit": code,
        "problem": " ".join(problem),
        "printed": _MACHINE.sub("", printed),
        "figures": held,
    }


def _source(name: str) -> str:
    text = (HERE / f"{name}.py").read_text("utf-8")
    return "--json" if "options(" in text else text


def page() -> str:
    """Return the page of everything that is kept."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    kept = {file.stem: json.loads(file.read_text()) for file in RESULTS.glob("*.json")}
    yield "# Benchmark results"
    yield ""
    yield "Written by `python benchmarks/run_all.py`; do not edit. Each section is what"
    yield "its command printed, whoever wins, on the machine and under the load named."
    yield "How it is measured, and what it means: [benchmarks](benchmarks.md)."
    yield ""
    yield "| command | measures | run | load before and after |"
    yield "|---|---|---|---|"
    for name in scripts():
        one = kept.get(name)
        ran, load = "not in this set", ""
        if one is not None:
            ran = f"{one['at']}, {one['seconds']} s"
            machine = one["machine"]
            load = f"{machine['load_before'][0]}, {machine['load_after'][0]}"
        yield f"| `python benchmarks/{name}.py` | {about(name)} | {ran} | {load} |"
    yield ""
    yield "## Which figure comes from which command"
    yield ""
    yield "| page | commands |"
    yield "|---|---|"
    for file, names in sources():
        yield f"| [{file.stem}]({file.name}) | {', '.join(f'`{n}`' for n in names)} |"
    for name in scripts():
        if name in kept:
            yield from _section(name, kept[name])


def sources() -> Iterator[tuple[Path, Sequence[str]]]:
    """Yield the pages that name a benchmark, and the benchmarks."""
    for file in sorted((ROOT / "docs").glob("*.md")):
        if file == PAGE:
            continue
        found = re.findall(r"benchmarks/([a-z]\w+)\.py", file.read_text("utf-8"))
        named = sorted(set(found))
        if named:
            yield file, named


def _section(name: str, one: dict[str, Any]) -> Iterator[str]:
    machine = one["machine"]
    yield ""
    yield f"## {name}"
    yield ""
    yield f"{about(name)} `{one['command']}`, {one['at']}, {machine['cpus']} "
    yield f"{machine['machine']} cores, Python {machine['python']}."
    yield ""
    yield "```text"
    yield from one["printed"].strip("\n").splitlines()
    yield "```"


def main() -> int:
    """Run, keep, write the page; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--quick", action="store_true", help="a smoke test, not kept")
    parser.add_argument("--limit", type=int, default=LONGEST, help="for each script")
    parser.add_argument("--page", action="store_true", help="write the page only")
    options = parser.parse_args()
    failed = 0
    for name in [] if options.page else options.names or scripts():
        one = run(name, quick=options.quick, limit=options.limit)
        failed += bool(one["exit"])
        word = f"failed: {one['problem']}" if one["exit"] else "done"
        print(f"{name}: {word} ({one['seconds']} s)", flush=True)
        if not options.quick and not one["exit"]:
            RESULTS.mkdir(exist_ok=True)
            file = RESULTS / f"{name}.json"
            file.write_text(json.dumps(one, indent=1, ensure_ascii=False) + "\n")
            PAGE.write_text(page(), encoding="utf-8")
    if options.page:
        PAGE.write_text(page(), encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
