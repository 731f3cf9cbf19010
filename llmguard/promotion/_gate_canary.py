"""The canary gate: the canary's answers are valid as often as the incumbent's."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from ..outcome import POLICY, Kind, Signal
from ..store import Stage
from ..store.counts import HOUR, MINUTE
from ..suite.stats import wilson
from .request import Request, failed, passed, unknown
from .settings import CanaryRule
from .types import GateResult

__all__ = ["Arm", "canary_gate", "difference"]

_GATE: Final = "canary"
_KINDS: Final = frozenset(map(str, Kind))
_MINUTES_KEPT: Final = 3 * 86_400.0  # the store keeps a day more
_BAD_STATES: Final = frozenset({"open", "half-open", "quarantined", "forced-open"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """What the calls of one pin came to.

    Attributes:
        valid: Answers that satisfied the contract.
        broken: Answers that did not; timeouts and the like are neither.
        wrong_model: Answers of another version than the pin names.
    """

    valid: int = 0
    broken: int = 0
    wrong_model: int = 0

    @property
    def n(self) -> int:
        """Judged answers."""
        return self.valid + self.broken

    @property
    def rate(self) -> float:
        """Share of the judged answers that were valid; 0 of none."""
        return self.valid / self.n if self.n else 0.0


def canary_gate(request: Request) -> GateResult:
    """Compare both pins since the canary began; facts first, then the statistics.

    The third outcome is hold: too few calls, or an interval that decides nothing.
    """
    rule = request.rules.canary or CanaryRule()
    pin, serves = request.pin, request.incumbent
    if request.stage is not Stage.CANARY or serves is None:
        return unknown(
            _GATE,
            f"{pin.id} is no canary of {request.route!r}",
            f"llmguard promote {pin.id} --to canary --weight 5%{request.env_option}",
        )
    for row in request.store.list_breakers():
        if row.key.endswith(f"|{pin.id}") and row.state in _BAD_STATES:
            return failed(
                _GATE,
                f"its breaker {row.key!r} is {row.state} ({row.reason})",
                f"llmguard rollback {request.route}{request.env_option}",
            )
    since = _began(request)
    canary, incumbent = _arm(request, pin.id, since), _arm(request, serves.id, since)
    if canary.wrong_model:
        return failed(
            _GATE,
            f"{canary.wrong_model} answers came from another version than pinned",
            f"llmguard rollback {request.route}{request.env_option}",
        )
    return _compare(request, rule, canary, incumbent)


def difference(canary: Arm, incumbent: Arm, confidence: float) -> tuple[float, float]:
    """Return the interval of how much lower the canary's valid rate is.

    Newcombe's hybrid score interval (Statistics in Medicine 17, 1998, method 10).
    Looked at again and again it errs more often than `1 - confidence`, hence 99 %.

    Returns:
        Bounds of the incumbent's rate minus the canary's; (-1, 1) of no calls.
    """
    if not (canary.n and incumbent.n):
        return -1.0, 1.0
    low_i, high_i = wilson(incumbent.valid, incumbent.n, confidence=confidence)
    low_c, high_c = wilson(canary.valid, canary.n, confidence=confidence)
    middle = incumbent.rate - canary.rate
    below = math.hypot(incumbent.rate - low_i, high_c - canary.rate)
    above = math.hypot(high_i - incumbent.rate, canary.rate - low_c)
    return max(-1.0, middle - below), min(1.0, middle + above)


def _compare(
    request: Request, rule: CanaryRule, canary: Arm, incumbent: Arm
) -> GateResult:
    told = (
        f"{canary.rate:.2%} of {canary.n} answers valid, the incumbent's "
        f"{incumbent.rate:.2%} of {incumbent.n}"
    )
    wait = f"let it run, then `{request.command}`"
    if min(canary.n, incumbent.n) < rule.min_calls:
        short = f"inconclusive, {rule.min_calls} answers of each are asked for: {told}"
        return unknown(_GATE, short, wait)
    low, high = difference(canary, incumbent, rule.confidence)
    span = f"{low:+.2%} to {high:+.2%} worse"
    if high <= rule.max_worse:
        return passed(_GATE, f"{told}; {span}")
    if low > 0 and incumbent.rate - canary.rate > rule.max_worse:
        return failed(
            _GATE,
            f"{told}; {span}, at most {rule.max_worse:.2%} is allowed",
            f"llmguard rollback {request.route}{request.env_option}",
        )
    return unknown(
        _GATE,
        f"inconclusive: {told}; {span}, {rule.max_worse:.2%} is the limit",
        wait,
    )


def _began(request: Request) -> float:
    """Return when the pin became a canary, its changes of weight included."""
    rows = request.store.ledger.entries(
        env=request.env, route=request.route, newest_first=True
    )
    began = request.now
    for row in rows:
        if row.pin != request.pin.id:
            continue
        if row.to_stage is not Stage.CANARY:
            break
        began = row.at
    return began


def _arm(request: Request, pin: str, since: float) -> Arm:
    """Count first attempts of live calls: re-asks and exercises say something else."""
    counts = {Signal.SUCCESS: 0, Signal.FAILURE: 0, Signal.IGNORE: 0}
    wrong = 0
    span = MINUTE if request.now - since < _MINUTES_KEPT else HOUR
    for row in request.store.counts.sums(request.env, since=since, span=span):
        if row.pin != pin or row.measure != "first" or row.label not in _KINDS:
            continue
        counts[POLICY[Kind(row.label)].behaviour] += row.n
        wrong += row.n if row.label == Kind.WRONG_MODEL else 0
    return Arm(
        valid=counts[Signal.SUCCESS],
        broken=counts[Signal.FAILURE],
        wrong_model=wrong,
    )
