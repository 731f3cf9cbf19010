"""Constrained decoding side by side: llmguard, Outlines, llama.cpp's grammar, xgrammar.

    python benchmarks/constrained_bench.py --install     # numba and xgrammar, once
    python benchmarks/constrained_bench.py --json constrained.json
    python benchmarks/constrained_bench.py --coverage --schemas 40    # one part, less

`--rows FILE` keeps every schema's result as it comes, and a run that is started again
with the same file goes on where the last one ended; `--show` prints what is there, and
`--model TEXT` takes one model only. Parts are `--coverage` (real schemas, all engines),
`--ours` (all of the schemas, with llmguard alone) and `--tickets` (one schema, in
turns).

Every engine works in a process of its own, so that a crash or a hang is counted and
nothing else. Real schemas (the sample of JSONSchemaBench) tell what compiles and what
the answers are worth; one ticket schema, in turns, tells the time per object. Models
are of random weights, which cost what trained ones do and are harder to hold, and the
embedded triage model. The packages of two peers are kept apart under `.nox/`; what is
not there is skipped, with the reason.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import _constrained_race as racing
import _constrained_survey as surveying
from _constrained_child import Child, Skipped
from _environments import install_into
from _measure import machine, options, report
from local_bench import SHAPES, build

ROOT: Final = Path(__file__).parents[1]
ENGINES: Final = ("llmguard", "outlines_core", "llama.cpp grammar", "xgrammar")
PACKAGES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"outlines_core": ("numba",), "xgrammar": ("xgrammar", "torch")}
)
"""What a peer needs beyond llmguard-fallbacks; torch must fit this machine."""
VOCABULARY: Final = {
    "width": 64,
    "layers": 2,
    "hidden": 96,
    "heads": 2,
    "vocab": 32_000,
}


PARTS: Final = ("coverage", "ours", "tickets")
EVERY: Final = 815


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is done with one model.

    Attributes:
        model: Returns the GGUF file, made in the given folder if need be.
        schemas: Real schemas to compile and to answer.
        ours: Schemas to compile and answer with llmguard alone.
        rounds: Tickets to answer with every engine.
    """

    model: Callable[[Path], Path]
    schemas: int = 0
    ours: int = 0
    rounds: int = 0

    def part(self, wanted: Collection[str], *, schemas: int | None) -> Plan:
        """Return the parts that were asked for; no part stands for all of them."""
        count = self.schemas if schemas is None or not self.schemas else schemas
        keep = {part: not wanted or part in wanted for part in PARTS}
        return replace(
            self,
            schemas=count * keep["coverage"],
            ours=self.ours * keep["ours"],
            rounds=self.rounds * keep["tickets"],
        )


def _random(name: str, shape: dict[str, int]) -> Callable[[Path], Path]:
    return lambda folder: build(folder / f"{name}.gguf", shape)


def _embedded(_folder: Path) -> Path:
    from llmguard_models import path

    return path("triage-1.0")


FULL: Final[Mapping[str, Plan]] = MappingProxyType(
    {
        "0.5B-shaped, vocabulary 128k": Plan(
            model=_random("b05", SHAPES["0.5B-shaped"]), rounds=7
        ),
        "tiny, vocabulary 2k": Plan(model=_random("tiny", SHAPES["tiny"]), rounds=21),
        "embedded triage-1.0, vocabulary 2k": Plan(
            model=_embedded, schemas=100, ours=EVERY, rounds=21
        ),
        "random weights, vocabulary 32k": Plan(
            model=_random("v32", VOCABULARY), schemas=EVERY, ours=EVERY
        ),
    }
)
QUICK: Final[Mapping[str, Plan]] = MappingProxyType(
    {
        "tiny, vocabulary 2k": Plan(
            model=_random("tiny", SHAPES["tiny"]), schemas=3, rounds=2
        )
    }
)


