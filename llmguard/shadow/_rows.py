"""The rows of a report, and how a tally fills them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from ._examples import Example
from ._meters import Meter
from ._rates import Rates, rates_of
from ._rungs import TRAITS, Severity
from ._series import UNIT, Sizes
from ._tally import Tally

__all__ = [
    "DirectionRow",
    "PathRow",
    "RungRow",
    "StratumRow",
    "TransitionRow",
    "Version",
    "paths_of",
    "strata_of",
    "tail_of",
    "transitions_of",
    "version_of",
]

_ROWS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One side of the comparison.

    Attributes:
        name: How reports call it: a model, a file.
        pin: Id of its pin; empty for recordings of unknown origin.
        digest: `Pin.identity` of that pin; empty where `pin` is.
        draws: Draws of it.
        lost: Those that could not be compared, by kind.
        acts: The others, by what the version did.
        latency: Seconds at the 50th, 95th and 99th percentile; None if not known.
        cost: Mean cost of a draw; None if not known.
    """

    name: str
    pin: str = ""
    digest: str = ""
    draws: int = 0
    lost: Mapping[str, int] = field(default_factory=dict[str, int])
    acts: Mapping[str, int] = field(default_factory=dict[str, int])
    latency: tuple[float, float, float] | None = None
    cost: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StratumRow:
    """One slice of the traffic, with the register apart."""

    name: str
    rates: Rates
    register: Rates
    unmatched: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RungRow:
    """Requests whose first difference is on one rung."""

    rung: int
    label: str
    rates: Rates


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectionRow:
    """One named direction of the first rung."""

    name: str
    rates: Rates


@dataclass(frozen=True, slots=True, kw_only=True)
class PathRow:
    """One field or trait, whatever else differs on the same request."""

    path: str
    rates: Rates
    critical: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionRow:
    """One change of one field, from what to what.

    Attributes:
        path: The field or trait.
        before: What the incumbent shows.
        after: What the challenger shows.
        severity: `critical` on the first rung and on critical fields, `minor` in the
            register, else `major`.
        requests: Requests that show it, each by the share of its pairs of draws.
        rate: The same as a share of all requests.
        floor: How often the incumbent makes this change against itself; None without
            repeats.
        net: Rate less floor.
    """

    path: str
    before: str
    after: str
    severity: str
    requests: float
    rate: float
    floor: float | None = None
    net: float | None = None


def version_of(given: Version, meter: Meter) -> Version:
    ends = [meter.latency(share) for share in (0.5, 0.95, 0.99)]
    known = [end for end in ends if end is not None]
    return replace(
        given,
        draws=meter.draws,
        lost=dict(meter.lost.most_common()),
        acts=dict(meter.acts.most_common()),
        latency=(known[0], known[1], known[2]) if len(known) == len(ends) else None,
        cost=meter.cost,
    )


def strata_of(tally: Tally) -> tuple[StratumRow, ...]:
    cells = dict(tally.strata.kept)
    if tally.strata.dropped:
        cells["(other)"] = tally.strata.rest
    rows = [
        StratumRow(
            name=name,
            rates=rates_of(cell.main, cell.sizes),
            register=rates_of(cell.register, cell.sizes),
            unmatched=cell.unmatched,
        )
        for name, cell in sorted(cells.items())
    ]
    return tuple(sorted(rows, key=lambda row: -_size(row.rates)))


def _size(rates: Rates) -> float:
    seen = rates.headline
    return seen.value if seen else -1.0


def paths_of(tally: Tally, sizes: Sizes) -> tuple[PathRow, ...]:
    critical = set(tally.ladder.rules.critical)
    rows = [
        PathRow(path=path, rates=rates_of(series, sizes), critical=path in critical)
        for path, series in tally.paths.kept.items()
    ]
    rows.sort(key=lambda row: (row.path in TRAITS, -_size(row.rates), row.path))
    return tuple(rows[:_ROWS])


def transitions_of(tally: Tally, sizes: Sizes) -> tuple[TransitionRow, ...]:
    n, doubled = max(sizes.of("raw"), 1), sizes.of("net")
    critical = {"@act", *tally.ladder.rules.critical}
    rows: list[TransitionRow] = []
    for (path, before, after), (across, within, _) in tally.transitions.kept.items():
        rate = across / UNIT / n
        floor = within / UNIT / doubled if doubled else None
        rows.append(
            TransitionRow(
                path=path,
                before=before,
                after=after,
                severity=_severity(path, critical),
                requests=round(across / UNIT, 3),
                rate=rate,
                floor=floor,
                net=None if floor is None else rate - floor,
            )
        )
    rows = [row for row in rows if row.requests > 0]
    rows.sort(key=_weight)
    return tuple(rows[:_ROWS])


def _severity(path: str, critical: Collection[str]) -> str:
    if path in critical:
        return Severity.CRITICAL.name.lower()
    return (Severity.MINOR if path in TRAITS else Severity.MAJOR).name.lower()


def _weight(row: TransitionRow) -> tuple[bool, float, str, str, str]:
    """Return where a change stands: behaviour before register, the largest first."""
    size = row.rate if row.net is None else row.net
    return (row.path in TRAITS, -size, row.path, row.before, row.after)


def tail_of(tally: Tally, rows: Sequence[TransitionRow]) -> tuple[Example, ...]:
    """Return examples: the most severe and surest first, then the commonest kind."""
    size = {(row.path, row.before, row.after): _weight(row)[1] for row in rows}

    def order(each: Example) -> tuple[object, ...]:
        sure = {True: 0, None: 1, False: 2}[each.stable]
        _, _, path, before, after = each.group
        least = size.get((path, each.before, each.after), 0.0)
        return (-each.severity, sure, size.get((path, before, after), least))

    return tuple(sorted(tally.examples.all(), key=order))
