"""Run every benchmark, keep what each printed, and write the page of results.

Usage: python benchmarks/run_all.py [NAME ...] [--only NAME] [--full] [--quick]
           [--limit SECONDS] [--no-install] [--page] [--list]

NAMEs choose scripts (`guard_bench`); `--only NAME` says the same. Each leaves
`benchmarks/results/NAME.json`: the command, when it ran and at what load, what it
printed, and its figures where it gives them as JSON. The page,
`docs/benchmarks-results.md`, is made of all those files, also of older ones; `--page`
writes it and runs nothing, `--list` prints the names.

Peers are installed first, each into an environment of its own below `.nox/`, unless
`--no-install` is given; what cannot be had is left out by the script, with the reason.
A script that takes hours is run in a short form unless `--full` is given. One that
fails, or is not done within its limit, is ended with all that it started, is reported
at the end, and costs none of the others. A quick run is a smoke test and is not kept.
"""

from __future__ import annotations

import argparse
import ast
import datetime as dt
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from _environments import make
from _page import HERE, PAGE, RESULTS, ROOT, page, tidy

SHORT: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "constrained_bench": ("--tickets",),
        "web_bench": ("--rounds", "7", "--seconds", "3"),
    }
)
"""Options of the usual run, where the full one takes much longer than five minutes."""
PEERS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"monitor_bench": ("evidently", "river"), "queue_bench": ("queue",)}
)
"""Environments of scripts that have no `--install`."""
LIMIT: Final = 1200
"""Seconds for each script."""
FULL_LIMIT: Final = 6 * 3600
INSTALL_LIMIT: Final = 1800


def scripts() -> list[str]:
    """Return the names of the benchmarks, sorted."""
    found = (file.stem for file in HERE.glob("[!_]*.py"))
    return sorted(name for name in found if name != Path(__file__).stem)


def run(name: str, *, quick: bool, full: bool, limit: int) -> dict[str, Any]:
    """Run one script and return what is kept of it."""
    began, load = time.time(), os.getloadavg()
    chosen = () if full or quick else SHORT.get(name, ())
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "figures.json"
        words = ["--quick"] if quick else []
        words += ["--json", str(figures)] if _takes(name, "--json") else []
        printed, code, problem = _ended(name, [*chosen, *words], limit)
        held = json.loads(figures.read_text()) if figures.exists() else None
    return {
        "script": name,
        "command": " ".join(["python", f"benchmarks/{name}.py", *chosen]),
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
        "problem": problem,
        "printed": tidy(printed),
        "figures": held,
    }


def _ended(name: str, words: Sequence[str], limit: int) -> tuple[str, int, str]:
    """Run a script; return what it printed, its exit code and what went wrong."""
    command = [sys.executable, str(HERE / f"{name}.py"), *words]
    with subprocess.Popen(  # noqa: S603 - our own scripts
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            printed, said = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # servers and workers, too
            process.communicate()
            return "", 124, f"not done after {limit} s"
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    code = process.returncode
    lines = said.strip().splitlines()
    problem = (lines[-1] if lines else f"exit code {code}") if code else ""
    return printed, code, problem


def _takes(name: str, option: str) -> bool:
    source = _source(name)
    return option in source or (option == "--json" and "options(" in source)


def _source(name: str) -> str:
    """Return a script's code, without what its docstring says of options."""
    tree = ast.parse((HERE / f"{name}.py").read_text("utf-8"))
    return ast.unparse(ast.Module(tree.body[1:], type_ignores=[]))


def install(name: str) -> None:
    """Install a script's peers; say what could not be."""
    said: list[str] = []
    if _takes(name, "--install"):
        printed, code, problem = _ended(name, ["--install"], INSTALL_LIMIT)
        said = [line for line in printed.splitlines() if "not installed" in line]
        said += [f"peers not installed: {problem}"] if code else []
    for peer in PEERS.get(name, ()):
        if problem := make(peer):
            said.append(f"{peer}: not installed: {problem}")
    for line in said:
        print(f"{name}: {line}", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    parser.add_argument("--full", action="store_true", help="no short forms: hours")
    parser.add_argument("--quick", action="store_true", help="a smoke test, not kept")
    parser.add_argument("--limit", type=int, help="seconds for each script")
    parser.add_argument("--no-install", action="store_true", help="no new peers")
    parser.add_argument("--page", action="store_true", help="write the page only")
    parser.add_argument("--list", action="store_true", help="print the names only")
    given = parser.parse_args()
    given.names += given.only
    if unknown := sorted({*given.names} - {*scripts()}):
        parser.error(f"no benchmark {', '.join(unknown)}; there are {_known()}")
    return given


def _known() -> str:
    return ", ".join(scripts())


def main() -> int:
    """Run, keep, write the page; return the exit code."""
    given = _options()
    # A run that is told to end takes its script's servers and workers with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if given.list:
        print(_known().replace(", ", "\n"))
        return 0
    failed: dict[str, str] = {}
    names = [] if given.page else given.names or scripts()
    limit = given.limit or (FULL_LIMIT if given.full else LIMIT)
    for name in names:
        if not given.quick and not given.no_install:
            install(name)
        one = run(name, quick=given.quick, full=given.full, limit=limit)
        if one["exit"]:
            failed[name] = one["problem"]
        word = f"failed: {one['problem']}" if one["exit"] else "done"
        print(f"{name}: {word} ({one['seconds']} s)", flush=True)
        if not given.quick and not one["exit"]:
            RESULTS.mkdir(exist_ok=True)
            file = RESULTS / f"{name}.json"
            file.write_text(json.dumps(one, indent=1, ensure_ascii=False) + "\n")
            PAGE.write_text(page(scripts()), encoding="utf-8")
    if given.page:
        PAGE.write_text(page(scripts()), encoding="utf-8")
    if failed:
        print(f"{len(failed)} of {len(names)} failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
