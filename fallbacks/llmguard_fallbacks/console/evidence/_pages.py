"""The pages of suites and shadows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup

from llmguard.errors import ConfigError

from .._asked import choice, env_of, known_envs, lock_or_none
from .._axes import percent
from .._live import page_events
from .._problems import RefusedError
from .._svg import interval
from .._visit import Visit, require
from ._read import evidence_list, open_document
from ._tail import Wanted, points, shadow_report

if TYPE_CHECKING:
    from starlette.responses import Response

    from llmguard.suite import Evidence

__all__ = ["document", "evidence_page", "live", "rows", "shadow_page"]

_KINDS: Final = ("", "suite", "shadow")
_SEVERITIES: Final = ("", "critical", "major", "minor", "note")


@require("read")
def evidence_page(visit: Visit) -> Response:
    """Show stored evidence and shadow runs."""
    return visit.render("evidence/list.html", **_listed(visit))


@require("read", passive=True)
def rows(visit: Visit) -> Response:
    """Give the part of the page that changes."""
    return visit.render("evidence/_rows.html", **_listed(visit))


@require("read", passive=True)
async def live(visit: Visit) -> Response:
    """Tell the page when there may be something new."""
    return page_events(visit)


@require("read")
def document(visit: Visit) -> Response:
    """Show one document."""
    found = open_document(visit.store, visit.param("digest"))
    if found is None:
        raise RefusedError(
            404, "this store has no such evidence; it may be in another one"
        )
    plots = _assertion_plots(found.suite) if found.suite else {}
    return visit.render(
        "evidence/document.html", one=found, plots=plots, figure=_figure
    )


@require("read")
def shadow_page(visit: Visit) -> Response:
    """Show what one shadow run found."""
    run = visit.store.shadow.get(visit.param("run"))
    if run is None:
        raise RefusedError(404, "this store has no such shadow run")
    wanted = Wanted(
        stratum=visit.query("stratum"),
        transition=visit.query("transition"),
        severity=choice(visit, "severity", _SEVERITIES, ""),
        everything=visit.query("all") == "1",
    )
    try:
        page = shadow_report(
            visit.store,
            run,
            now=visit.now,
            wanted=wanted,
            function=visit.query("function"),
        )
    except ConfigError as error:
        raise RefusedError(409, str(error)) from error
    return visit.render(
        "evidence/shadow.html",
        page=page,
        run=run,
        wanted=wanted,
        points=points,
        percent=percent,
    )


def _listed(visit: Visit) -> dict[str, Any]:
    env = env_of(visit)
    wanted = {
        "function": visit.query("function"),
        "pin": visit.query("pin"),
        "route": visit.query("route"),
        "kind": choice(visit, "kind", _KINDS, ""),
    }
    found = evidence_list(
        visit.store, env, lock=lock_or_none(), now=visit.now, **wanted
    )
    return {
        "found": found,
        "env": env,
        "envs": known_envs(visit.store, env),
        "wanted": wanted,
    }


def _figure(name: str, one: Any) -> Markup:
    """Return a figure of stored shadow evidence as an image."""
    return interval(
        one.value,
        one.low,
        one.high,
        title=name,
        reach=(min(0.0, one.low), max(0.1, one.high)),
        limit=0.02,
        show=percent,
    )


def _assertion_plots(found: Evidence) -> dict[str, Markup]:
    """Return each assertion's rate of failures with its interval, on one scale."""
    from llmguard.monitor.slo._status import wilson

    ends = {one.name: wilson(one.failures, one.n) for one in found.assertions if one.n}
    most = max((high for _, high in ends.values()), default=0.0)
    most = max(most, *(one.unacceptable for one in found.assertions), 0.01)
    return {
        one.name: interval(
            one.failures / one.n,
            *ends[one.name],
            title=f"{one.name}: share that failed",
            reach=(0.0, most),
            limit=one.tolerate,
            show=percent,
            css="s3" if one.status.value == "blocked" else "s1",
        )
        for one in found.assertions
        if one.name in ends
    }
