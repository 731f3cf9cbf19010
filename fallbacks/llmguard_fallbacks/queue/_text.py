"""Tickets as plain text that is read at three in the morning."""

from __future__ import annotations

import dataclasses
import json
import math
import shlex
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import cast

from llmguard.store import (
    CLOSED,
    LATE_CAP,
    QueueStats,
    TicketEvent,
    TicketRecord,
    TicketState,
)

from ._fields import describe, example, fields_of

__all__ = [
    "aligned",
    "as_json",
    "clock",
    "next_steps",
    "safe",
    "span",
    "stats_table",
    "table",
    "ticket",
]

_WIDE = 60
_MEASURES = (
    "OLDEST", "LATE", "TO CLAIM", "TO CLOSE", "LEASES LOST", "CALLBACKS DUE",
    "GIVEN UP",
)  # fmt: skip


def as_json(record: TicketRecord, *, reviewer: str = "") -> dict[str, object]:
    """Return a ticket as JSON; the lease token is for its holder only."""
    fields = dataclasses.asdict(record)
    fields["agreement"] = record.agreement.to_json()
    fields["expiry"] = record.expiry.to_json()
    if record.claimed_by != reviewer or not reviewer:
        del fields["lease_token"]
    return fields


def safe(text: str) -> str:
    """Make control and direction characters visible; a ticket must not drive a tty."""
    return "".join(
        one
        if one.isprintable() or one in "\n\t"
        else one.encode("unicode_escape", "surrogatepass").decode("ascii")
        for one in text
    )


def span(seconds: float) -> str:
    """Return a length of time in its largest fitting unit."""
    if not math.isfinite(seconds):
        return "ever"
    seconds = round(seconds)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if abs(seconds) >= size:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds}s"


def _due(due_at: float | None, now: float) -> str:
    if due_at is None:
        return "-"
    return f"in {span(due_at - now)}" if due_at >= now else f"{span(now - due_at)} late"


def _why(record: TicketRecord) -> str:
    """Return how each tier ended, in order; `queue show` has every try."""
    ends = {str(one.get("tier")): str(one.get("kind")) for one in record.reasons}
    return ", ".join(f"{tier}: {kind}" for tier, kind in ends.items()) or "-"


def _line(text: str, width: int = _WIDE) -> str:
    text = safe(" ".join(text.split()))
    return text if len(text) <= width else text[: width - 3] + "..."


def table(records: Sequence[TicketRecord], now: float) -> str:
    """Return one line per ticket."""
    rows = [("ID", "STATE", "PRI", "DUE", "AGE", "QUEUE", "WITH", "WHY", "WHAT")]
    rows += [
        (
            one.id,
            str(one.state),
            str(one.priority),
            "-" if one.state in CLOSED else _due(one.due_at, now),
            span(now - one.created_at),
            one.queue,
            safe(one.closed_by or one.claimed_by) or "-",
            _line(_why(one), 60),
            _line(one.title or _summary(one.inputs), 48),
        )
        for one in records
    ]
    return aligned(rows)


def _summary(inputs: Mapping[str, object]) -> str:
    first = next(iter(inputs.values()), "")
    return first if isinstance(first, str) else json.dumps(first)


def stats_table(stats: Sequence[QueueStats]) -> str:
    """Return one line per queue."""
    head = ["QUEUE", *(str(state).upper() for state in TicketState)]
    rows = [(*head, *_MEASURES)]
    rows += [
        (
            one.queue,
            *(str(one.counts.get(state, 0)) for state in TicketState),
            _optional(one.oldest),
            f"{one.late}+" if one.late >= LATE_CAP else str(one.late),
            _optional(one.to_claim),
            _optional(one.to_close),
            str(one.lease_losses),
            str(one.callbacks_due),
            str(one.callbacks_dead),
        )
        for one in stats
    ]
    return aligned(rows)


def _optional(seconds: float | None) -> str:
    return "-" if seconds is None else span(seconds)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as columns."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    )


def ticket(record: TicketRecord, events: Iterable[TicketEvent], now: float) -> str:
    """Return everything a reviewer needs about one ticket."""
    blocks = [
        ("", _facts(record, now)),
        ("Why it is here", _reasons(record)),
        ("Instructions", _text(record.instructions)),
        ("Input", _values(record.inputs)),
        ("Proposed", _proposed(record)),
        ("Answer", _values(record.answer) if record.answered else ()),
        ("Fields of the answer", _fields(record)),
        ("History", _history(events)),
    ]
    return "\n".join(
        line
        for title, lines in blocks
        for found in [list(lines)]
        if found
        for line in ([f"\n{title}"] if title else []) + [f"  {one}" for one in found]
    )


