"""Reports made by hand, with what models may write in them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from llmguard.suite import Report, Status, Verdict
from llmguard.suite._report import (
    AssertionReport,
    Example,
    PathPoint,
    SliceReport,
    Suspect,
    VersionInfo,
)

MakeReport = Callable[..., Report]

EVIL = (
    "]]></failure><script>alert(1)</script><img src=x onerror=alert(2)>"
    "\x00\x07\x1b[31m\ud800\ufffe\u202eright to left @octocat #12 https://a.example "
    "| a | b |\n```\n# heading\n</details>`code` 'q' \"r\" &amp; \N{BEL}\u05d0\u05d1"
)


@pytest.fixture(scope="session")
def evil() -> str:
    """Give an answer that tries to break out of every format."""
    return EVIL


@pytest.fixture(scope="session")
def assertion() -> Callable[..., AssertionReport]:
    """Give an assertion that was blocked on a slice, or one with other fields."""

    def make(**changes: Any) -> AssertionReport:
        found = AssertionReport(
            name="stakes",
            kind="range",
            status=Status.BLOCKED,
            sentence="worse than the tolerated 5 %; 30 calls, 12 failed",
            tolerate=0.05,
            unacceptable=0.2,
            relative=False,
            per_prompt=False,
            scope="suite",
            gating=True,
            n=30,
            failures=12,
            rate=0.4,
            interval=(0.227, 0.594),
            incumbent_n=30,
            incumbent_failures=1,
            log_block=6.2,
            log_accept=-math.inf,
            block_at=5.3,
            accept_at=3.0,
            unjudged=1,
            detector="refusal-lexicon/1",
            calibration="uncalibrated: nobody measured it",
            not_excluded="a rate of up to 59 %",
            path=tuple(
                PathPoint(n=n, round=1, failures=n // 3, block=n / 5, accept=-n / 9)
                for n in range(1, 31)
            ),
            slices=(
                SliceReport(
                    name="legal-threat",
                    n=10,
                    failures=10,
                    rate=1.0,
                    interval=(0.69, 1.0),
                    incumbent_n=10,
                    flipped=5,
                ),
                SliceReport(
                    name="billing", n=20, failures=2, rate=0.1, interval=(0.01, 0.32)
                ),
            ),
            suspects=(
                Suspect(
                    case="legal-1",
                    slice="legal-threat",
                    n=3,
                    failures=3,
                    log_e=4.0,
                    listed=True,
                ),
            ),
            examples=(
                Example(
                    case="legal-1",
                    slice="legal-threat",
                    round=1,
                    inputs={"ticket": "I will sue you."},
                    candidate='{"needs_human": false}',
                    incumbent='{"needs_human": true}',
                    expected="",
                    why="`needs_human` is false, not one of true",
                    flipped=True,
                ),
            ),
            source="recommended",
        )
        return replace(found, **changes)

    return make


@pytest.fixture(scope="session")
def report(assertion: Callable[..., AssertionReport]) -> MakeReport:
    """Give a blocked run of four assertions in every state, or one with changes."""

    def make(**changes: Any) -> Report:
        common: dict[str, Any] = {"failures": 0, "rate": 0.0, "examples": ()}
        found = Report(
            suite="triage",
            suite_digest="sha256:" + "a" * 64,
            function="shop.triage",
            verdict=Verdict.BLOCK,
            reason="`stakes`: worse than the tolerated 5 %; 30 calls, 12 failed",
            candidate=VersionInfo(
                pin="p-1", route="triage", provider="openai", model="new-1"
            ),
            incumbent=VersionInfo(
                pin="p-0", route="triage", provider="openai", model="old-1"
            ),
            seed=7,
            rounds=1,
            calls=60,
            infrastructure={"timeout": 1},
            deterministic=(),
            cases=30,
            alpha=0.01,
            beta=0.05,
            cost=0.25,
            started=1_700_000_000.0,
            elapsed=12.5,
            assertions=(
                assertion(),
                assertion(name="open", status=Status.OPEN, sentence="undecided"),
                assertion(
                    name="fine", status=Status.ACCEPTED, sentence="fine", **common
                ),
                assertion(
                    name="pending", gating=False, status=Status.BLOCKED, **common
                ),
            ),
            stopped="decided",
            notes=("the provider asked to slow down 2 times",),
            llmguard="0.1.0",
        )
        return replace(found, **changes)

    return make


@pytest.fixture(scope="session")
def hostile(report: MakeReport, assertion: Callable[..., AssertionReport]) -> Report:
    """Give a report in which every text that a model or a person wrote is hostile."""
    (example,) = assertion().examples
    loud = replace(
        example,
        case=EVIL,
        slice=EVIL,
        inputs={EVIL: EVIL},
        candidate=EVIL,
        incumbent=EVIL,
        expected=EVIL,
        why=EVIL,
    )
    slices = tuple(replace(each, name=EVIL) for each in assertion().slices)
    suspects = tuple(replace(each, case=EVIL) for each in assertion().suspects)
    bad = assertion(
        name=EVIL,
        kind=EVIL,
        sentence=EVIL,
        not_excluded=EVIL,
        calibration=EVIL,
        source=EVIL,
        slices=slices,
        suspects=suspects,
        examples=(loud, replace(loud, candidate="x" * 1_000_000)),
    )
    version = VersionInfo(pin=EVIL, route=EVIL, provider=EVIL, model=EVIL)
    return report(
        suite=EVIL,
        function=EVIL,
        reason=EVIL,
        candidate=version,
        incumbent=version,
        assertions=(bad, replace(bad, status=Status.OPEN)),
        notes=(EVIL,) * 50,
        journal=EVIL,
        infrastructure={EVIL: 1},
    )
