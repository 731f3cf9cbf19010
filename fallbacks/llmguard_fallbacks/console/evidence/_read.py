"""Stored evidence and shadow runs, for pages."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from llmguard.errors import ConfigError
from llmguard.pins import evidence_about
from llmguard.shadow import ShadowEvidence
from llmguard.shadow.live import ShadowStatus, status_of
from llmguard.suite import Evidence

if TYPE_CHECKING:
    from llmguard.pins import Lock
    from llmguard.store import EvidenceRow, ShadowRun, Store

__all__ = [
    "EvidenceLine",
    "EvidenceList",
    "OpenDocument",
    "ShadowLine",
    "evidence_list",
    "open_document",
]

_MOST = 100
_RUNS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceLine:
    """One stored document in a list.

    Attributes:
        digest: Its digest.
        kind: `suite`, `shadow`, or what wrote it.
        function: Qualified name.
        pin: Id of the version that it is about.
        incumbent: Id of the one it was compared with; empty for none.
        verdict: What it says.
        reason: One sentence.
        at: Epoch seconds.
        signers: Who signed it.
    """

    digest: str
    kind: str
    function: str
    pin: str
    incumbent: str
    verdict: str
    reason: str
    at: float
    signers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowLine:
    """One shadow run in a list.

    Attributes:
        run: The run.
        status: How it stands; None when its options cannot be read here.
    """

    run: ShadowRun
    status: ShadowStatus | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceList:
    """What the page of suites and shadows shows first.

    Attributes:
        documents: Evidence, the newest first.
        shadows: Shadow runs, those that run first, then the newest.
        functions: What can be chosen.
        routes: What shadows can be chosen by.
    """

    documents: tuple[EvidenceLine, ...]
    shadows: tuple[ShadowLine, ...]
    functions: tuple[str, ...]
    routes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDocument:
    """One document, read.

    Attributes:
        line: What a list says of it.
        row: As it is stored.
        suite: A suite's evidence, else None.
        shadow: A shadow's evidence, else None.
        problem: Why it could not be read; empty when it could.
    """

    line: EvidenceLine
    row: EvidenceRow
    suite: Evidence | None = None
    shadow: ShadowEvidence | None = None
    problem: str = ""


def evidence_list(
    store: Store,
    env: str,
    *,
    lock: Lock | None,
    now: float,
    function: str = "",
    pin: str = "",
    kind: str = "",
    route: str = "",
) -> EvidenceList:
    """Read what there is.

    Args:
        store: The store.
        env: Environment, for shadows; evidence has none.
        lock: What may run: evidence knows versions by what decides their behaviour.
        now: Epoch seconds.
        function: Only about this function.
        pin: Only about this version.
        kind: `suite`, `shadow`, or empty for both.
        route: Only shadows beside this route; evidence names functions, not routes.
    """
    known = lock.pins.get(pin) if lock and pin else None
    subject = function or None
    rows = (
        evidence_about(store, known, function=subject, limit=_MOST)
        if known
        else store.list_evidence(function=subject, limit=_MOST)
    )
    lines = [_line(row) for row in rows]
    shown = [
        line
        for line in lines
        if kind in {"", line.kind} and (not pin or line.pin == pin)
    ]
    runs = store.shadow.runs(env=env, limit=_RUNS)
    shadows = [
        _shadow(store, run, now)
        for run in sorted(runs, key=lambda one: (not one.running, -one.started_at))
        if pin in {"", run.pin} and kind in {"", "shadow"}
        if route in {"", run.subject}
    ]
    return EvidenceList(
        documents=tuple(shown),
        shadows=tuple(shadows),
        functions=tuple(sorted({line.function for line in lines} | {function} - {""})),
        routes=tuple(sorted({run.subject for run in runs})),
    )


def open_document(store: Store, digest: str) -> OpenDocument | None:
    """Read one document; None when the store does not have it."""
    row = store.get_evidence(digest)
    if row is None:
        return None
    line = _line(row)
    try:
        if row.kind == "suite":
            return OpenDocument(line=line, row=row, suite=Evidence.load(row.body))
        if row.kind == "shadow":
            found = ShadowEvidence.load(row.body)
            return OpenDocument(line=line, row=row, shadow=found)
    except ConfigError as error:
        return OpenDocument(line=line, row=row, problem=str(error))
    return OpenDocument(line=line, row=row)


def _line(row: EvidenceRow) -> EvidenceLine:
    body = _body(row.body)
    return EvidenceLine(
        digest=row.digest,
        kind=row.kind,
        function=row.function,
        pin=str(body.get("pin") or ""),
        incumbent=str(body.get("incumbent_pin") or ""),
        verdict=row.verdict,
        reason=str(body.get("reason") or ""),
        at=row.at,
        signers=tuple(one.signer for one in row.signatures),
    )


def _body(text: str) -> dict[str, Any]:
    try:
        found: object = json.loads(text)
    except ValueError:
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _shadow(store: Store, run: ShadowRun, now: float) -> ShadowLine:
    try:
        return ShadowLine(run=run, status=status_of(store, run, now=now))
    except ConfigError:  # options of another version
        return ShadowLine(run=run, status=None)
