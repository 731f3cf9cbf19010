"""What happened around an upgrade, in order: ledger, evidence, events."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from ...errors import ConfigError
from ...pins import Pin, evidence_about
from ...promotion._history import approvers, sentence
from ...store import Entry, Event, EvidenceRow, Store
from ...suite import Evidence
from ._upgrades import Upgrade

__all__ = ["Moment", "detection", "evidence_of", "timeline", "told"]

_BEFORE: Final = 3600.0
_AFTER: Final = 86_400.0
_LOOK_BACK: Final = 30 * 86_400.0
_LEDGER: Final = ("promotion.", "rollback.", "quarantine.")
_TRIPS: Final = ("alert.page", "alert.warning", "alarm.", "breaker.", "echo.", "probe.")
_LONGEST: Final = 400
_TOLD: Final = ("suite", "shadow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One line of a timeline.

    Attributes:
        at: Epoch seconds.
        kind: `ledger`, `evidence`, or the kind of the event.
        pin: The version it is about; empty for none.
        text: What happened.
    """

    at: float
    kind: str
    pin: str
    text: str


def evidence_of(store: Store, upgrade: Upgrade, pin: Pin | None) -> list[EvidenceRow]:
    """Return what its entries rest on, and what else is about the version.

    Args:
        store: The store.
        upgrade: The upgrade.
        pin: The version; None when the lock lost it.
    """
    digests = {digest for entry in upgrade.entries for digest in entry.evidence}
    rows = [store.get_evidence(digest) for digest in sorted(digests)]
    if pin is not None:
        until = upgrade.ended or float("inf")
        since = upgrade.began - _LOOK_BACK
        more = evidence_about(store, pin, kinds=_TOLD, since=since)
        rows += [row for row in more if row.at <= until]
    found = {row.digest: row for row in rows if row is not None}
    return sorted(found.values(), key=lambda row: row.at)


def timeline(
    store: Store, upgrade: Upgrade, evidence: Sequence[EvidenceRow], *, now: float
) -> list[Moment]:
    """Return everything known around an upgrade, from an hour before to a day after."""
    since, until = upgrade.began - _BEFORE, (upgrade.ended or now) + _AFTER
    found = [*_ledger(upgrade.entries), *_evidence(upgrade, evidence)]
    found += [
        Moment(at=one.at, kind=one.kind, pin=one.pin, text=told(one))
        for one in _events(store, upgrade, since, until)
        if not one.kind.startswith(_LEDGER)
    ]
    return sorted(found, key=lambda one: (one.at, one.kind != "ledger"))


def detection(moments: Sequence[Moment], upgrade: Upgrade) -> Moment | None:
    """Return the first sign that the version was bad, after users met it."""
    for one in moments:
        told = one.kind.startswith(_TRIPS) and one.pin == upgrade.pin
        if told and one.at >= upgrade.exposed:
            return one
    return None


def _events(store: Store, upgrade: Upgrade, since: float, until: float) -> list[Event]:
    """Return the route's events, and those of its versions that name no route."""
    found: dict[int, Event] = {}
    names: list[Mapping[str, Any]] = [{"route": upgrade.route}]
    names += [{"pin": pin} for pin in (upgrade.pin, upgrade.incumbent) if pin]
    for name in names:
        rows = store.events.list(env=upgrade.env, since=since, until=until, **name)
        found |= {one.seq: one for one in rows}
    return [found[seq] for seq in sorted(found)]


def _ledger(entries: Sequence[Entry]) -> Iterator[Moment]:
    for entry in entries:
        signed = approvers(entry)
        text = f"r{entry.rev}: {sentence(entry)}, by {entry.actor}"
        text += f" ({entry.reason})" if entry.reason else ""
        text += f"; approved by {', '.join(signed)}" if signed else ""
        yield Moment(at=entry.at, kind="ledger", pin=entry.pin, text=text)


def _evidence(upgrade: Upgrade, found: Sequence[EvidenceRow]) -> Iterator[Moment]:
    """Tell the documents, and which of those it rests on are not in the store."""
    digests = {digest for entry in upgrade.entries for digest in entry.evidence}
    for digest in sorted(digests - {row.digest for row in found}):
        text = f"{digest} was evidence and is not in this store"
        yield Moment(at=upgrade.began, kind="evidence", pin=upgrade.pin, text=text)
    for row in found:
        text = f"{row.kind} {row.verdict}: {_said(row)}"
        yield Moment(at=row.at, kind="evidence", pin=upgrade.pin, text=text)


def _said(row: EvidenceRow) -> str:
    """Say what a document says, the slice that diverges most included."""
    try:
        if row.kind == "suite":
            suite = Evidence.load(row.body)
            return f"suite {suite.suite!r}, {suite.calls} calls: {suite.reason}"
        # Others are read as they lie: what wrote them is no part of the monitor.
        body: dict[str, Any] = json.loads(row.body)
    except (ConfigError, ValueError) as error:
        return str(error)
    worst = f"; worst in {body['worst']!r}" if body.get("worst") else ""
    return f"{body.get('reason') or row.subject}{worst}"


def told(event: Event) -> str:
    """Put an event into one line: its evidence, or what its detail holds."""
    detail = event.detail
    if "evidence" in detail:
        text = f"{detail.get('signal', '')}: {detail['evidence']}"
    elif event.kind in {"alarm.drift", "alarm.inputs"}:
        text = _drift(detail)
    else:
        text = ", ".join(
            f"{key} {_short(value)}"
            for key, value in detail.items()
            if value not in ("", None, [], {})
        )
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)


def _drift(detail: Mapping[str, object]) -> str:
    moved = cast("Sequence[Mapping[str, object]]", detail.get("shifts") or ())
    shifts = ", ".join(
        f"{one.get('name')} {one.get('before')} -> {one.get('now')}" for one in moved
    )
    text = (
        f"family {detail.get('family')} after output {detail.get('output')}, statistic "
        f"{detail.get('statistic')} over {detail.get('threshold')}: {shifts}"
    )
    return f"{text}; other inputs may explain it" if detail.get("confounded") else text
