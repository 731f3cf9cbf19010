"""The report: what the tally says, ready to be read, printed or kept as evidence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from .._version import __version__
from ..store import EvidenceStore
from ._estimate import Estimate
from ._evidence import Figure, ShadowEvidence, ShadowVerdict
from ._examples import Example
from ._judge import Thresholds, judge
from ._power import detectable
from ._rates import Rates, rates_of
from ._rows import (
    DirectionRow,
    PathRow,
    RungRow,
    StratumRow,
    TransitionRow,
    Version,
    paths_of,
    strata_of,
    tail_of,
    transitions_of,
    version_of,
)
from ._tally import Tally
from ._weigh import Whole
from ._words import percent, points

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
_HUGE: Final = 690.0


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
        shares: Their shares of the traffic, where rates are weighted back to it.
        paths: Fields and traits, the largest net first.
        transitions: Directed changes, the largest net first.
        more_transitions: True when rarer ones were folded together.
        more: Requests to be drawn twice until a verdict can be expected; None when
            there is one, or when more of the same would not bring it.
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
    shares: Mapping[str, float]
    paths: tuple[PathRow, ...]
    transitions: tuple[TransitionRow, ...]
    more_transitions: bool
    more: int | None
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
    traffic: Mapping[str, int] | None = None,
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
        traffic: Calls by stratum, where strata were sampled at different shares.
        started: Epoch seconds of the first request.
        at: Epoch seconds now.
    """
    limits = thresholds or Thresholds()
    whole = Whole(tally, traffic)
    total = whole.total
    moves = transitions_of(tally, total.sizes)
    found = judge(tally, limits, whole=whole, known_bad=known_bad)
    return Report(
        verdict=found.verdict,
        reason=found.reason,
        alarms=found.alarms,
        function=function,
        source=source,
        incumbent=version_of(incumbent, tally.meters[0]),
        challenger=version_of(challenger, tally.meters[1]),
        requests=total.sizes.of("raw"),
        doubled=total.sizes.of("net"),
        unmatched=total.unmatched,
        main=whole.rates("main"),
        register=whole.rates("register"),
        rungs=tuple(
            RungRow(rung=r.value, label=r.label, rates=rates_of(s, total.sizes))
            for r, s in tally.rungs.items()
        ),
        directions=tuple(
            DirectionRow(name=name, rates=rates_of(series, total.sizes))
            for name, series in tally.directions.items()
        ),
        strata=strata_of(tally),
        shares=whole.shares,
        paths=paths_of(tally, total.sizes),
        transitions=moves,
        more_transitions=tally.transitions.dropped,
        more=found.more,
        detectable=detectable(total.main, total.sizes, evidence=limits.evidence),
        examples=tail_of(tally, moves),
        thresholds=limits,
        clustered=tally.clustered,
        notes=(*notes, *_weight_notes(whole), *_register_note(whole, limits)),
        inputs=inputs or {},
        ladder_digest=tally.ladder.digest,
        content_digest=tally.digest,
        started=started,
        at=at,
    )


def _weight_notes(whole: Whole) -> Iterator[str]:
    """Say what is of the traffic, and what of the sample."""
    if not whole.shares:
        return
    yield (
        "strata were sampled at different shares: the divergence, the register and the "
        "verdict are weighted back to the traffic; rungs, directions, fields and "
        "transitions are of the sample"
    )
    if whole.unseen > 0:
        yield (
            f"{percent(whole.unseen)} of the traffic is in strata of which nothing was "
            "compared"
        )


def _register_note(whole: Whole, limits: Thresholds) -> Iterator[str]:
    """Say that the register changed, which raises no alarm by itself."""
    found = whole.rates("register")
    seen = found.beyond_noise
    declared = found.log_e >= math.log(limits.evidence)
    if seen and seen.value > limits.excess and declared:
        yield (
            f"the register changed {points(seen.value)} beyond the noise (length, "
            "markup, tone): no alarm, but readers and parsers may notice"
        )


def _figure(found: Estimate | None) -> Figure | None:
    if found is None:
        return None
    value, low, high = (round(x, 9) for x in (found.value, found.low, found.high))
    return Figure(value=value, low=low, high=high)
