"""The page of results, made of what `run_all.py` kept."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

__all__ = ["HERE", "PAGE", "RESULTS", "ROOT", "about", "page", "sources", "tidy"]

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parent
RESULTS: Final = HERE / "results"
PAGE: Final = ROOT / "docs" / "benchmarks-results.md"
_MACHINE: Final = re.compile(r"(/[\w.-]+)+/(?=benchmarks/|llmguard/|tests/|docs/)")


def tidy(printed: str) -> str:
    """Take this machine's folders out of what was printed."""
    return _MACHINE.sub("", printed.replace(f"{ROOT}/", ""))


def about(name: str) -> str:
    """Return the first line of a script's docstring."""
    text = ast.get_docstring(ast.parse((HERE / f"{name}.py").read_text("utf-8")))
    return (text or name).splitlines()[0]


def page(names: Sequence[str]) -> str:
    """Return the page of everything that is kept of these scripts."""
    return "\n".join(_lines(names)) + "\n"


def _lines(names: Sequence[str]) -> Iterator[str]:
    kept = {file.stem: json.loads(file.read_text()) for file in RESULTS.glob("*.json")}
    yield "# Benchmark results"
    yield ""
    yield "Written by `nox -s bench` (`python benchmarks/run_all.py`); do not edit."
    yield "Each section is what its command printed, whoever wins, on the machine and"
    yield "under the load named; its figures are in `benchmarks/results/NAME.json`. How"
    yield "it is measured, and what it means: [benchmarks](benchmarks.md)."
    yield ""
    yield "| command | measures | run | load before and after |"
    yield "|---|---|---|---|"
    for name in names:
        one = kept.get(name)
        command, ran, load = f"python benchmarks/{name}.py", "not in this set", ""
        if one is not None:
            command = one["command"]
            ran = f"{one['at']}, {one['seconds']} s"
            machine = one["machine"]
            load = f"{machine['load_before'][0]}, {machine['load_after'][0]}"
        shown = f"[`{command}`](#{name})" if one else f"`{command}`"
        yield f"| {shown} | {about(name)} | {ran} | {load} |"
    yield ""
    yield "## Which figure comes from which command"
    yield ""
    yield "| page | commands |"
    yield "|---|---|"
    for file, named in sources():
        yield f"| [{file.stem}]({file.name}) | {', '.join(f'`{n}`' for n in named)} |"
    for name in names:
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
    yield f"{about(name)} `{one['command']}`, {one['at']}, {machine['cpus']}"
    yield f"{machine['machine']} cores, Python {machine['python']}."
    yield ""
    yield "```text"
    yield from (line.rstrip() for line in one["printed"].strip("\n").splitlines())
    yield "```"