def _facts(record: TicketRecord, now: float) -> Iterator[str]:
    yield f"ticket    {record.id}"
    yield f"state     {record.state}" + (
        f": {safe(record.note)}" if record.note else ""
    )
    yield f"queue     {record.queue}, priority {record.priority}" + (
        f", role {record.role}" if record.role else ""
    )
    if record.assignee:
        yield f"kept for  {safe(record.assignee)}"
    if record.reviewers > 1:
        decides = ", the next answer decides" if record.adjudicating else ""
        yield (
            f"review    {record.opinions} of {record.reviewers} independent answers"
            f"{decides}"
        )
    yield (
        f"asked     {clock(record.created_at)}, {span(now - record.created_at)} ago, "
        f"by {safe(record.function) or 'a caller'}"
        + (f" and {record.waiters - 1} more" if record.waiters > 1 else "")
    )
    if record.due_at is not None:
        yield f"due       {clock(record.due_at)}, {_due(record.due_at, now)}"
    if record.expires_at is not None:
        yield f"expires   {clock(record.expires_at)}, {_due(record.expires_at, now)}"
    if record.state is TicketState.CLAIMED and record.lease_until is not None:
        end, left = clock(record.lease_until), _due(record.lease_until, now)
        yield f"held by   {safe(record.claimed_by)} until {end}, {left}"
    if record.closed_by:
        yield f"closed    {clock(record.closed_at or 0.0)} by {safe(record.closed_by)}"


def clock(at: float) -> str:
    """Return a time of this machine's zone."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
    except (OSError, OverflowError, ValueError):  # beyond the calendar
        return "never" if at > 0 else "long ago"


def _reasons(record: TicketRecord) -> Iterator[str]:
    for number, reason in enumerate(record.reasons, start=1):
        pin = f" on {reason['pin']}" if reason.get("pin") else ""
        detail = _line(str(reason.get("detail") or ""), 100)
        yield safe(f"{number}. {reason.get('tier')}{pin}: {reason.get('kind')}") + (
            f", {detail}" if detail else ""
        )
        found = cast("Sequence[Mapping[str, object]]", reason.get("violations") or ())
        for one in found:
            words = one.get("message") or one.get("check")
            yield "   " + safe(f"{one.get('path') or '(whole answer)'}: {words}")


def _proposed(record: TicketRecord) -> Iterator[str]:
    for one in record.outputs:
        if not isinstance(one, Mapping):
            continue
        said = cast("Mapping[str, object]", one)
        sure = said.get("confidence")
        sure = f", confidence {sure:.3f}" if isinstance(sure, float) else ""
        yield safe(f"{said.get('tier')}: {said.get('kind')}{sure}")
        shown = said.get("value", said.get("text", "(hidden)"))
        yield from (f"  {line}" for line in _value_lines(shown))


def _text(text: str) -> Iterator[str]:
    yield from safe(text).splitlines()


def _values(value: object) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield from _value_lines(value)
        return
    for name, part in cast("Mapping[str, object]", value).items():
        first, *rest = list(_value_lines(part)) or [""]
        yield f"{safe(name)}: {first}"
        yield from (f"  {line}" for line in rest)


def _value_lines(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield from safe(value).splitlines()
    else:
        yield from safe(json.dumps(value, indent=2, ensure_ascii=False)).splitlines()


def _fields(record: TicketRecord) -> Iterator[str]:
    if record.schema is None or record.answered:
        return
    fields = fields_of(record.schema)
    required = cast("Sequence[str]", record.schema.get("required") or ())
    width = max((len(name) for name in fields), default=0)
    for name, part in fields.items():
        must = "" if name in required else ", optional"
        words = safe(describe(part, record.schema))
        yield f"{safe(name).ljust(width)}  {words}{must}"
    if not fields:
        yield safe(describe(record.schema, record.schema))


def _history(events: Iterable[TicketEvent]) -> Iterator[str]:
    for one in events:
        detail = f", {_line(one.detail)}" if one.detail else ""
        yield f"{clock(one.at)}  {one.event} by {safe(one.actor)}{detail}"


def next_steps(record: TicketRecord, *, token: str = "") -> str:
    """Return the commands that can follow, ready to edit and run."""
    base = f"{record.id} --token {token}" if token else record.id
    fields = fields_of(record.schema)
    given = " ".join(
        f"--field {shlex.quote(f'{name}={example(part, record.schema or {})}')}"
        for name, part in fields.items()
    )
    lines = [
        f"llmguard queue answer {base} {given or '--value ...'}",
        f"llmguard queue reject {base} --reason ...",
    ]
    if token:
        lines.append(f"llmguard queue skip {base} --reason ...")
        lines.append(f"llmguard queue release {base}")
    else:
        lines.insert(0, f"llmguard queue claim {record.id}")
    return "\nNext\n" + "\n".join(f"  {line}" for line in lines)
