"""A healthy soak: many baselines of one unchanged version, each under its own mixes.

A single baseline says little of a promise that is kept on average over baselines: an
unlucky one is off for as long as it is used. So each run draws its own, and is
followed for 10,000 outputs, with a probe's `same` after what was raised or held back.

Nothing here was used to choose a rule or a constant of the detectors. Those were found
on the 406 tickets of `models/recipe/data`, mixed by category, priority, `needs_human`
and length; here tickets are composed anew, and two of the mixes are others.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from _measure import table
from pydantic import BaseModel

from llmguard import INJECTED, Model, Pin, Prompt, contract, pinned
from llmguard.breaker import VersionBreaker
from llmguard.monitor.drift import (
    FAMILIES,
    Calibration,
    Extractor,
    Follower,
    Row,
    fields_of,
    freeze,
)
from llmguard.outcome import Kind

RECIPE: Final = Path(__file__).parents[1] / "models" / "recipe"
SEED: Final = 20261201
"""Of the composed tickets; no other run of anything has used it."""
TICKETS, BASELINES, OUTPUTS, NEXT_MIX = 3_000, 40, 10_000, 2_000
_DRAWS: Final = 20_000


class Triage(BaseModel):
    """What the embedded models answer."""

    category: Literal["billing", "shipping", "refund", "account", "bug", "other"]
    priority: Literal["low", "normal", "high", "urgent"]
    needs_human: bool
    order_id: str | None


@dataclass(frozen=True, slots=True)
class Asked:
    """A ticket, what it is about, and the real answer to it."""

    text: str
    intent: str
    answer: Triage


MIXES: Final[Mapping[str, Callable[[Asked], str] | None]] = {
    "none": None,
    "category": lambda one: one.answer.category,
    "length": lambda one: str(min(len(one.text) // 60, 3)),
    "intent": lambda one: one.intent,
    "order number": lambda one: str(one.answer.order_id is None),
}
"""What is asked more or less of, half to twice as much, drawn anew now and then."""


@dataclass(slots=True)
class Found:
    """What the runs under one kind of mix raised."""

    alarms: list[int] = field(default_factory=list[int])
    raised: Counter[str] = field(default_factory=Counter[str])
    held: Counter[str] = field(default_factory=Counter[str])
    trips: int = 0


def compose(n: int) -> list[tuple[str, str]]:
    """Return tickets as the recipe composes them, with what each is about."""
    sys.path.insert(0, str(RECIPE))
    from corpus import Composer

    found: dict[str, str] = {}
    for example in Composer(SEED):
        found.setdefault(example.text, example.intent)
        if len(found) == n:
            break
    return list(found.items())


def asked(n: int) -> list[Asked]:
    """Ask the real embedded model composed tickets, each once."""
    ground = {"order_id": r"\b(?:[A-Z]{2,3}-)?(?:\d{4}-)?\d{5}\b"}
    pin = Pin(
        route="triage",
        provider="llama.cpp",
        model="embedded:triage-1.0",
        version_class="immutable",
        params={"temperature": 0.0},
        options={"prompt_format": "raw", "ground": ground},
    )
    prompt = Prompt("Ticket: {ticket}\nTriage:\n")

    @contract(Triage)
    @pinned(pin)
    def triage(ticket: str, *, model: Model = INJECTED) -> Triage:
        return model.complete(prompt.format(ticket=ticket))

    return [Asked(text, intent, triage(text)) for text, intent in compose(n)]


def soak(*, quick: bool) -> dict[str, Any]:
    """Follow a version that has not changed, under tickets that do."""
    pool = asked(400 if quick else TICKETS)
    extractor = Extractor(fields=fields_of(Triage.model_json_schema()))
    rows = [
        extractor.read(
            one.answer.model_dump_json(), one.answer.model_dump(), prompt=one.text
        )
        for one in pool
    ]
    baselines, outputs = (len(MIXES), 1_000) if quick else (BASELINES, OUTPUTS)
    found = {name: Found() for name in MIXES}
    began = time.process_time()
    for number in range(baselines):
        rng = random.Random(SEED + number)
        name = list(MIXES)[number % len(MIXES)]
        groups = _groups(pool, MIXES[name])
        made = freeze(
            rng.choices(rows, k=400),
            extractor,
            function="soak",
            pin="triage-1.0",
            calibration=Calibration(),
        )
        follower, into = Follower(made), found[name]
        _follow(follower, rows, groups, rng=rng, outputs=outputs, into=into)
        told = f"baseline {number + 1} of {baselines}, mix by {name}"
        print(f"{told}: {into.alarms[-1]} raised", file=sys.stderr, flush=True)
    spent = (time.process_time() - began) / (baselines * outputs)
    return _tell(found, outputs, spent)


def _groups(
    pool: Sequence[Asked], key: Callable[[Asked], str] | None
) -> list[list[int]]:
    groups: dict[str, list[int]] = {}
    for i, one in enumerate(pool):
        groups.setdefault(key(one) if key else "", []).append(i)
    return list(groups.values())


def _follow(
    follower: Follower,
    rows: Sequence[Row],
    groups: Sequence[Sequence[int]],
    *,
    rng: random.Random,
    outputs: int,
    into: Found,
) -> None:
    breaker, before = VersionBreaker("soak|triage-1.0"), into.raised.total()
    weights: list[float] = []
    for n in range(outputs):
        if n % NEXT_MIX == 0:
            weights = [len(one) * rng.uniform(0.5, 2.0) for one in groups]
        i = rng.choice(rng.choices(groups, weights)[0])
        permit = breaker.acquire()
        breaker.report(permit, Kind.OK, elapsed=0.01, fingerprint=f"{n}")
        into.trips += breaker.status.value != "closed"
        for alarm in follower.see(rows[i]):
            (into.held if alarm.confounded else into.raised)[alarm.family] += 1
        # As after a probe that says `same`: watching starts anew.
        if (follower.alarmed or follower.held) and follower.outputs >= NEXT_MIX:
            follower.restart()
    into.alarms.append(into.raised.total() - before)


def _tell(found: Mapping[str, Found], outputs: int, spent: float) -> dict[str, Any]:
    alarms = [n for one in found.values() for n in one.alarms]
    total, rate = sum(alarms), sum(alarms) / len(alarms) * 10_000 / outputs
    table(
        f"{len(alarms)} baselines of an unchanged version, {outputs:,} outputs each, "
        f"another mix every {NEXT_MIX:,}",
        ("mix by", "outputs", "trips", "raised", "of", "held back", "of"),
        [
            (
                name,
                f"{len(one.alarms) * outputs:,}",
                one.trips,
                one.raised.total(),
                _families(one.raised),
                one.held.total(),
                _families(one.held),
            )
            for name, one in found.items()
        ],
    )
    counted, drawn = _poisson(total), _over_baselines(alarms)
    each = 10_000 / (len(alarms) * outputs)
    print(
        f"{total} alarms, {rate:.3f} in 10,000 outputs (1 is promised); 95 % interval "
        f"{counted[0] * each:.2f} to {counted[1] * each:.2f} if alarms come "
        f"independently, {drawn[0] * 10_000 / outputs:.2f} to "
        f"{drawn[1] * 10_000 / outputs:.2f} by resampling baselines; the worst "
        f"baseline raised {max(alarms)}; {spent * 1e6:.0f} us an output, freezing "
        "included"
    )
    return {
        "outputs": len(alarms) * outputs,
        "trips": sum(one.trips for one in found.values()),
        "alarms_by_baseline": alarms,
        "per_10k": rate,
        "by_mix": {
            name: {"raised": dict(one.raised), "held": dict(one.held)}
            for name, one in found.items()
        },
    }


def _families(counts: Counter[str]) -> str:
    return ", ".join(f"{f} {counts[f]}" for f in FAMILIES if counts[f]) or "-"


def _poisson(n: int) -> tuple[float, float]:
    """Return the exact 95 % interval of a count (Garwood, 1936), by simulation."""
    rng = np.random.default_rng(1)
    low = float(np.quantile(rng.gamma(n, size=_DRAWS), 0.025)) if n else 0.0
    return low, float(np.quantile(rng.gamma(n + 1, size=_DRAWS), 0.975))


def _over_baselines(alarms: Sequence[int]) -> tuple[float, float]:
    """Return the 95 % interval of the mean over baselines, which share their luck."""
    rng = np.random.default_rng(1)
    drawn = rng.choice(np.array(alarms), (_DRAWS, len(alarms))).mean(axis=1)
    return float(np.quantile(drawn, 0.025)), float(np.quantile(drawn, 0.975))
