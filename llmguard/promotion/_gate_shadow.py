"""The shadow gate: a report on real traffic says that the pin may take it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any, Final, cast

from ..pins import evidence_about
from ..store import EvidenceRow
from .request import Request, failed, passed, unknown
from .settings import ShadowRule
from .types import GateResult

__all__ = ["shadow_gate"]

_DAY: Final = 86_400.0
_GATE: Final = "shadow"
_MOST: Final = 200


def shadow_gate(request: Request) -> GateResult:
    """Judge the newest shadow report about the pin."""
    rule = request.rules.shadow or ShadowRule()
    rows = evidence_about(request.store, request.pin, kinds=("shadow",), limit=_MOST)
    if not rows:
        return unknown(
            _GATE, f"no shadow report about {request.pin.id} yet", _run(request)
        )
    row = rows[0]
    problem = _refused(request, rule, row)
    if problem:
        return unknown(_GATE, problem, _run(request))
    body = cast("dict[str, Any]", json.loads(row.body))
    if row.verdict == "BLOCK":
        return failed(
            _GATE,
            f"the shadow report says BLOCK{_because(body)}",
            "another version; look at the report's examples",
            evidence=(row.digest,),
        )
    if row.verdict != "PROMOTE":
        return unknown(
            _GATE,
            f"the shadow report says {row.verdict}{_because(body)}",
            _run(request),
        )
    return _limits(request, rule, row, body)


def _limits(
    request: Request, rule: ShadowRule, row: EvidenceRow, body: Mapping[str, Any]
) -> GateResult:
    told: list[str] = []
    for name, limit in (("net", rule.max_net), ("excess", rule.max_excess)):
        if limit is None:
            continue
        value = _upper(body, name)
        if value is None:
            return unknown(
                _GATE,
                f"the shadow report names no `{name}` rate to hold against {limit:.2%}",
                _run(request),
            )
        if value > limit:
            return failed(
                _GATE,
                f"{name} divergence may be {value:.2%}, at most {limit:.2%} is allowed",
                "more shadow calls if the interval is wide, else another version",
                evidence=(row.digest,),
            )
        told.append(f"{name} <= {value:.2%}")
    figures = f" ({', '.join(told)})" if told else ""
    return passed(
        _GATE, f"the shadow report says PROMOTE{figures}", evidence=(row.digest,)
    )


def _refused(request: Request, rule: ShadowRule, row: EvidenceRow) -> str:
    found = hashlib.sha256(row.body.encode("utf-8", "surrogatepass")).hexdigest()
    if row.digest != f"sha256:{found}":
        return f"tampered evidence: {row.digest} is not what was written"
    age = (request.now - row.at) / _DAY
    if age > rule.days:
        return (
            f"stale evidence: the shadow report is {age:.1f} days old, at most "
            f"{rule.days:g} are allowed"
        )
    try:
        body: object = json.loads(row.body)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return f"unreadable evidence: {row.digest} is no shadow report"
    against = cast("dict[str, object]", body).get("incumbent_digest")
    serves = request.incumbent
    # Reports of earlier versions name the incumbent by its whole entry.
    if serves is None or against not in {serves.identity, serves.digest}:
        name = cast("dict[str, object]", body).get("incumbent_pin") or against
        now = serves.id if serves else "nobody"
        return (
            f"foreign evidence: the shadow report compared with {name!r}, and {now} "
            f"serves {request.route!r} now"
        )
    return ""


def _upper(body: Mapping[str, Any], name: str) -> float | None:
    """Return the upper bound of a figure, wherever the report has it."""
    figure: object = body.get(name)
    if figure is None and isinstance(body.get("figures"), Mapping):
        figure = body["figures"].get(name)
    if isinstance(figure, Mapping):
        named = cast("Mapping[str, object]", figure)
        bounds = ("high", "upper", "estimate", "value", "rate")
        figure = next((named[b] for b in bounds if named.get(b) is not None), None)
    if isinstance(figure, int | float) and math.isfinite(figure):
        return float(figure)
    return None


def _because(body: Mapping[str, Any]) -> str:
    reason = body.get("reason")
    return f": {reason}" if isinstance(reason, str) and reason else ""


def _run(request: Request) -> str:
    return (
        f"`llmguard promote {request.pin.id} --to shadow{request.env_option}`, then a "
        "shadow report of its calls"
    )
