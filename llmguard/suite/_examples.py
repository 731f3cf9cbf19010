"""Where an assertion fails: slices worst first, flipped cases first, side by side."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ._report import Example, SliceReport
from ._tally import Ruling
from ._types import Case, Sample
from .stats._intervals import clopper_pearson

__all__ = ["CaseScore", "examples", "scores", "slices"]

_SHOWN = 10
_HALF = 0.5


@dataclass(slots=True)
class CaseScore:
    """How one case fared under one assertion."""

    n: int = 0
    failures: int = 0
    incumbent_n: int = 0
    incumbent_failures: int = 0

    @property
    def rate(self) -> float:
        """The candidate's failure rate; 0 before it was judged."""
        return self.failures / self.n if self.n else 0.0

    @property
    def flipped(self) -> bool:
        """True when the incumbent mostly passes and the candidate mostly fails."""
        if not self.incumbent_n or not self.n:
            return False
        return self.incumbent_failures / self.incumbent_n < _HALF <= self.rate


def scores(rulings: Iterable[Ruling]) -> dict[str, CaseScore]:
    """Return the scores of all cases."""
    found: dict[str, CaseScore] = defaultdict(CaseScore)
    for ruling in rulings:
        score = found[ruling.pair.case]
        if ruling.candidate is not None:
            score.n += 1
            score.failures += ruling.candidate.failed
        if ruling.incumbent is not None:
            score.incumbent_n += 1
            score.incumbent_failures += ruling.incumbent.failed
    return dict(found)


def slices(
    scored: Mapping[str, CaseScore], cases: Mapping[str, Case]
) -> tuple[SliceReport, ...]:
    """Return the slices, worst first; nothing where no case has one."""
    groups: dict[str, list[CaseScore]] = defaultdict(list)
    for case, score in scored.items():
        groups[cases[case].slice].append(score)
    if not any(groups.keys()):
        return ()
    found = [_slice(name, group) for name, group in groups.items()]
    return tuple(sorted(found, key=lambda one: (-one.rate, -one.flipped, one.name)))


def _slice(name: str, group: Sequence[CaseScore]) -> SliceReport:
    n, failures = sum(s.n for s in group), sum(s.failures for s in group)
    return SliceReport(
        name=name,
        n=n,
        failures=failures,
        rate=failures / n if n else 0.0,
        interval=clopper_pearson(failures, n),
        incumbent_n=sum(s.incumbent_n for s in group),
        incumbent_failures=sum(s.incumbent_failures for s in group),
        flipped=sum(s.flipped for s in group),
    )


def examples(
    rulings: Sequence[Ruling],
    scored: Mapping[str, CaseScore],
    cases: Mapping[str, Case],
) -> tuple[Example, ...]:
    """Return failing samples, flipped cases first, one per case before a second one.

    The same answer to the same case is shown once.
    """
    found: list[tuple[tuple[object, ...], Example]] = []
    nth: dict[str, int] = defaultdict(int)
    told: set[tuple[str, str]] = set()
    answers = _incumbents(rulings)
    for ruling in rulings:
        if ruling.candidate is None or not ruling.candidate.failed:
            continue
        case, score = cases[ruling.pair.case], scored[ruling.pair.case]
        said = (case.id, shown(ruling.pair.candidate.sample))
        if said in told:
            continue
        told.add(said)
        nth[case.id] += 1
        rank = (nth[case.id], not score.flipped, -score.rate, len(found))
        found.append((rank, _example(ruling, case, score, answers.get(case.id, ""))))
    found.sort(key=lambda one: one[0])
    return tuple(example for _, example in found[:_SHOWN])


def _incumbents(rulings: Iterable[Ruling]) -> dict[str, str]:
    """Return the first answer of the incumbent to each case."""
    found: dict[str, str] = {}
    for ruling in rulings:
        other = ruling.pair.incumbent
        if other is not None and not other.sample.infrastructure:
            found.setdefault(ruling.pair.case, shown(other.sample))
    return found


def _example(ruling: Ruling, case: Case, score: CaseScore, answer: str) -> Example:
    finding, other = ruling.candidate, ruling.pair.incumbent
    if other is not None and not other.sample.infrastructure:
        answer = shown(other.sample)
    return Example(
        case=case.id,
        slice=case.slice,
        round=ruling.pair.round,
        inputs=dict(case.inputs),
        candidate=shown(ruling.pair.candidate.sample),
        incumbent=answer,
        expected=_json(case.expected) if case.has_expected else "",
        why=finding.detail if finding is not None else "",
        flipped=score.flipped,
    )


def shown(sample: Sample) -> str:
    """Return an answer as a reader wants it: what was written, else what it came to."""
    if sample.text:
        return sample.text
    if sample.has_value:
        return _json(sample.value)
    if sample.tool_calls:
        return _json(sample.tool_calls)
    return sample.refusal or f"({sample.kind}: {sample.detail})"


def _json(value: object) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)
