"""The pages of versions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from starlette.concurrency import run_in_threadpool

from llmguard.errors import ConfigError, LLMGuardError
from llmguard.promotion import rollback, which
from llmguard.promotion._when import read_time
from llmguard.promotion.types import PERSON_ONLY

from .._asked import env_of, known_envs, lock_or_none, query, span_of
from .._live import page_events
from .._problems import RefusedError
from .._visit import Visit, require
from ._plot import stages_plot
from ._read import overview
from ._route import RoutePage, route_page

if TYPE_CHECKING:
    from starlette.responses import Response

    from llmguard.promotion import Moved, Which

__all__ = ["live", "route_view", "rows", "take_back", "versions_page", "which_box"]

_SPANS: Final = ("1d", "7d", "30d", "90d", "365d")
_LONGEST_REASON: Final = 500


@require("read")
def versions_page(visit: Visit) -> Response:
    """Show every route of an environment."""
    return visit.render("versions/list.html", **_overview(visit), **_which(visit))


@require("read", passive=True)
def rows(visit: Visit) -> Response:
    """Give the part of the page that changes."""
    return visit.render("versions/_rows.html", **_overview(visit))


@require("read", passive=True)
async def live(visit: Visit) -> Response:
    """Tell the page when versions may have moved."""
    return page_events(visit)


@require("read")
def which_box(visit: Visit) -> Response:
    """Answer "which version ran at T?"."""
    if not visit.by_htmx:
        return visit.render("versions/list.html", **_overview(visit), **_which(visit))
    return visit.render("versions/_which.html", **_which(visit))


@require("read")
def route_view(visit: Visit) -> Response:
    """Show one route over time."""
    return _route_response(visit)


@require("approve")
async def take_back(visit: Visit) -> Response:
    """Roll a route back: takes out the version that the form named, for a reason."""
    return await run_in_threadpool(_take_back, visit)


def _take_back(visit: Visit) -> Response:
    route, pin = visit.param("route"), visit.posted("pin")
    reason = " ".join(visit.posted("reason").split())[:_LONGEST_REASON]
    env = visit.posted("env") or env_of(visit)
    problem = _unsure(visit, pin, reason)
    moved: Moved | None = None
    if not problem:
        try:
            moved = rollback(
                store=visit.store,
                route=route,
                pin=pin,
                env=env,
                actor=visit.principal.name,
                reason=reason,
                now=visit.now,
            )
        except LLMGuardError as error:
            problem = str(error)
    if moved is None:
        visit.audit(
            "version.rollback", f"{env}/{route}", detail=problem, outcome="refused"
        )
        return _route_response(visit, env=env, problem=problem, status=422)
    visit.audit("version.rollback", f"{env}/{route}", detail=f"{pin}: {reason}")
    told = f"r{moved.entries[-1].rev}" if moved.entries else "nothing"
    back = visit.url("versions:route", route=route)
    return visit.redirect(back + query(env=env, done=told))


def _unsure(visit: Visit, pin: str, reason: str) -> str:
    """Return why a rollback is not made, before anything is asked of the ledger."""
    if not reason:
        return "say why: the reason stays in the ledger"
    if not pin or visit.posted("sure") != pin:
        return f"tick the box to confirm that {pin or 'it'} is to be taken out"
    if visit.principal.name == PERSON_ONLY:
        return f"{PERSON_ONLY!r} is the library itself, no person"
    return ""


def _overview(visit: Visit) -> dict[str, Any]:
    env = env_of(visit)
    found = overview(visit.store, env, lock=lock_or_none(), now=visit.now)
    return {"found": found, "env": env, "envs": known_envs(visit.store, env)}


def _which(visit: Visit) -> dict[str, Any]:
    """Return what the box says: nothing until a route is asked about."""
    route, text = visit.query("route"), visit.query("at")
    asked: dict[str, Any] = {"route": route, "at": text}
    answer: Which | None = None
    problem = ""
    if route:
        try:
            at = read_time(text, now=visit.now) if text.strip() else None
            if at is not None and at > visit.now:
                raise ConfigError(f"{text!r} has not come yet")  # noqa: TRY301 - told below
            answer = which(
                store=visit.store,
                route=route,
                env=env_of(visit),
                at=at,
                lock=lock_or_none(),
                now=visit.now,
            )
        except (ConfigError, OverflowError) as error:
            problem = str(error)
    return {"asked": asked, "answer": answer, "problem": problem}


def _route_response(
    visit: Visit, *, env: str = "", problem: str = "", status: int = 200
) -> Response:
    env = env or env_of(visit)
    word, span = span_of(visit, "30d", _SPANS)
    given = visit.query("before")
    page = route_page(
        visit.store,
        env,
        visit.param("route"),
        lock=lock_or_none(),
        now=visit.now,
        span=span,
        before=_revision(given),
    )
    if page is None:
        raise RefusedError(
            404,
            f"environment {env!r} has no route of this name; `llmguard plan` lists "
            "what the lock and the ledger know",
            code="not_found",
        )
    return visit.render(
        "versions/route.html",
        status=status,
        page=page,
        env=env,
        envs=known_envs(visit.store, env),
        span=word,
        spans=_SPANS,
        plot=_plot(page),
        before=given,
        done=visit.query("done"),
        problem=problem,
        may_move=visit.principal.may("approve"),
    )


def _revision(text: str) -> int:
    """Read a revision; 0, the newest, for what is none."""
    return int(text) if re.fullmatch("[0-9]{1,15}", text) else 0


def _plot(page: RoutePage) -> object:
    return stages_plot(page) if page.stood else ""
