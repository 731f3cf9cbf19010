"""How long a shadow must run, what it costs, and what it will not see."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from ..errors import ConfigError
from ._estimate import wilson_at
from ._judge import Thresholds
from ._power import least, needed, spread

__all__ = ["Plan", "plan"]

_HOURS: Final = 24.0
_OUT_OF_REACH: Final = 14 * _HOURS
_TWO_DAYS: Final = 2 * _HOURS


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What it takes to see a divergence.

    Attributes:
        traffic: Requests a day.
        sample: Share of them that is shadowed.
        double: Share of the shadowed ones on which both versions are drawn twice.
        detect: Net divergence that is to be declared.
        floor: How often the incumbent differs from itself.
        slice_share: Share of the traffic that the divergence is looked for in.
        even: Doubled requests after which it is declared with even chances.
        needed: With four chances in five; never below the minimum.
        minimum: Doubled requests without which there is no verdict.
        hours: Hours until `needed` are there.
        run: Hours to plan: whole days, since behaviour follows the day; at least one.
        reachable: False when that is more than two weeks.
        sample_needed: Share to shadow to be done within two days; None when all of the
            traffic would not do.
        sampled: Requests shadowed in `run` hours.
        doubled: Requests drawn twice in `run` hours.
        raw_interval: 95 % interval of the raw rate then, half its width.
        sees: By hours: the smallest net declared with four chances in five.
        extra_calls: Calls made besides those of the users, in `run` hours.
        extra_share: The same as a share of the traffic's own calls.
        extra_cost: What they cost; None when the cost of a call was not given.
    """

    traffic: float
    sample: float
    double: float
    detect: float
    floor: float
    slice_share: float
    even: int
    needed: int
    minimum: int
    hours: float
    run: float
    reachable: bool
    sample_needed: float | None
    sampled: int
    doubled: int
    raw_interval: float
    sees: dict[str, float]
    extra_calls: int
    extra_share: float
    extra_cost: float | None


def plan(
    *,
    traffic: float,
    sample: float = 0.1,
    double: float = 0.25,
    detect: float = 0.03,
    floor: float = 0.09,
    overlap: float = 0.7,
    slice_share: float = 1.0,
    call_cost: float | None = None,
    thresholds: Thresholds | None = None,
) -> Plan:
    """Say how long to run for a net divergence to be declared.

    Args:
        traffic: Requests a day.
        sample: Share of them to shadow.
        double: Share of the shadowed ones on which both versions are drawn twice.
        detect: Net divergence to declare, as a share.
        floor: How often the incumbent differs from itself; measure it, it is between
            2 and 20 %.
        overlap: Of the requests on which the incumbent differs from itself, the share
            on which the challenger differs too: 0.7 to 0.8 where it was measured.
        slice_share: Share of the traffic that the slice of interest has.
        call_cost: What one call costs.
        thresholds: When to alarm.

    Raises:
        ConfigError: A share is not in (0, 1], or there is no traffic.
    """
    limits = thresholds or Thresholds()
    for name, value in (
        ("sample", sample),
        ("double", double),
        ("detect", detect),
        ("slice_share", slice_share),
    ):
        if not 0 < value <= 1:
            raise ConfigError(f"`{name}` {value!r} is no share: 0 < {name} <= 1")
    if not (traffic > 0 and 0 <= floor < 1 and 0 <= overlap <= 1):
        raise ConfigError(
            f"traffic {traffic!r} must be above 0, floor {floor!r} in [0, 1) and "
            f"overlap {overlap!r} in [0, 1]"
        )
    variance = spread(floor, min(detect, 1 - floor), overlap=overlap)
    even = needed(detect, variance, evidence=limits.evidence, power=False)
    sure = max(needed(detect, variance, evidence=limits.evidence), limits.minimum)
    hourly = traffic / _HOURS
    hours = sure / (hourly * sample * double * slice_share)
    run = max(math.ceil(hours / _HOURS), 1) * _HOURS
    sampled = round(hourly * run * sample)
    quiet = spread(floor, 0.0, overlap=overlap)
    wanted = sure / (hourly * _TWO_DAYS * double * slice_share)
    low, high = wilson_at(min(floor + detect, 1.0), max(sampled, 1))
    extra = round(sampled * (1 + 2 * double))
    return Plan(
        traffic=traffic,
        sample=sample,
        double=double,
        detect=detect,
        floor=floor,
        slice_share=slice_share,
        even=even,
        needed=sure,
        minimum=limits.minimum,
        hours=hours,
        run=run,
        reachable=hours <= _OUT_OF_REACH,
        sample_needed=wanted if wanted <= 1 else None,
        sampled=sampled,
        doubled=round(sampled * double),
        raw_interval=(high - low) / 2,
        sees={
            f"{at:g}": least(
                hourly * at * sample * double * slice_share,
                quiet,
                evidence=limits.evidence,
            )
            for at in (_HOURS, _TWO_DAYS)
        },
        extra_calls=extra,
        extra_share=sample * (1 + 2 * double),
        extra_cost=None if call_cost is None else extra * call_cost,
    )
