"""The evidence of a run: what a promotion gate reads, addressed by its digest."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..contract._digest import canonical, digest_of
from ..store import EvidenceRow, Signature
from ._record import read_record, row_of
from ._report import AssertionReport, Report
from ._types import Status, Verdict

__all__ = ["AssertionEvidence", "Evidence"]

_FORMAT: Final = 1
_LARGEST: Final = 1e9
"""Stands for an infinite logarithm, which JSON cannot write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssertionEvidence:
    """One assertion in the record; see `AssertionReport` for the fields."""

    name: str
    kind: str
    status: Status
    n: int
    failures: int
    incumbent_n: int
    incumbent_failures: int
    tolerate: float
    unacceptable: float
    relative: bool
    per_prompt: bool
    scope: str
    gating: bool
    detector: str
    log_block: float
    log_accept: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A verdict with everything that says how far it carries.

    Attributes:
        function: Qualified name of the guarded function.
        suite: Name of the suite.
        suite_digest: Of cases, assertions, rates and detectors.
        pin: Id of the candidate's pin.
        pin_digest: `Pin.identity` of it: what decides its behaviour.
        incumbent_pin: Id of the version it was compared with; empty for none.
        incumbent_digest: `Pin.identity` of it.
        verdict: What the run says.
        reason: One sentence on what decided.
        seed: Seed of the dispatch order.
        order_digest: Digest of the order in which calls were sent.
        alpha: Chance of blocking a version within every tolerance.
        beta: Chance, per assertion, of accepting an unacceptable one.
        cases: Number of cases.
        rounds: Rounds begun.
        calls: Calls of both arms.
        infrastructure: Calls that said nothing about behaviour.
        assertions: All of them, sorted by name.
        journal_digest: Digest of the journal; empty when none was kept.
        llmguard: Version of this package.
        at: Epoch seconds when the run ended.
        format: Version of this document.
    """

    function: str
    suite: str
    suite_digest: str
    pin: str
    pin_digest: str
    incumbent_pin: str = ""
    incumbent_digest: str = ""
    verdict: Verdict
    reason: str = ""
    seed: int
    order_digest: str
    alpha: float
    beta: float
    cases: int
    rounds: int
    calls: int
    infrastructure: int = 0
    assertions: tuple[AssertionEvidence, ...]
    journal_digest: str = ""
    llmguard: str
    at: float
    format: int = _FORMAT

    @property
    def body(self) -> str:
        """Canonical JSON: the bytes that the digest, and a signature, stand for."""
        return canonical(dataclasses.asdict(self))

    @property
    def digest(self) -> str:
        """`sha256:` and the digest of `body`: its address."""
        return digest_of(dataclasses.asdict(self))

    @classmethod
    def of(
        cls,
        report: Report,
        *,
        pin_digest: str,
        order_digest: str,
        incumbent_digest: str = "",
        journal_digest: str = "",
    ) -> Evidence:
        """Make the record of a finished run.

        Args:
            report: The run's report.
            pin_digest: `Pin.identity` of the candidate.
            order_digest: Digest of the dispatch order.
            incumbent_digest: `Pin.identity` of the incumbent.
            journal_digest: Digest of the journal's bytes.
        """
        incumbent = report.incumbent
        return cls(
            function=report.function,
            suite=report.suite,
            suite_digest=report.suite_digest,
            pin=report.candidate.pin,
            pin_digest=pin_digest,
            incumbent_pin=incumbent.pin if incumbent else "",
            incumbent_digest=incumbent_digest,
            verdict=report.verdict,
            reason=report.reason,
            seed=report.seed,
            order_digest=order_digest,
            alpha=report.alpha,
            beta=report.beta,
            cases=report.cases,
            rounds=report.rounds,
            calls=report.calls,
            infrastructure=sum(report.infrastructure.values()),
            assertions=tuple(
                sorted(map(_assertion, report.assertions), key=lambda one: one.name)
            ),
            journal_digest=journal_digest,
            llmguard=report.llmguard,
            at=report.started + report.elapsed,
        )

    @classmethod
    def load(cls, body: str) -> Evidence:
        """Read a record back.

        Raises:
            ConfigError: It is no evidence, or of a newer format.
        """

        def make(data: dict[str, Any]) -> Evidence:
            rows = [
                AssertionEvidence(**(row | {"status": Status(row["status"])}))
                for row in data["assertions"]
            ]
            known: dict[str, Any] = {
                "verdict": Verdict(data["verdict"]),
                "assertions": tuple(rows),
            }
            return cls(**(data | known))

        return read_record(
            body, make, kind="suite", version=_FORMAT, command="llmguard suite run"
        )

    def row(self, *, signatures: tuple[Signature, ...] = ()) -> EvidenceRow:
        """Return the row that `EvidenceStore.put_evidence` keeps."""
        return row_of(
            self,
            kind="suite",
            subject=self.suite_digest,
            verdict=self.verdict.value,
            signatures=signatures,
        )


def _assertion(report: AssertionReport) -> AssertionEvidence:
    names = {field.name for field in dataclasses.fields(AssertionEvidence)}
    given: Mapping[str, Any] = {name: getattr(report, name) for name in names}
    logs = {
        name: round(max(min(given[name], _LARGEST), -_LARGEST), 6)
        for name in ("log_block", "log_accept")
    }
    return AssertionEvidence(**{**given, **logs})
