"""The suite gate: every suite of the route said PROMOTE about exactly this pin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from .._version import DOCS
from ..suite import Evidence, Suite, Verdict, all_suites, find_evidence
from .request import Request, failed, passed, unknown
from .settings import SuiteRule
from .types import GateResult, GateState

if TYPE_CHECKING:
    from ..suite import Found

__all__ = ["route_suites", "suite_gate"]

_DAY: Final = 86_400.0
_GATE: Final = "suite"
_WORST: Final = (GateState.FAIL, GateState.UNKNOWN, GateState.PASS)


def suite_gate(request: Request) -> GateResult:
    """Judge the evidence of every suite that is asked for; the worst one decides."""
    rule = request.rules.suite or SuiteRule()
    declared = route_suites(request.route)
    suites = [one for one in declared if not rule.names or one.name in rule.names]
    missing = sorted(set(rule.names) - {one.name for one in suites})
    if missing or not suites:
        return _no_suite(request, missing, declared)
    results = [_judge(request, rule, suite) for suite in suites]
    worst = next(one for state in _WORST for one in results if one.state is state)
    if worst.state is not GateState.PASS:
        return worst
    digests = tuple(digest for one in results for digest in one.evidence)
    reason = "; ".join(one.reason for one in results)
    return passed(_GATE, reason, evidence=digests)


def route_suites(route: str) -> tuple[Suite, ...]:
    """Return the declared suites of the functions that answer by a route."""
    return tuple(one for one in all_suites() if _route_of(one) == route)


def _route_of(suite: Suite) -> str:
    pin = suite.guard.pin
    return pin if isinstance(pin, str) else (pin.route if pin else "")


def _no_suite(
    request: Request, missing: Sequence[str], declared: Sequence[Suite]
) -> GateResult:
    if missing:
        known = ", ".join(f"`{one.name}`" for one in declared) or "none"
        return unknown(
            _GATE,
            f"the gate asks for suite `{missing[0]}`, and route {request.route!r} has "
            f"no such suite (declared: {known})",
            "declare it under `[tool.llmguard] suites`, or change `suite.names`",
        )
    return unknown(
        _GATE,
        f"no suite is declared for route {request.route!r}, so nothing says how "
        f"{request.pin.id} behaves",
        f"write one ({DOCS}/suites.md), declare it under `[tool.llmguard] suites`; or "
        f"say that none is asked for: `[tool.llmguard.gates.{request.to}] suite = "
        "false`",
    )


def _judge(request: Request, rule: SuiteRule, suite: Suite) -> GateResult:
    found = find_evidence(
        request.store,
        function=suite.function_name,
        pin_digest=request.pin.identity,
        now=request.now,
        suite_digest=suite.digest,
        max_age=rule.days * _DAY,
    )
    command = run_command(request, suite)
    if found.evidence is None:
        return unknown(_GATE, _nothing(request, suite, found), command)
    evidence = found.evidence
    if wrong := _other_incumbent(request, suite, evidence):
        return unknown(_GATE, wrong, command)
    if evidence.verdict is Verdict.BLOCK:
        return failed(
            _GATE,
            f"suite `{suite.name}` says BLOCK: {evidence.reason}",
            f"another version; `llmguard suite show {suite.name}` lists what must hold",
            evidence=(evidence.digest,),
        )
    if evidence.verdict is not Verdict.PROMOTE:
        return unknown(
            _GATE,
            f"suite `{suite.name}` says {evidence.verdict.value}: {evidence.reason}",
            command,
        )
    blocks = sum(one.verdict is Verdict.BLOCK for one in found.earlier)
    if blocks > rule.after_blocks:
        return failed(
            _GATE,
            f"suite `{suite.name}` says PROMOTE after {blocks} earlier BLOCK of the "
            "same pin: a repeated draw, not a proof",
            "another version, or a suite that decides with more calls; who accepts it "
            f"all the same: `suite = {{ after_blocks = {blocks} }}`",
            evidence=(evidence.digest,),
        )
    age = (request.now - evidence.at) / _DAY
    return passed(
        _GATE,
        f"suite `{suite.name}` says PROMOTE after {evidence.calls} calls, "
        f"{max(age, 0):.1f} days ago",
        evidence=(evidence.digest,),
    )


def _nothing(request: Request, suite: Suite, found: Found) -> str:
    """Say why there is no evidence, the refusal nearest to this pin first."""
    for kind in ("tampered", "stale", "foreign", "unreadable"):
        for one in found.refused:
            if one.kind == kind and _about(request, one.digest, kind):
                return f"{kind} evidence of suite `{suite.name}`: {one.reason}"
    return f"suite `{suite.name}` has said nothing about {request.pin.id} yet"


def _about(request: Request, digest: str, kind: str) -> bool:
    """Tell whether a refused record is worth telling: of this pin, or damaged."""
    if kind in {"tampered", "unreadable"}:
        return True
    row = request.store.get_evidence(digest)
    return row is not None and row.pin_digest == request.pin.identity


def _other_incumbent(request: Request, suite: Suite, evidence: Evidence) -> str:
    serves = request.incumbent
    if not evidence.incumbent_pin:
        return ""
    if serves is not None and evidence.incumbent_digest == serves.identity:
        return ""
    now = serves.id if serves else "nobody"
    return (
        f"foreign evidence of suite `{suite.name}`: it compared with "
        f"{evidence.incumbent_pin}, and {now} serves {request.route!r} now"
    )


def run_command(request: Request, suite: Suite) -> str:
    """Return the command that makes the evidence."""
    command = f"llmguard suite run {suite.name} --candidate {request.pin.id}"
    if suite.needs_incumbent and request.incumbent is not None:
        command += f" --incumbent {request.incumbent.id}"
    return command
