"""Gates of facts: the ledger holds, the model lives on, the fallbacks work."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

from ..guard._fitness import PROOF_SECONDS, fitness_of
from ..pins import ending, shutdown_of
from .request import Request, failed, passed, unknown
from .types import GateResult

__all__ = ["fallback_gate", "horizon_gate", "ledger_gate"]


def ledger_gate(request: Request) -> GateResult:
    """Nothing is decided on a history that somebody changed."""
    check = request.check or request.store.ledger.verify()
    if not check.ok:
        return failed(
            "ledger",
            f"the ledger was tampered with: {check.problem}",
            "restore the store from a backup; `llmguard history --verify` looks again",
        )
    return passed("ledger", f"{check.entries} entries, unbroken")


def horizon_gate(request: Request) -> GateResult:
    """The provider serves the model for some time yet."""
    days = request.rules.horizon or 0.0
    today = datetime.fromtimestamp(request.now, UTC).date()
    end = shutdown_of(request.pin)
    if end is None:
        return passed("horizon", "no shutdown is announced")
    words = ending(request.pin, horizon=timedelta(days=days), today=today)
    if words:
        return failed(
            "horizon",
            f"{words}; at least {days:g} days are asked for",
            f"llmguard pin add {request.route} --provider {request.pin.provider} "
            "--model MODEL",
        )
    left = (date.fromisoformat(end.date) - today).days
    return passed("horizon", f"shuts down on {end.date}, in {left} days ({end.source})")


def fallback_gate(request: Request) -> GateResult:
    """Every lower tier of the route's functions gave a good answer within a day."""
    chains = _chains(request)
    if not chains:
        return unknown(
            "fallback",
            f"no running process has told which functions use route {request.route!r}",
            "start one that calls it, or `llmguard drill MODULE:FUNCTION`",
        )
    rows = request.store.activity(since=request.now - PROOF_SECONDS)
    proven = {
        (one.function, one.tier)
        for one in fitness_of(rows, now=request.now)
        if one.proven
    }
    open_ = {
        f"{function} > {tier['tier']}": tier.get("drill") or function
        for function, tiers in chains.items()
        for tier in tiers[1:]
        if tier.get("proof") and (function, tier["tier"]) not in proven
    }
    if not open_:
        return passed("fallback", f"proven for {', '.join(sorted(chains))}")
    return unknown(
        "fallback",
        f"not proven within 24 hours: {', '.join(sorted(open_))}",
        f"llmguard drill {next(iter(open_.values()))}",
    )


def _chains(request: Request) -> dict[str, list[dict[str, Any]]]:
    """Return the tiers of every function whose first one is a pin of the route."""
    route = request.lock.routes.get(request.route)
    ids = {*(route.allowed if route else ()), *request.state.stages}
    told = [cast("Any", one["info"]) for one in request.store.processes()]
    return {
        function: tiers
        for info in told
        for function, tiers in info.get("functions", {}).items()
        if tiers and tiers[0].get("pin") in ids
    }
