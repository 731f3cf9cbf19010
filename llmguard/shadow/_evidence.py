"""The evidence of a shadow run: what a gate reads, addressed by its digest."""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass
from typing import Any, Final

from ..contract._digest import canonical, digest_of
from ..store import EvidenceRow, Signature
from ..suite._record import read_record, row_of

__all__ = ["Figure", "ShadowEvidence", "ShadowVerdict"]

_FORMAT: Final = 1


class ShadowVerdict(enum.StrEnum):
    """What a shadow run says about promoting the challenger."""

    PROMOTE = "PROMOTE"
    """A divergence beyond what is tolerated has been refuted."""
    BLOCK = "BLOCK"
    """An alarm: the challenger behaves otherwise, beyond the noise and the margin."""
    UNDECIDED = "UNDECIDED"
    """Neither; more requests are needed, and the reason says how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A share of requests, or a difference of shares, with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowEvidence:
    """A verdict with everything that says how far it carries.

    Attributes:
        function: Qualified name of the guarded function, or the name of the recording.
        pin: Id of the challenger's pin.
        pin_digest: `Pin.identity` of it: what decides its behaviour.
        incumbent_pin: Id of the incumbent's pin.
        incumbent_digest: `Pin.identity` of it.
        verdict: What the run says.
        reason: One sentence on what decided.
        source: `live`, or `recorded` for files.
        ladder_digest: Digest of the ladder that compared.
        content_digest: Digest of the tally: all counts that the figures come from.
        requests: Requests compared.
        doubled: Those on which the incumbent was drawn twice.
        raw: Share of requests on which the versions differ, rungs 1 to 4.
        floor: Share on which the incumbent differs from itself; None if never drawn
            twice.
        net: Raw less floor; None without a floor.
        excess: Raw less half of either version's own noise; None without both.
        e_value: Evidence against "nothing changed"; at most 1e300.
        alarms: What raised the alarm, one phrase each.
        worst: The stratum that diverges most, empty for a single one.
        lost: Draws that could not be compared, both versions.
        started: Epoch seconds of the first request; 0 when not known.
        at: Epoch seconds when the report was made.
        llmguard: Version of this package.
        kind: Always `shadow`.
        format: Version of this document.
    """

    function: str
    pin: str
    pin_digest: str
    incumbent_pin: str
    incumbent_digest: str
    verdict: ShadowVerdict
    reason: str
    source: str
    ladder_digest: str
    content_digest: str
    requests: int
    doubled: int
    raw: Figure
    floor: Figure | None = None
    net: Figure | None = None
    excess: Figure | None = None
    e_value: float
    alarms: tuple[str, ...] = ()
    worst: str = ""
    lost: int = 0
    started: float = 0.0
    at: float
    llmguard: str
    kind: str = "shadow"
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
    def load(cls, body: str) -> ShadowEvidence:
        """Read a record back.

        Raises:
            ConfigError: It is no shadow evidence, or of a newer format.
        """

        def make(data: dict[str, Any]) -> ShadowEvidence:
            if data["kind"] != "shadow":
                raise TypeError(f"its kind is {data['kind']!r}")
            for name in ("raw", "floor", "net", "excess"):
                given = data[name]
                data[name] = None if given is None else Figure(**given)
            data["verdict"] = ShadowVerdict(data["verdict"])
            data["alarms"] = tuple(data["alarms"])
            return cls(**data)

        return read_record(
            body,
            make,
            kind="shadow",
            version=_FORMAT,
            command="llmguard shadow compare --evidence",
        )

    def row(self, *, signatures: tuple[Signature, ...] = ()) -> EvidenceRow:
        """Return the row that `EvidenceStore.put_evidence` keeps."""
        return row_of(
            self,
            kind="shadow",
            subject=self.ladder_digest,
            verdict=self.verdict.value,
            signatures=signatures,
        )
