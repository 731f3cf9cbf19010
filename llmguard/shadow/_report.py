"""The report: what the tally says, ready to be read, printed or kept as evidence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from .._version import __version__
from ..store import EvidenceStore
from ._estimate import Estimate
from ._evidence import Figure, ShadowEvidence, ShadowVerdict
from ._examples import Example
from ._judge import Rates, Thresholds, judge, rates_of
from ._meters import Meter
from ._power import detectable
from ._series import UNIT, Sizes
from ._tally import Tally

__all__ = [
    "DirectionRow",
    "PathRow",
    "Report",
    "RungRow",
    "StratumRow",
    "TransitionRow",
    "Version",
    "report",
]

_FORMAT: Final = 1
_ROWS: Final = 100
_HUGE: Final = 690.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One side of the comparison.

    Attributes:
        name: How reports call it: a model, a file.
        pin: Id of its pin; empty for recordings of unknown origin.
        digest: Digest of that pin.
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
        requests: Requests that show it, each by the share of its pairs of draws.
        rate: The same as a share of all requests.
        floor: How often the incumbent makes this change against itself; None without
            repeats.
        net: Rate less floor.
    """

    path: str
    before: str
    after: str
    requests: float
    rate: float
    floor: float | None = None
    net: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that a shadow run says.

    Attributes:
        verdict: What it means for promotion.
        reason: One sentence on what decided.
        alarms: What raised the alarm.
        function: What was compared.
        source: `live` or `recorded`.
        incumbent: The version that serves.
        challenger: The version that may.
        requests: Requests compared.
        doubled: Those on which the incumbent was drawn twice.
        unmatched: Requests on which one version gave nothing to compare.
        main: Divergence on rungs 1 to 4: the tail behaviour divergence rate.
        register: Divergence on rung 5, apart.
        rungs: First differences, by rung.
        directions: Named directions of the first rung.
        strata: Slices of the traffic, the worst first.
        paths: Fields and traits, the largest net first.
        transitions: Directed changes, the largest net first.
        more_transitions: True when rarer ones were folded together.
        detectable: Smallest net that would be declared with 80 % chance at this many
            requests; None without repeats.
        examples: The tail, most severe first.
        thresholds: When an alarm is raised.
        clustered: True when intervals allow for dependent requests.
        notes: What a reader must know.
        inputs: What was read, by name: lines, bad lines, ids without a partner.
        ladder_digest: Digest of the ladder.
        content_digest: Digest of the counts.
        started: Epoch seconds of the first request; 0 when not known.
        at: Epoch seconds of the report; 0 when not said.
        evidence: Digest of the stored evidence; empty for none.
        llmguard: Version of this package.
        format: Version of this document.
    """

    verdict: ShadowVerdict
    reason: str
    alarms: tuple[str, ...]
    function: str
    source: str
    incumbent: Version
    challenger: Version
    requests: int
    doubled: int
    unmatched: int
    main: Rates
    register: Rates
    rungs: tuple[RungRow, ...]
    directions: tuple[DirectionRow, ...]
    strata: tuple[StratumRow, ...]
    paths: tuple[PathRow, ...]
    transitions: tuple[TransitionRow, ...]
    more_transitions: bool
    detectable: float | None
    examples: tuple[Example, ...]
    thresholds: Thresholds
    clustered: bool
    notes: tuple[str, ...] = ()
    inputs: Mapping[str, int] = field(default_factory=dict[str, int])
    ladder_digest: str = ""
    content_digest: str = ""
    started: float = 0.0
    at: float = 0.0
    evidence: str = ""
    llmguard: str = __version__
    format: int = _FORMAT

    @property
    def alarm(self) -> bool:
        """True when the challenger behaves otherwise, beyond what is tolerated."""
        return self.verdict is ShadowVerdict.BLOCK

    def to_evidence(self) -> ShadowEvidence:
        """Return the record that a promotion gate reads."""
        return ShadowEvidence(
            function=self.function,
            pin=self.challenger.pin,
            pin_digest=self.challenger.digest,
            incumbent_pin=self.incumbent.pin,
            incumbent_digest=self.incumbent.digest,
            verdict=self.verdict,
            reason=self.reason,
            source=self.source,
            ladder_digest=self.ladder_digest,
            content_digest=self.content_digest,
            requests=self.requests,
            doubled=self.doubled,
            raw=_figure(self.main.raw) or Figure(value=0.0, low=0.0, high=1.0),
            floor=_figure(self.main.floor_a),
            net=_figure(self.main.net),
            excess=_figure(self.main.excess),
            e_value=round(math.exp(min(self.main.log_e, _HUGE)), 6),
            alarms=self.alarms,
            worst=self.strata[0].name if len(self.strata) > 1 else "",
            lost=sum(self.incumbent.lost.values()) + sum(self.challenger.lost.values()),
            started=self.started,
            at=self.at,
            llmguard=self.llmguard,
        )

    def stored(self, store: EvidenceStore) -> Report:
        """Keep the evidence in a store; return the report that names it."""
        row = self.to_evidence().row()
        store.put_evidence(row)
        return replace(self, evidence=row.digest)


def report(
    tally: Tally,
    *,
    incumbent: Version,
    challenger: Version,
    function: str = "",
    source: str = "recorded",
    thresholds: Thresholds | None = None,
    notes: Sequence[str] = (),
    inputs: Mapping[str, int] | None = None,
    known_bad: float = 0.0,
    started: float = 0.0,
    at: float = 0.0,
) -> Report:
    """Say what a tally means.

    Args:
        tally: The counts.
        incumbent: The version that serves; its counts are filled in here.
        challenger: The version that may.
        function: What was compared.
        source: `live` or `recorded`.
        thresholds: When to alarm; those of docs/shadow.md unless given.
        notes: What a reader must know besides.
        inputs: What was read, by name.
        known_bad: Share of the input that could not be read or matched.
        started: Epoch seconds of the first request.
        at: Epoch seconds now.
    """
    limits = thresholds or Thresholds()
    total = tally.total()
    found = judge(tally, limits, known_bad=known_bad)
    return Report(
        verdict=found.verdict,
        reason=found.reason,
        alarms=found.alarms,
        function=function,
        source=source,
        incumbent=_version(incumbent, tally.meters[0]),
        challenger=_version(challenger, tally.meters[1]),
        requests=total.sizes.of("raw"),
        doubled=total.sizes.of("net"),
        unmatched=total.unmatched,
        main=rates_of(total.main, total.sizes),
        register=rates_of(total.register, total.sizes),
        rungs=tuple(
            RungRow(rung=r.value, label=r.label, rates=rates_of(s, total.sizes))
            for r, s in tally.rungs.items()
        ),
        directions=tuple(
            DirectionRow(name=name, rates=rates_of(series, total.sizes))
            for name, series in tally.directions.items()
        ),
        strata=_strata(tally),
        paths=_paths(tally, total.sizes),
        transitions=_transitions(tally, total.sizes),
        more_transitions=tally.transitions.dropped,
        detectable=detectable(total.main, total.sizes, evidence=limits.evidence),
        examples=tuple(tally.examples.all()),
        thresholds=limits,
        clustered=tally.clustered,
        notes=tuple(notes),
        inputs=inputs or {},
        ladder_digest=tally.ladder.digest,
        content_digest=tally.digest,
        started=started,
        at=at,
    )


def _version(given: Version, meter: Meter) -> Version:
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


def _strata(tally: Tally) -> tuple[StratumRow, ...]:
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


def _paths(tally: Tally, sizes: Sizes) -> tuple[PathRow, ...]:
    critical = set(tally.ladder.rules.critical)
    rows = [
        PathRow(path=path, rates=rates_of(series, sizes), critical=path in critical)
        for path, series in tally.paths.kept.items()
    ]
    rows.sort(key=lambda row: (-_size(row.rates), row.path))
    return tuple(rows[:_ROWS])


def _transitions(tally: Tally, sizes: Sizes) -> tuple[TransitionRow, ...]:
    n, doubled = max(sizes.of("raw"), 1), sizes.of("net")
    rows: list[TransitionRow] = []
    for (path, before, after), (across, within, _) in tally.transitions.kept.items():
        rate = across / UNIT / n
        floor = within / UNIT / doubled if doubled else None
        rows.append(
            TransitionRow(
                path=path,
                before=before,
                after=after,
                requests=round(across / UNIT, 3),
                rate=rate,
                floor=floor,
                net=None if floor is None else rate - floor,
            )
        )
    rows = [row for row in rows if row.requests > 0]
    rows.sort(key=lambda row: (-_weight(row), row.path, row.before, row.after))
    return tuple(rows[:_ROWS])


def _weight(row: TransitionRow) -> float:
    return row.rate if row.net is None else row.net


def _figure(found: Estimate | None) -> Figure | None:
    if found is None:
        return None
    value, low, high = (round(x, 9) for x in (found.value, found.low, found.high))
    return Figure(value=value, low=low, high=high)
