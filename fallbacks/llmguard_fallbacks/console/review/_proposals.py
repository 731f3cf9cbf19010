"""What tiers proposed, and how far each proposal is from an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from llmguard.store import TicketRecord, answer_violations

__all__ = ["Proposal", "Reason", "best", "proposals", "reasons"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """An answer that some tier gave, which the chain did not return.

    Attributes:
        number: Its place, from 0; how pages and posts name it.
        tier: Who proposed it; empty when nobody said.
        pin: The version that did.
        kind: Why it was not returned, such as `schema`.
        confidence: In [0, 1], or None.
        value: The JSON value; only when `usable`.
        usable: Whether it is a value at all; else `text` has what came.
        text: What came instead of a value.
        wrong: What the schema of the answer says against it; empty for one that could
            be accepted as it is.
    """

    number: int
    tier: str
    pin: str
    kind: str
    confidence: float | None
    value: object
    usable: bool
    text: str
    wrong: tuple[str, ...]

    @property
    def acceptable(self) -> bool:
        """Whether it is a whole answer."""
        return self.usable and not self.wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why one tier did not answer."""

    tier: str
    kind: str
    pin: str
    detail: str
    violations: tuple[tuple[str, str], ...]


def proposals(record: TicketRecord) -> tuple[Proposal, ...]:
    """Return what upper tiers proposed, in their order."""
    return tuple(
        _proposal(record, number, given) for number, given in enumerate(record.outputs)
    )


def _proposal(record: TicketRecord, number: int, given: object) -> Proposal:
    said: Mapping[str, object] = {"value": given}
    if isinstance(given, dict):
        named = cast("dict[str, object]", given)
        if "tier" in named and named.keys() & {"attempt", "value", "text"}:
            said = named
    usable, value = "value" in said, said.get("value")
    wrong: tuple[str, ...] = ()
    if usable and record.schema is not None:
        found = answer_violations(record.schema, value)
        wrong = tuple(f"{one.path or 'the answer'}: {one.message}" for one in found)
    confidence = said.get("confidence")
    return Proposal(
        number=number,
        tier=str(said.get("tier") or ""),
        pin=str(said.get("pin") or ""),
        kind=str(said.get("kind") or ""),
        confidence=confidence if isinstance(confidence, (int, float)) else None,
        value=value,
        usable=usable,
        text=str(said.get("text") or ""),
        wrong=wrong,
    )


def best(found: Sequence[Proposal]) -> Proposal | None:
    """Return the proposal that needs least correction; of equals the latest."""
    usable = [one for one in found if one.usable]
    return min(usable, key=lambda one: (len(one.wrong), -one.number), default=None)


def reasons(record: TicketRecord, *, hidden: bool = False) -> tuple[Reason, ...]:
    """Return why each upper tier failed.

    Args:
        record: The ticket.
        hidden: Leave out sentences, which may quote what a tier said.
    """
    return tuple(_reason(one, hidden=hidden) for one in record.reasons)


def _reason(given: Mapping[str, object], *, hidden: bool) -> Reason:
    told = cast("Sequence[Mapping[str, object]]", given.get("violations") or ())
    violations = (
        () if hidden else tuple((_text(v, "path"), _text(v, "message")) for v in told)
    )
    return Reason(
        tier=_text(given, "tier"),
        kind=_text(given, "kind"),
        pin=_text(given, "pin"),
        detail="" if hidden else _text(given, "detail"),
        violations=violations,
    )


def _text(given: Mapping[str, object], name: str) -> str:
    return str(given.get(name) or "")
