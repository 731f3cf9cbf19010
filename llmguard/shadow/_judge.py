"""When a divergence is an alarm, when it is refuted, and what cannot be said yet."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..errors import ConfigError
from ._bounded import Bounded
from ._cell import Cell
from ._estimate import estimate, wealth_of
from ._evidence import ShadowVerdict
from ._rates import Rates, rates_of
from ._rungs import DIRECTIONS
from ._series import Series, Sizes
from ._tally import Tally
from ._weigh import Whole
from ._words import many, odds, percent, points

__all__ = ["Judgement", "Thresholds", "judge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """When to raise an alarm; the defaults are those of docs/shadow.md.

    Attributes:
        evidence: E-value at which a change is declared; an unchanged version reaches
            it at most once in `evidence` runs, however often one looks.
        excess: Excess above which a declared change is an alarm.
        direction: Net of one direction of the first rung, or of a critical field,
            above which a declared change is an alarm.
        unacceptable: Excess that must be refuted before a version may be promoted.
        minimum: Requests on which the incumbent was drawn twice, at least.
        stratum: The same for an alarm in one stratum.
        lost: Share of draws that a version may lose more than the other.

    Raises:
        ConfigError: A threshold is out of its range, or `excess` is not below
            `unacceptable`.
    """

    evidence: float = 20.0
    excess: float = 0.02
    direction: float = 0.01
    unacceptable: float = 0.05
    minimum: int = 300
    stratum: int = 50
    lost: float = 0.02

    def __post_init__(self) -> None:
        if not 0 <= self.excess < self.unacceptable < 1:
            raise ConfigError(
                f"the thresholds `excess` {self.excess!r} and `unacceptable` "
                f"{self.unacceptable!r} must satisfy 0 <= excess < unacceptable < 1"
            )
        if self.evidence <= 1 or not 0 <= self.direction < 1:
            raise ConfigError(
                f"`evidence` {self.evidence!r} must be above 1 and `direction` "
                f"{self.direction!r} in [0, 1)"
            )
        if self.minimum < 1 or self.stratum < 1:
            raise ConfigError(
                f"`minimum` {self.minimum!r} and `stratum` {self.stratum!r} must be "
                "1 request or more"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A verdict, why, and what raised the alarm.

    Attributes:
        verdict: What a tally says.
        reason: One sentence.
        alarms: What raised the alarm.
        more: Requests to be drawn twice until a verdict can be expected, so that a
            window of low traffic can be extended; None when there is one already, or
            when more of the same would not bring it.
    """

    verdict: ShadowVerdict
    reason: str
    alarms: tuple[str, ...] = ()
    more: int | None = None


def judge(
    tally: Tally,
    thresholds: Thresholds,
    *,
    whole: Whole | None = None,
    known_bad: float = 0.0,
) -> Judgement:
    """Decide what a tally says.

    Args:
        tally: The counts.
        thresholds: When to alarm.
        whole: The traffic that it is a sample of; itself unless given.
        known_bad: Share of the input that could not be read or matched.
    """
    whole = whole or Whole(tally)
    total = whole.total
    doubled = total.sizes.of("net")
    if not doubled:
        return _undecided(
            "the incumbent was never drawn twice, so its own noise is not known: "
            "repeat it on a part of the requests",
            more=thresholds.minimum,
        )
    alarms = tuple(_alarms(tally, whole, thresholds))
    if alarms:
        return Judgement(
            verdict=ShadowVerdict.BLOCK, reason="; ".join(alarms[:2]), alarms=alarms
        )
    return _unless_safe(tally, whole, thresholds, known_bad)


def _undecided(reason: str, *, more: int | None = None) -> Judgement:
    return Judgement(verdict=ShadowVerdict.UNDECIDED, reason=reason, more=more)


