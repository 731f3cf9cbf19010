"""Answers that may become cases of a contract suite, decided by people."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from llmguard.store import CaseState, ProposedCase

from ._answers import answer as say
from ._asked import Body, WrongFieldError, api, integer, seen

if TYPE_CHECKING:
    from starlette.responses import Response

    from .._visit import Visit

__all__ = ["cases", "decide"]

_STATES: Final[Mapping[str, CaseState]] = {
    "proposed": "proposed",
    "accepted": "accepted",
    "dismissed": "dismissed",
}


@api("review")
def cases(visit: Visit) -> Response:
    """Return cases, oldest first."""
    state = _STATES.get(visit.query("state", "proposed"))
    if state is None:
        raise WrongFieldError("?state", f"must be one of {', '.join(_STATES)}")
    found = visit.store.feedback.cases(
        state=state,
        function=visit.query("function") or None,
        roles=visit.principal.roles,
        limit=integer(visit, "limit", 50, least=1, most=500),
    )
    return say({"cases": [_json(one) for one in found]})


@api("approve")
def decide(visit: Visit) -> Response:
    """Accept or dismiss a case."""
    body = Body(visit)
    state, note = _STATES.get(body.text("state")), body.text("note", "")
    body.done()
    if state is None:
        raise WrongFieldError("/state", f"must be one of {', '.join(_STATES)}")
    record = seen(visit)
    case = visit.store.feedback.decide(
        record.id,
        state=state,
        actor=visit.principal.name,
        note=note,
    )
    visit.audit("case.decided", record.id, detail=state)
    return say(_json(case))


def _json(one: ProposedCase) -> dict[str, object]:
    found = {field.name: getattr(one, field.name) for field in dataclasses.fields(one)}
    found["inputs"] = dict(one.inputs)
    return found
