"""The pages of health."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from .._asked import choice, env_of, known_envs, query, span_of
from .._axes import percent, seconds
from .._live import page_events
from .._visit import Visit, require
from ._monitor import monitored, watch
from ._plots import COLOURS, calls_plot, monitor_plots
from ._read import health, recent_events

if TYPE_CHECKING:
    from starlette.responses import Response

    from llmguard.store import Event

__all__ = ["events_page", "health_page", "live", "rows"]

_SPANS: Final = ("1h", "6h", "1d", "7d", "30d")
_KINDS: Final = (
    "",
    "alarm.",
    "alert.",
    "breaker.",
    "echo.",
    "probe.",
    "promotion.",
    "quarantine.",
    "rollback.",
    "shadow.",
)
_PAGE: Final = 50
_CALM: Final = 5.0


@require("read")
def health_page(visit: Visit) -> Response:
    """Show how an environment does."""
    return visit.render("health/list.html", **_health(visit))


@require("read", passive=True)
def rows(visit: Visit) -> Response:
    """Give the part of the page that changes."""
    return visit.render("health/_rows.html", **_health(visit))


@require("read", passive=True)
async def live(visit: Visit) -> Response:
    """Tell the page when something may have changed."""
    return page_events(visit, calm=_CALM)


@require("read")
def events_page(visit: Visit) -> Response:
    """Show what happened to models, and who noticed."""
    env, kind = env_of(visit), choice(visit, "kind", _KINDS, "")
    found = recent_events(
        visit.store, env, kind=kind, until=_until(visit), limit=_PAGE + 1
    )
    more = ""
    if len(found) > _PAGE:
        more = query(env=env, kind=kind, until=repr(found[_PAGE].at))
    return visit.render(
        "health/events.html",
        events=found[:_PAGE],
        more=more,
        env=env,
        envs=known_envs(visit.store, env),
        kind=kind,
        kinds=_KINDS,
        say=_say,
    )


def _until(visit: Visit) -> float | None:
    try:
        return float(visit.query("until"))
    except ValueError:
        return None


def _health(visit: Visit) -> dict[str, Any]:
    env = env_of(visit)
    word, span = span_of(visit, "1d", _SPANS)
    found = health(visit.store, env, now=visit.now, span=span)
    return {
        "found": found,
        "env": env,
        "envs": known_envs(visit.store, env),
        "span": word,
        "spans": _SPANS,
        "plot": partial(calls_plot, start=visit.now - span, end=visit.now),
        "percent": percent,
        "seconds": seconds,
        "say": _say,
        **_watched(visit, env, span, [one.function for one in found.calls]),
    }


def _watched(
    visit: Visit, env: str, span: float, called: Sequence[str]
) -> dict[str, Any]:
    """Return what the monitor's part of the page shows."""
    functions = monitored(visit.store, env, called)
    if not functions:
        return {"functions": (), "view": None, "plots": [], "mark": "", "colours": ()}
    function = choice(visit, "function", functions, functions[0])
    view = watch(visit.store, env, function, now=visit.now, span=span)
    names = [one.name for one in view.marks]
    mark = choice(visit, "mark", names, names[0] if names else "")
    return {
        "functions": functions,
        "view": view,
        "plots": monitor_plots(view, mark) if view.versions else [],
        "mark": mark,
        "colours": COLOURS,
    }


def _say(one: Event) -> str:
    """Put an event into one line."""
    from llmguard.monitor.postmortem import told

    return told(one)
