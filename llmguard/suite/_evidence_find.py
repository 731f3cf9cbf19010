"""Finding evidence that may be relied on, and saying why other evidence may not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ..errors import ConfigError
from ..store import EvidenceRow, EvidenceStore, Signature
from ..store.evidence import each_evidence
from ._evidence import Evidence
from ._types import Verdict

__all__ = ["MAX_AGE", "Found", "Refusal", "find_evidence"]

MAX_AGE: Final = 30 * 86400.0
"""Seconds: providers change what runs behind a name; a month-old verdict is history."""

_FUTURE: Final = 300.0
_SLACK: Final = 1.0
_MOST: Final = 200
"""Documents of any pin that are read to say why they do not count."""
_KINDS: Final = ("suite",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Evidence that may not be relied on, and why not."""

    digest: str
    kind: str
    """`stale`, `foreign`, `tampered` or `unreadable`."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What there is for one version of one function under one suite.

    Attributes:
        evidence: The newest good record; None when there is none. Its verdict may be
            any: a gate promotes on PROMOTE alone.
        signatures: Of that record, unchecked.
        earlier: Older good records, newest first: a PROMOTE after several BLOCKs of
            the same version is a repeated draw, not a proof.
        refused: What was found and not relied on.
    """

    evidence: Evidence | None
    signatures: tuple[Signature, ...] = ()
    earlier: tuple[Evidence, ...] = ()
    refused: tuple[Refusal, ...] = ()

    @property
    def promotes(self) -> bool:
        """True when the newest good record says PROMOTE."""
        return self.evidence is not None and self.evidence.verdict is Verdict.PROMOTE

    @property
    def reason(self) -> str:
        """One sentence on what was found."""
        if self.evidence is not None:
            found = self.evidence
            return f"{found.verdict.value} of suite `{found.suite}`, {found.digest}"
        if self.refused:
            return self.refused[0].reason
        return "no evidence: run `llmguard suite run` with this pin as the candidate"


def find_evidence(
    store: EvidenceStore,
    *,
    function: str,
    pin_digest: str,
    now: float,
    suite_digest: str | None = None,
    max_age: float = MAX_AGE,
) -> Found:
    """Look for evidence about a pin, newest first.

    Args:
        store: Where runs keep their evidence.
        function: Qualified name of the guarded function.
        pin_digest: `Pin.identity`.
        now: Epoch seconds.
        suite_digest: The suite as it is today; None takes any suite's word.
        max_age: Seconds after which a verdict is stale.

    Raises:
        ConfigError: A name is empty.
    """
    if not (function and pin_digest):
        raise ConfigError(
            f"evidence is about a function {function!r} and a pin {pin_digest!r}: give "
            "both"
        )
    wanted = {"function": function, "pin_digest": pin_digest}
    if suite_digest is not None:
        wanted["suite_digest"] = suite_digest
    rows = _rows(store, function, pin_digest, oldest=now - max_age)
    judged = {row: _judge(row, wanted, now, max_age) for row in rows}
    good = [(row, one) for row, one in judged.items() if isinstance(one, Evidence)]
    return Found(
        evidence=good[0][1] if good else None,
        signatures=good[0][0].signatures if good else (),
        earlier=tuple(evidence for _, evidence in good[1:]),
        refused=tuple(one for one in judged.values() if isinstance(one, Refusal)),
    )


def _rows(
    store: EvidenceStore, function: str, pin_digest: str, *, oldest: float
) -> list[EvidenceRow]:
    """Return all that could count, and of the rest what explains that nothing does."""
    mine = each_evidence(
        store,
        function=function,
        pin_digest=pin_digest,
        kinds=_KINDS,
        since=max(0.0, oldest - _SLACK),
    )
    # All pins of the function: a record of another one is the likeliest mistake.
    others = store.list_evidence(function=function, kinds=_KINDS, limit=_MOST)
    found = {row.digest: row for row in (*mine, *others)}
    return sorted(found.values(), key=lambda row: (-row.at, row.digest))


def _judge(
    row: EvidenceRow, wanted: Mapping[str, str], now: float, max_age: float
) -> Evidence | Refusal:
    evidence = _read(row)
    if isinstance(evidence, Refusal):
        return evidence
    return _foreign(evidence, wanted) or _stale(evidence, now, max_age) or evidence


def _read(row: EvidenceRow) -> Evidence | Refusal:
    try:
        evidence = Evidence.load(row.body)
    except ConfigError as error:
        return Refusal(digest=row.digest, kind="unreadable", reason=str(error))
    if evidence.row(signatures=row.signatures) != row:
        return Refusal(
            digest=row.digest,
            kind="tampered",
            reason=f"evidence {row.digest!r} is not what was written (its content has "
            f"the digest {evidence.digest!r}, or the row disagrees with it): do not "
            "rely on this store; run the suite again",
        )
    return evidence


def _foreign(evidence: Evidence, wanted: Mapping[str, str]) -> Refusal | None:
    for name, value in wanted.items():
        has = getattr(evidence, name)
        if has != value:
            return Refusal(
                digest=evidence.digest,
                kind="foreign",
                reason=f"evidence {evidence.digest!r} is about another "
                f"{name.replace('_', ' ')}: {has!r}, not {value!r}; run the suite as "
                "it is now against this pin",
            )
    return None


def _stale(evidence: Evidence, now: float, max_age: float) -> Refusal | None:
    age = now - evidence.at
    if -_FUTURE <= age <= max_age:
        return None
    reason = (
        f"is {age / 86400:.1f} days old, at most {max_age / 86400:g} are allowed; run "
        "the suite again"
        if age > 0
        else f"is dated in the future ({evidence.at!r}, now {now!r}); set the clock of "
        "the machine that wrote it"
    )
    return Refusal(
        digest=evidence.digest,
        kind="stale",
        reason=f"evidence {evidence.digest!r} {reason}",
    )