def _folder(engine: str) -> Path:
    return ROOT / ".nox" / f"constrained-{engine}"


def install() -> None:
    """Put the packages of each peer into a folder of their own."""
    for engine in PACKAGES:
        folder = _folder(engine)
        if folder.exists():
            continue
        if problem := install_into(folder, PACKAGES[engine]):
            print(f"{engine}: not installed: {problem}")


@contextmanager
def started(model: Path, engines: Iterable[str]) -> Iterator[dict[str, Child]]:
    """Start every engine on one model; print which are left out, and why."""
    with ExitStack() as stack:
        children: dict[str, Child] = {}
        for engine in engines:
            folder = _folder(engine)
            known = folder if folder.exists() else None
            try:
                children[engine] = Child(engine, model, path=known)
            except Skipped as error:
                print(f"{engine}: skipped: {error}{_advice(engine)}")
                continue
            stack.callback(children[engine].close)
            _introduce(engine, children[engine])
        yield children


def _introduce(engine: str, child: Child) -> None:
    vocabulary = child.about.get("vocabulary_s")
    once = "" if vocabulary is None else f"; vocabulary read in {vocabulary:.2f} CPU s"
    print(f"{engine}: {child.about['version']}{once}")
    if child.about.get("compile_only"):
        print(
            f"{engine}: only compiled: {child.about['compile_only']}{_advice(engine)}"
        )


def _advice(engine: str) -> str:
    if engine not in PACKAGES:
        return ""
    return "; run `python benchmarks/constrained_bench.py --install`"


def measure(
    title: str, plan: Plan, folder: Path, known: surveying.Rows
) -> dict[str, Any]:
    """Do what the plan says with one model; print and return the figures."""
    print(f"\n== {title}", flush=True)
    found: dict[str, Any] = {}
    engines = ENGINES if plan.schemas or plan.rounds else (racing.OURS,)
    with started(plan.model(folder), engines) as children:
        chosen = surveying.records(plan.schemas) if plan.schemas else []
        if chosen and children:
            rows = surveying.survey(children, chosen, known=known)
            found["coverage"] = surveying.show(title, rows)
        ours = {n: c for n, c in children.items() if n == racing.OURS}
        if plan.ours and ours:
            chosen = surveying.records(plan.ours)
            rows = surveying.survey(ours, chosen, known=known)
            found["ours"] = surveying.show(f"{title}: llmguard on all schemas", rows)
        if plan.rounds and ours:
            raced = racing.race(children, rounds=plan.rounds)
            found["ticket"] = racing.show(title, raced)
    sys.stdout.flush()
    return found


def _shown(title: str, known: surveying.Rows) -> dict[str, Any]:
    """Print what earlier runs found: of each engine, and where all of them came to."""
    rows = known.engines()
    if not rows:
        return {}
    found = {"each": surveying.show(title, rows)}
    both = surveying.shared(rows)
    return found | {"all": surveying.show(f"{title}, schemas of all engines", both)}


def main() -> None:
    asked = options(
        __doc__ or "", "--install", "--show", *(f"--{part}" for part in PARTS)
    )
    wanted = {part for part in PARTS if getattr(asked, part)}
    more = argparse.ArgumentParser(add_help=False)
    more.add_argument("--schemas", type=int)
    more.add_argument("--rows", type=Path)
    more.add_argument("--model")
    wishes = more.parse_known_args()[0]
    if asked.install:
        install()
        return
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for title, plan in (QUICK if asked.quick else FULL).items():
            part = plan.part(wanted, schemas=wishes.schemas)
            if wishes.model and wishes.model not in title:
                continue
            known = surveying.Rows(wishes.rows, title)
            if asked.show:
                found[title] = _shown(title, known)
            elif part.schemas or part.ours or part.rounds:
                found[title] = measure(title, part, Path(folder), known)
    report({"models": found}, machine(), asked.json)


if __name__ == "__main__":
    main()
