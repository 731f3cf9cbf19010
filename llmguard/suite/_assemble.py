"""From everything that was seen to the report: data only, no rendering."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from .._version import __version__
from ._examples import examples, scores, slices
from ._facts import version_info
from ._report import AssertionReport, Report
from ._sentences import calibration, not_excluded, percent, reason, sentence
from ._types import Status, Verdict
from .stats._intervals import clopper_pearson, paired_interval

if TYPE_CHECKING:
    from ._assertion import Assertion
    from ._facts import Facts
    from ._tally import Ruling, Tally
    from .stats import RuleState

__all__ = ["INFRASTRUCTURE_SHARE", "assemble"]

INFRASTRUCTURE_SHARE: Final = 0.02
"""Share of calls that may fail without saying anything."""
_A_FEW: Final = 3
_ORDER: Final = (Status.ERROR, Status.BLOCKED, Status.OPEN, Status.ACCEPTED)


def assemble(tally: Tally, facts: Facts) -> Report:
    """Return the report of a run that has ended.

    Raises:
        ConfigError: scipy is missing, which the exact intervals need.
    """
    suite = tally.suite
    verdict, error = _verdict(tally, facts)
    reports = sorted(
        (_assertion(tally, each) for each in suite.assertions),
        key=lambda one: (_ORDER.index(one.status), not one.gating),
    )
    entries = [entry for pair in tally.pairs for entry in pair.entries()]
    incumbent = facts.incumbent
    return Report(
        suite=suite.name,
        suite_digest=suite.digest,
        function=suite.function_name,
        verdict=verdict,
        reason=reason(verdict, reports, stopped=facts.stopped, error=error),
        candidate=version_info(facts.candidate, "candidate", entries, recorded=False),
        incumbent=None
        if incumbent is None
        else version_info(incumbent, "incumbent", entries, recorded=facts.recorded),
        seed=facts.seed,
        rounds=max((pair.round for pair in tally.pairs), default=0),
        calls=tally.calls,
        infrastructure=tally.infrastructure,
        deterministic=tally.repeats.same,
        cases=len(suite.cases),
        alpha=suite.alpha,
        beta=suite.beta,
        cost=facts.cost,
        started=facts.started,
        elapsed=facts.elapsed,
        assertions=tuple(reports),
        stopped=facts.stopped,
        journal=facts.journal,
        notes=(*suite.notes, *facts.notes, *_notes(tally, reports)),
        llmguard=__version__,
    )


def _verdict(tally: Tally, facts: Facts) -> tuple[Verdict, str]:
    """Return the verdict, and what is broken where it is ERROR.

    A block stands whatever failed in transport: it was decided on answers.
    """
    if tally.broken or facts.stopped == "error":
        return Verdict.ERROR, tally.broken or facts.reason
    said = tally.verdict
    bad, calls = sum(tally.infrastructure.values()), tally.calls
    too_many = bad >= _A_FEW and bad > INFRASTRUCTURE_SHARE * calls
    too_many |= bad == calls > 0  # nobody answered, however few were asked
    if said is Verdict.BLOCK or not too_many:
        return said, ""
    share = percent(bad / calls)
    limit = percent(INFRASTRUCTURE_SHARE)
    return Verdict.ERROR, (
        f"{bad} of {calls} calls ({share}) failed without saying anything, more than "
        f"{limit}: look at `infrastructure`, repair the connection, then `--resume`"
    )


def _assertion(tally: Tally, each: Assertion) -> AssertionReport:
    state, rulings = tally.decider.state(each.name), tally.rulings(each.name)
    scored = scores(rulings)
    interval = _interval(each, state)
    theirs = _incumbent(each, state, rulings)
    judged = sum(score.n for score in scored.values())
    asked = sum(each.applies(tally.cases[pair.case]) for pair in tally.pairs)
    return AssertionReport(
        name=each.name,
        kind=each.kind,
        status=_status(tally, each, state),
        sentence=sentence(each, state, beta=tally.suite.beta),
        tolerate=each.tolerate,
        unacceptable=each.unacceptable,
        relative=each.relative,
        per_prompt=each.per_prompt,
        scope=each.scope,
        gating=each.gating,
        n=state.n,
        failures=state.failures,
        rate=state.rate,
        interval=interval,
        incumbent_n=theirs[0],
        incumbent_failures=theirs[1],
        log_block=state.log_block,
        log_accept=state.log_accept,
        block_at=state.block_at,
        accept_at=state.accept_at,
        unjudged=asked - judged,
        detector=each.detector,
        calibration=calibration(each),
        not_excluded=not_excluded(each, state, interval),
        path=state.path,
        slices=slices(scored, tally.cases),
        suspects=tuple(
            replace(one, slice=tally.cases[one.case].slice) for one in state.suspects
        ),
        examples=examples(rulings, scored, tally.cases),
        source=each.source,
    )


def _incumbent(
    each: Assertion, state: RuleState, rulings: Sequence[Ruling]
) -> tuple[int, int]:
    """Return its calls and failures: of a relative claim the pairs that decided it."""
    if each.relative:
        return state.n, state.incumbent_failures
    others = [one.incumbent for one in rulings if one.incumbent is not None]
    return len(others), sum(one.failed for one in others)


def _interval(each: Assertion, state: RuleState) -> tuple[float, float]:
    if each.relative:
        return paired_interval(state.n, state.worse, state.better)
    return clopper_pearson(state.failures, state.n)


def _status(tally: Tally, each: Assertion, state: RuleState) -> Status:
    """Return where it stands; one that the incumbent fails cannot be judged."""
    if tally.reference is None or each.name not in tally.own:
        return state.status
    theirs = tally.reference.state(each.name).status
    return Status.ERROR if theirs is Status.BLOCKED else state.status


def _notes(tally: Tally, reports: Sequence[AssertionReport]) -> list[str]:
    notes: list[str] = []
    bad = {
        arm: sum(n for kind, n in kinds.items() if str(kind) in tally.infrastructure)
        for arm, kinds in tally.kinds.items()
    }
    if missing := bad.get("candidate", 0):
        notes += [
            f"`{one.name}`: had every call of the candidate that was lost in "
            f"transport ({missing}) failed it too, its rate would be "
            f"{percent((one.failures + missing) / (one.n + missing))}"
            for one in reports
            if one.status is Status.ACCEPTED and not one.relative
        ]
    for arm in ("candidate", "incumbent"):
        seen = {
            entry.sample.fingerprint
            for pair in tally.pairs
            for entry in pair.entries()
            if entry.sample.arm == arm and entry.sample.fingerprint
        }
        if len(seen) > 1:
            notes.append(
                f"the {arm} answered under {len(seen)} system fingerprints: its "
                "provider changed something while the run went on"
            )
    if same := tally.repeats.same:
        notes.append(
            f"{len(same)} cases gave the same answer five times and were left out of "
            "later rounds where they had passed; nothing is counted for calls that "
            "were not made"
        )
    return notes