def _unless_safe(
    tally: Tally, whole: Whole, thresholds: Thresholds, known_bad: float
) -> Judgement:
    total = whole.total
    doubled = total.sizes.of("net")
    missing = thresholds.minimum - doubled
    if missing > 0:
        return _undecided(
            f"{many(doubled, 'request')} with a second draw of the incumbent; "
            f"{thresholds.minimum} are needed, go on until {missing} more are there",
            more=missing,
        )
    theirs, mine = (meter.lost_share for meter in tally.meters)
    if mine - theirs > thresholds.lost:
        kinds = ", ".join(f"{k} {n}" for k, n in tally.meters[1].lost.most_common(3))
        return _undecided(
            f"the challenger gave nothing to compare on {percent(mine)} of its draws "
            f"({kinds}), the incumbent on {percent(theirs)}"
        )
    if known_bad > thresholds.lost:
        return _undecided(
            f"{percent(known_bad)} of the input could not be read or matched, at most "
            f"{percent(thresholds.lost)} are left out without a word"
        )
    which = 1 if total.sizes.of("excess") >= thresholds.minimum else 0
    name = ("net", "excess")[which]
    safe = whole.safety(which, above=thresholds.unacceptable)
    limit = percent(thresholds.unacceptable)
    if safe >= math.log(thresholds.evidence):
        return Judgement(
            verdict=ShadowVerdict.PROMOTE,
            reason=f"no alarm, and a divergence of {limit} beyond the noise is refuted "
            f"({many(total.sizes.of('net'), 'request')} drawn twice)",
        )
    more = _more(safe, doubled, thresholds)
    ending = (
        "more of the same will not settle it"
        if more is None
        else f"about {many(more, 'request')} drawn twice more would"
    )
    return _undecided(
        f"no alarm, but {name} of {limit} is not refuted (evidence {odds(safe)} of "
        f"{thresholds.evidence:g}); {ending}",
        more=more,
    )


def _more(safe: float, n: int, limits: Thresholds) -> int | None:
    """Return requests until the evidence is there, if it grows on as it did."""
    if safe <= 0:
        return None
    return max(math.ceil(n * (math.log(limits.evidence) / safe - 1)), 1)


def _alarms(tally: Tally, whole: Whole, limits: Thresholds) -> Iterator[str]:
    total = whole.total
    if total.sizes.of("net") >= limits.minimum:
        found = _over(whole.rates("main"), limits, needed=limits.evidence)
        if found:
            yield f"the versions differ {found} beyond the noise"
        yield from _directions(tally, total.sizes, limits)
        yield from _critical(tally, total.sizes, limits)
    yield from _strata(tally.strata, limits)


def _over(rates: Rates, limits: Thresholds, *, needed: float) -> str:
    """Return by how much a declared change is over the limit; empty if it is not."""
    seen = rates.beyond_noise
    if seen is None or seen.value <= limits.excess or rates.log_e < math.log(needed):
        return ""
    return f"by {points(seen.value)}"


def _directions(tally: Tally, sizes: Sizes, limits: Thresholds) -> Iterator[str]:
    needed = math.log(limits.evidence * len(DIRECTIONS))
    for name, series in tally.directions.items():
        net = estimate("net", series, sizes)
        if (
            net
            and net.value > limits.direction
            and wealth_of(0, series, sizes) >= needed
        ):
            yield f"the challenger {name} on {percent(net.value)} of the requests"


def _critical(tally: Tally, sizes: Sizes, limits: Thresholds) -> Iterator[str]:
    named = tally.ladder.rules.critical
    needed = math.log(limits.evidence * max(len(named), 1))
    paths: Mapping[str, Series] = tally.paths.kept
    for path in named:
        series = paths.get(path)
        if series is None:
            continue
        net = estimate("net", series, sizes)
        if (
            net
            and net.value > limits.direction
            and wealth_of(0, series, sizes) >= needed
        ):
            yield f"the critical field {path} differs on {points(net.value)} more"


def _strata(strata: Bounded[str, Cell], limits: Thresholds) -> Iterator[str]:
    if len(strata) < 2:  # noqa: PLR2004 - one stratum is the whole
        return
    needed = limits.evidence * len(strata)
    for name in sorted(strata):
        cell = strata.kept[name]
        if cell.sizes.of("net") < limits.stratum:
            continue
        found = _over(rates_of(cell.main, cell.sizes), limits, needed=needed)
        if found:
            yield f"in {name or '(no stratum)'!r} they differ {found}"
