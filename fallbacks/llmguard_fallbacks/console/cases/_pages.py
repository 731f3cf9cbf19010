"""What became of answers as examples: proposed, accepted, dismissed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast
from urllib.parse import urlencode

from llmguard.store import (
    CaseState,
    ProposedCase,
    TicketUnknownError,
)
from llmguard.store.answers import encode_answer

from .._problems import RefusedError
from .._visit import Visit, require
from ..review import Proposal, proposals

if TYPE_CHECKING:
    from starlette.responses import Response

__all__ = ["cases_page", "decide"]

_STATES: Final[Mapping[str, CaseState]] = {
    "proposed": "proposed",
    "accepted": "accepted",
    "dismissed": "dismissed",
}
_PAGE: Final = 25
_LONGEST: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A case, with what the tiers had proposed instead."""

    case: ProposedCase
    answered_by: str
    proposals: tuple[Proposal, ...]


@require("review")
def cases_page(visit: Visit) -> Response:
    """Show the cases that wait for a decision, or were decided."""
    return _page(visit)


def _page(visit: Visit, *, wrong: str = "", at: str = "") -> Response:
    state = _STATES.get(visit.query("state"), "proposed")
    found = visit.store.feedback.cases(
        state=state,
        function=visit.query("function") or None,
        roles=visit.principal.roles,
        limit=_PAGE + 1,
    )
    shown = [_shown(visit, case) for case in found[:_PAGE]]
    return visit.render(
        "cases/list.html",
        status=422 if wrong else 200,
        cases=shown,
        more=len(found) > _PAGE,
        states=tuple(_STATES),
        state=state,
        function=visit.query("function"),
        decides=visit.principal.may("approve"),
        done=visit.query("done"),
        wrong=wrong,
        at=at,
    )


def _shown(visit: Visit, case: ProposedCase) -> Shown:
    record = visit.store.tickets.get(case.ticket_id)
    return Shown(case=case, answered_by=record.closed_by, proposals=proposals(record))


@require("approve")
def decide(visit: Visit) -> Response:
    """Accept or dismiss a case."""
    ticket_id, state = visit.param("ticket_id"), _STATES.get(visit.posted("decide"))
    if state is None:
        raise RefusedError(422, "accept or dismiss it", code="state")
    try:
        record = visit.store.tickets.get(ticket_id)
    except TicketUnknownError:
        raise RefusedError(404, "there is no such case", code="unknown") from None
    if not visit.principal.sees(record.role):
        raise RefusedError(403, "its ticket is for another role", code="role_needed")
    inputs: dict[str, object] | None = None
    if text := visit.posted("inputs").strip():
        try:
            inputs = _object(text)
        except ValueError as error:
            return _page(visit, wrong=f"The arguments: {error}.", at=ticket_id)
    try:
        visit.store.feedback.decide(
            ticket_id,
            state=state,
            actor=visit.principal.name,
            note=visit.posted("note").strip()[:_LONGEST],
            inputs=inputs,
        )
    except TicketUnknownError:
        raise RefusedError(404, "there is no such case", code="unknown") from None
    visit.audit("case.decided", ticket_id, detail=state)
    query = urlencode({"done": state, "function": visit.posted("function")})
    return visit.redirect(f"{visit.url('cases:list')}?{query}")


def _object(text: str) -> dict[str, object]:
    try:
        found: Any = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"no JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError("must be a JSON object, name by name")  # noqa: TRY004 - of what was posted
    made = cast("dict[str, object]", found)
    if encode_answer(made) is None:
        raise ValueError("hold a number that JSON has not")
    return made


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")
