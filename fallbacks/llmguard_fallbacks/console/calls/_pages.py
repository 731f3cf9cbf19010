"""The pages of calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llmguard.store import CallFilter

from .._asked import SPANS, choice, env_of, known_envs, query
from .._problems import RefusedError
from .._visit import Visit, require
from ._plot import attempts_plot
from ._read import call_list, call_view

if TYPE_CHECKING:
    from starlette.responses import Response

__all__ = ["call_page", "calls_page", "rows"]

_SPANS: Final = ("", "1h", "6h", "1d", "7d")
_NAMES: Final = ("function", "route", "outcome", "tier", "pin", "request")
_NONE: Final = "(none)"
_LONGEST: Final = 300


@require("read")
def calls_page(visit: Visit) -> Response:
    """Show the last calls."""
    return visit.render("calls/list.html", **_listed(visit))


@require("read", passive=True)
def rows(visit: Visit) -> Response:
    """Give the part of the page that changes."""
    return visit.render("calls/_rows.html", **_listed(visit))


@require("read")
def call_page(visit: Visit) -> Response:
    """Show one call."""
    found = call_view(visit.store, visit.param("call"))
    if found is None:
        raise RefusedError(
            404,
            "this call is not kept: a sample of good calls is, and the log is bounded "
            "(`[tool.llmguard.calls]`)",
            code="not_found",
        )
    if found.row.content:
        # What people wrote was looked at: who did is part of the record.
        visit.audit("call.read", found.row.id)
    return visit.render("calls/call.html", one=found, plot=attempts_plot(found))


def _listed(visit: Visit) -> dict[str, Any]:
    env = env_of(visit)
    asked = {name: visit.query(name)[:_LONGEST].strip() for name in _NAMES}
    span = choice(visit, "span", _SPANS, "")
    given: dict[str, Any] = {name: text for name, text in asked.items() if text}
    if given.get("tier") == _NONE:
        given["tier"] = ""
    if span:
        given["since"] = visit.now - SPANS[span][1]
    found = call_list(
        visit.store, env, CallFilter(**given), now=visit.now, before=_before(visit)
    )
    more = ""
    if found.next:
        at, call = found.next
        more = query(env=env, span=span, before=f"{at!r}/{call}", **asked)
    return {
        "found": found,
        "env": env,
        "envs": known_envs(visit.store, env),
        "asked": asked,
        "span": span,
        "spans": [(name, SPANS[name][0]) for name in _SPANS if name],
        "more": more,
        "filtered": bool(given),
        "first": not visit.query("before"),
        "nobody": _NONE,
    }


def _before(visit: Visit) -> tuple[float, str] | None:
    at, _, call = visit.query("before").partition("/")
    try:
        return (float(at), call) if call else None
    except ValueError:
        return None
