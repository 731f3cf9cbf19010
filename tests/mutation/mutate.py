"""Mutate what decides, and print how many mutants the tests of each part kill.

Usage: python tests/mutation/mutate.py [WORD ...] [--json FILE] [--again FILE] [--diffs]

WORDs choose parts by their names. `--again` takes the FILE of an earlier run, and tries
only what survived there or was noticed by time alone (where the source is still the
same): new tests are tried in a fraction of the time. A copy of the tree is mutated,
never the tree itself. The score is printed; what survives is explained in
`docs/mutation.md`, or is a missing test. Exit code: 0 every part could be run, 1 not.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
PARTS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "breaker: window": (
        "llmguard/breaker/_window.py",
        ("tests/breaker/test_breaker_parts.py",),
    ),
    "breaker: machine": (
        "llmguard/breaker/_machine.py",
        (
            "tests/breaker/test_breaker_machine.py",
            "tests/breaker/test_breaker_trips.py",
            "tests/breaker/test_breaker_parts.py",
            "tests/breaker/test_breaker_calls.py",
            "tests/breaker/test_breaker_detector.py",
        ),
    ),
    "detector: e-detector": (
        "llmguard/breaker/detector.py",
        (
            "tests/breaker/test_breaker_detector.py",
            "tests/breaker/test_breaker_parts.py",
        ),
    ),
    "suite: e-process": (
        "llmguard/suite/stats/_mixture.py",
        ("tests/suite/stats/test_mixture.py", "tests/suite/stats/test_evidence.py"),
    ),
    "contract: parse modes": (
        "llmguard/contract/_parse.py",
        (
            "tests/contract/test_parse_modes.py",
            "tests/contract/test_parse_sentences.py",
        ),
    ),
    "contract: refusals": (
        "llmguard/contract/_refusal.py",
        ("tests/contract/test_refusal_detector.py",),
    ),
    "guard: judge": (
        "llmguard/guard/_judge.py",
        (
            "tests/guard/test_judging.py",
            "tests/guard/test_chain.py",
            "tests/guard/test_deadlines.py",
            "tests/guard/test_errors_pickle.py",
            "tests/guard/test_hard_once.py",
            "tests/guard/test_function_tiers.py",
        ),
    ),
    "contract: linear patterns": (
        "llmguard/_linear.py",
        (
            "tests/security/test_hostile_text.py",
            "tests/security/test_linear_patterns.py",
        ),
    ),
    "promotion: graph": (
        "llmguard/store/ledger_moves.py",
        ("tests/store/test_ledger_moves.py",),
    ),
}
CONFIG: Final = """
[tool.mutmut]
paths_to_mutate = [{module!r}]
tests_dir = {tests!r}
pytest_add_cli_args = ["-m", "not slow", "-p", "no:cacheprovider"]
also_copy = ["llmguard", "fallbacks", "models", "tests", "pyproject.toml"]
"""
CACHES: Final = re.compile(r"^@(?:lru_)?cache(?:\(.*\))?\n", re.MULTILINE)
"""Taken off in the copy: what is decorated is left alone by mutmut."""
KILLED: Final = frozenset({"killed", "timeout", "suspicious", "segfault"})


def _copy(folder: Path) -> None:
    done = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "llmguard", "fallbacks",
         "models", "tests", "pyproject.toml", "README.md"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in done.stdout.splitlines():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_file():
            shutil.copy(ROOT / name, target)


def _mutmut(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("mutmut")
    return subprocess.run(
        [str(program), *words], cwd=folder, capture_output=True, text=True, check=False
    )


def run(
    name: str, *, diffs: bool, before: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Mutate one part; return its score and its survivors.

    Args:
        name: The part.
        diffs: Keep what each survivor changes.
        before: What this function returned earlier; only its survivors, and what was
            noticed by time alone, are tried.
    """
    module, tests = PARTS[name]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="llmguard-mutants-") as place:
        folder = Path(place)
        _copy(folder)
        with (folder / "pyproject.toml").open("a") as file:
            file.write(CONFIG.format(module=module, tests=list(tests)))
        source = (folder / module).read_text()
        (folder / module).write_text(CACHES.sub("", source))
        again = _same(before, source)
        done = _mutmut(folder, "run", "--max-children", "1", *again)
        states = _states(folder)
        if again:
            states = {one: states[one] if one in again else "killed" for one in states}
        survivors = sorted(one for one, state in states.items() if state not in KILLED)
        shown = {
            one: _mutmut(folder, "show", one).stdout if diffs else ""
            for one in survivors
        }
    return {
        "part": name,
        "module": module,
        "digest": _digest(source),
        "mutants": len(states),
        "killed": len(states) - len(survivors),
        "timeouts": sorted(one for one, state in states.items() if state == "timeout"),
        "survivors": shown,
        "problem": _problem(states, done.stdout + done.stderr),
        "seconds": round(time.monotonic() - began),
    }


def _digest(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()


def _same(before: Mapping[str, Any] | None, source: str) -> tuple[str, ...]:
    """Return what an earlier run of the same source leaves to try; else nothing."""
    if before is None or before["digest"] != _digest(source):
        return ()
    return (*before["survivors"], *before["timeouts"])


def _problem(states: Mapping[str, str], told: str) -> str:
    """Say why mutants were not tried: most often, the tests fail without any."""
    untried = sum(state in {"not checked", "no tests"} for state in states.values())
    return told[-2000:] if untried or not states else ""


def _states(folder: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in _mutmut(folder, "results", "--all", "true").stdout.splitlines():
        mutant, colon, state = line.strip().rpartition(": ")
        if colon:
            found[mutant] = state
    return found


def main() -> int:
    """Run the parts and print their scores; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--json", type=Path, help="write the scores to this file too")
    parser.add_argument("--again", type=Path, help="only what survived in this FILE")
    parser.add_argument("--diffs", action="store_true", help="show each survivor")
    options = parser.parse_args()
    words = options.words
    names = [one for one in PARTS if not words or any(word in one for word in words)]
    earlier = json.loads(options.again.read_text()) if options.again else []
    known = {one["part"]: one for one in earlier}
    results = []
    for name in names:
        found = run(name, diffs=options.diffs, before=known.get(name))
        results.append(found)
        print(f"{name}: {found['killed']} of {found['mutants']} killed, of them "
              f"{len(found['timeouts'])} by time ({found['seconds']} s) "
              f"{found['problem']}", flush=True)  # fmt: skip
        for one in found["survivors"] if options.diffs else ():
            print(found["survivors"][one])
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    return 1 if any(one["problem"] for one in results) else 0


if __name__ == "__main__":
    sys.exit(main())
