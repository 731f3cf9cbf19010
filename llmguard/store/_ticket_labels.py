"""What an answer says of the tiers that proposed others, kept with the answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, cast

from ._database import Connection
from ._ticket_rows import encode
from .tickets import TicketRecord

__all__ = ["differences", "learn"]

_MOST: Final = 50
_MISSING: Final = object()
_LABEL: Final = (
    "INSERT INTO ticket_labels VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (ticket_id, place) DO NOTHING"
)
_CASE: Final = (
    "INSERT INTO ticket_cases (ticket_id, state, at, function) "
    "VALUES (?, 'proposed', ?, ?) ON CONFLICT (ticket_id) DO NOTHING"
)


def learn(connection: Connection, ticket: TicketRecord, now: float) -> None:
    """Label what was proposed, and propose a case unless the last tier was right."""
    if not ticket.function:
        return
    agrees = False
    for place, one in enumerate(ticket.outputs):
        if not isinstance(one, Mapping):
            continue
        found = cast("Mapping[str, Any]", one)
        if "value" not in found and "text" not in found:
            continue
        said = found["value"] if "value" in found else found["text"]
        differs = differences(said, ticket.answer)
        agrees = not differs
        connection.execute(
            _LABEL,
            (
                ticket.id,
                place,
                now,
                ticket.function,
                str(found.get("pin") or ""),
                str(found.get("tier") or ""),
                str(found.get("kind") or ""),
                found.get("confidence"),
                int(agrees),
                encode(differs),
            ),
        )
    if not agrees:
        connection.execute(_CASE, (ticket.id, now, ticket.function))


def differences(left: object, right: object) -> list[str]:
    """Return the JSON pointers at which two JSON values differ, 50 at most.

    Where lists differ in length, the list is named; 1 and 1.0 do not differ.
    """
    return list(islice(_differences(left, right, ""), _MOST))


def _differences(left: object, right: object, path: str) -> Iterator[str]:
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        mine = cast("Mapping[str, object]", left)
        theirs = cast("Mapping[str, object]", right)
        for name in dict.fromkeys((*mine, *theirs)):
            here = f"{path}/{name.replace('~', '~0').replace('/', '~1')}"
            yield from _differences(
                mine.get(name, _MISSING), theirs.get(name, _MISSING), here
            )
    elif isinstance(left, list) and isinstance(right, list):
        ours, others = cast("Sequence[object]", left), cast("Sequence[object]", right)
        if len(ours) != len(others):
            yield path
            return
        for place, (one, two) in enumerate(zip(ours, others, strict=True)):
            yield from _differences(one, two, f"{path}/{place}")
    elif isinstance(left, bool) is not isinstance(right, bool) or left != right:
        yield path
