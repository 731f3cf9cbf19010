"""One rule's counts, evidence and status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ...errors import ConfigError
from .._report import PathPoint, Suspect
from .._types import Status
from ._claim import Claim
from ._ebh import e_bh
from ._rule import CaseCount, Rule, RuleState, Tally
from ._tracks import MeanTrack, PromptTrack, Track
from ._traffic import TrafficTrack

__all__ = ["Ledger"]

_STRIDE: Final = 1.05


class Ledger:
    """Keeps one rule; see `Decider`."""

    def __init__(
        self,
        rule: Rule,
        *,
        size: int,
        block_at: float,
        accept_at: float,
        n_min: int,
        cap: int,
        clusters: Mapping[str, str],
    ) -> None:
        self.rule, self.status = rule, Status.OPEN
        self._size, self._block_at, self._accept_at = size, block_at, accept_at
        self._claim = Claim(rule)
        self._total, self._cases = Tally(), dict[str, Tally]()
        self._fed: set[str] = set()
        self._path: list[PathPoint] = []
        self._track = self._make(n_min, cap, clusters)

    def _make(self, n_min: int, cap: int, clusters: Mapping[str, str]) -> Track:
        claim, cases, size = self._claim, self._cases, self._size
        if self.rule.per_prompt:
            return PromptTrack(
                claim, cases, size, accept_at=self._accept_at, n_min=n_min
            )
        if self.rule.scope == "traffic":
            return TrafficTrack(
                claim, self._total, cases, clusters=clusters, rounds=cap
            )
        return MeanTrack(claim, self._total, cases, size)

    def feed(
        self, case: str, failed: bool | None, base: bool | None, round_: int
    ) -> None:
        """Take one call; see `Decider.feed`."""
        if self.status is not Status.OPEN:
            return
        self._refuse_repeats(case)
        if failed is None or (self.rule.relative and base is None):
            self._track.feed(case, None)
            return
        bad = bool(base) and self.rule.relative
        for tally in (self._total, self._cases.setdefault(case, Tally())):
            tally.add(failed=failed, incumbent_failed=bad)
        self._track.feed(case, float(failed) - float(bad))
        # A pass adds no evidence against a rate; a tie is worse than was assumed of it.
        tells = failed or self.rule.relative
        if tells and self._track.log_block() >= self._block_at:
            self._decide(Status.BLOCKED, round_)
        elif isinstance(self._track, TrafficTrack):
            self._look_early(self._track, round_)

    def _look_early(self, track: TrafficTrack, round_: int) -> None:
        if not track.any_call:
            return
        if track.log_accept >= self._accept_at:
            self._decide(Status.ACCEPTED, round_)
        elif not self._path or self._total.n >= self._path[-1].n * _STRIDE + 1:
            self._mark(round_)

    def _refuse_repeats(self, case: str) -> None:
        if case in self._fed:
            raise ConfigError(
                f"case {case!r} was fed to rule `{self.rule.name}` twice in one round; "
                "call `end_round()` between rounds"
            )
        self._fed.add(case)

    def end_round(self, round_: int, min_rounds: int) -> None:
        """Close the round; the rule may be accepted."""
        if self.status is not Status.OPEN:
            return
        self._fed.clear()
        self._track.end_round()
        if self._track.log_block() >= self._block_at:
            self._decide(Status.BLOCKED, round_)
        elif self._may_accept(round_, min_rounds):
            self._decide(Status.ACCEPTED, round_)
        else:
            self._mark(round_)

    def _may_accept(self, round_: int, min_rounds: int) -> bool:
        early = self.rule.scope == "traffic" and not self.rule.per_prompt
        if not (early or round_ >= min_rounds):
            return False
        return self._track.log_accept >= self._accept_at

    def settle(self, case: str) -> None:
        """See `Decider.settle`."""
        self._track.settle(case)

    def needs(self, case: str) -> bool:
        """Tell whether another call of this case can matter."""
        return self.status is Status.OPEN and self._track.needs(case)

    def state(self) -> RuleState:
        """Return where the rule stands."""
        total = self._total
        cases = {case: self._count(tally) for case, tally in self._cases.items()}
        return RuleState(
            rule=self.rule,
            status=self.status,
            n=total.n,
            failures=total.failures,
            incumbent_failures=total.incumbent_failures,
            worse=total.worse,
            better=total.better,
            log_block=self._track.log_block(),
            log_accept=self._track.log_accept,
            block_at=self._block_at,
            accept_at=self._accept_at,
            decided_at=None if self.status is Status.OPEN else total.n,
            path=tuple(self._path),
            suspects=self._suspects(cases),
            cases=cases,
        )

    def _count(self, tally: Tally) -> CaseCount:
        return CaseCount(
            n=tally.n,
            failures=tally.failures,
            incumbent_failures=tally.incumbent_failures,
            log_e=self._claim.log_block(tally),
        )

    def _suspects(self, cases: Mapping[str, CaseCount]) -> tuple[Suspect, ...]:
        log_e = {case: count.log_e for case, count in cases.items()}
        listed = e_bh(log_e, family=self._size)
        worst = sorted((c for c in cases if log_e[c] > 0), key=lambda c: -log_e[c])
        return tuple(
            Suspect(
                case=case,
                slice="",
                n=cases[case].n,
                failures=cases[case].failures,
                log_e=log_e[case],
                listed=case in listed,
            )
            for case in worst
        )

    def _decide(self, status: Status, round_: int) -> None:
        self.status = status
        self._mark(round_)

    def _mark(self, round_: int) -> None:
        point = PathPoint(
            n=self._total.n,
            round=round_,
            failures=self._total.failures,
            block=self._track.log_block(),
            accept=self._track.log_accept,
        )
        self._path.append(point)
