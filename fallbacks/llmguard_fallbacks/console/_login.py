"""Logging in and out. State changes by POST only: previews and scanners fetch links."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
)

from llmguard.store.access import NewAudit, secret_digest

from ._door import same_origin
from ._problems import RefusedError
from ._visit import Visit, read_body, read_pairs, require, set_cookie

if TYPE_CHECKING:
    from starlette.requests import Request

    from ._console import Console
    from ._door import Cookie

__all__ = ["home", "login_page", "login_post", "logout", "session", "to_login"]

_EVERYBODY: Final = "*"


async def login_page(request: Request) -> Response:
    """Show the form for a token, or the button of a one-time link."""
    return _page(request)


def _page(request: Request, error: str = "", *, status: int = 200) -> Response:
    console: Console = request.app.state.console
    text = console.render(
        request,
        "login.html",
        error=error,
        code=request.query_params.get("code", ""),
        next=_local(request, request.query_params.get("next", "")),
    )
    return HTMLResponse(text, status_code=status)


async def login_post(request: Request) -> Response:
    """Begin a session for a token, or for the code of a link."""
    console: Console = request.app.state.console
    address = console.door.address(request)
    wait = console.logins.wait(address)
    if wait:
        # Once a minute: strangers must not fill the audit.
        if not console.limited.wait(address):
            why = "too many attempts"
            await _told(console, address, "login.limited", "refused", why)
        raise RefusedError(
            429,
            f"too many attempts to log in; wait {wait} s",
            code="too_many_logins",
            headers={"Retry-After": str(wait)},
        )
    if not same_origin(request):
        await _told(console, address, "login.forged", "refused", "a foreign page")
        raise RefusedError(403, "log in on the login page", code="forged")
    pairs = dict(read_pairs(request, await read_body(request, console)))
    cookie, name = await run_in_threadpool(_begin, request, pairs)
    if cookie is None:
        await _told(console, address, "login.failed", "failed", "no good secret")
        return _page(
            request,
            "This link was used already, or is too old: start `llmguard console` anew."
            if pairs.get("code")
            else "This token is unknown, expired or revoked.",
            status=401,
        )
    console.logins.forget(address)
    await _told(console, address, "login.ok", "ok", actor=name)
    await run_in_threadpool(console.tidy)
    goal = _local(request, pairs.get("next", "")) or console.url(request, "home")
    response = RedirectResponse(goal, status_code=303)
    set_cookie(response, cookie)
    return response


def _begin(request: Request, pairs: dict[str, str]) -> tuple[Cookie | None, str]:
    console: Console = request.app.state.console
    if code := pairs.get("code", ""):
        name = console.links.use(code)
        user = console.store.access.get_user(name) if name else None
        if user is None or user.disabled_at is not None:
            return None, ""
        cookie = console.door.begin(request, user, scopes=user.scopes, via="link")
        return cookie, user.name
    found = console.store.access.by_token(secret_digest(pairs.get("token", "").strip()))
    if found is None:
        return None, ""
    cookie = console.door.begin(
        request, found.user, scopes=found.scopes, via="token", token=found.token
    )
    return cookie, found.user.name


async def _told(
    console: Console,
    address: str,
    action: str,
    outcome: str,
    detail: str = "",
    *,
    actor: str = "",
) -> None:
    row = NewAudit(
        actor=actor, action=action, detail=detail, address=address, outcome=outcome
    )
    await run_in_threadpool(console.store.access.audit, row)


def _local(request: Request, url: str) -> str:
    """Return a path of this console; nothing for one that leads elsewhere."""
    root = request.scope.get("app_path", "")
    if not url.startswith(f"{root}/") or url.startswith("//"):
        return ""
    if "\\" in url or any(ord(sign) <= ord(" ") for sign in url):
        return ""
    return url


@require("")
def logout(visit: Visit) -> Response:
    """End the session."""
    cookie = visit.console.door.end(visit.request)
    visit.audit("logout")
    response = RedirectResponse(visit.url("login"), status_code=303)
    set_cookie(response, cookie)
    # The browser forgets pages that it kept for its back button.
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


@require("", passive=True)
def session(visit: Visit) -> Response:
    """Tell a page that was logged out whether somebody is logged in again."""
    return JSONResponse({"name": visit.principal.name, "csrf": visit.principal.csrf})


@require("")
def home(visit: Visit) -> Response:
    """Go to the first part that this principal may see."""
    for section in visit.console.sections:
        if section.title and visit.principal.may(section.scope):
            return visit.redirect(visit.url(f"{section.name}:{section.home}"))
    raise RefusedError(
        403,
        f"{visit.principal.name!r} has no scope that any page needs; an administrator "
        f"runs `llmguard console user grant {visit.principal.name} --scope read`",
        code="scope_needed",
    )


def to_login(request: Request) -> Response:
    """Send a browser to the login page, and back afterwards."""
    console: Console = request.app.state.console
    login = console.url(request, "login")
    if request.headers.get("hx-request") == "true":
        # Whoever was writing stays on the page, with what was written.
        reads = request.method == "GET"
        return Response(
            status_code=401, headers={"HX-Redirect": login} if reads else {}
        )
    if request.method == "GET":
        # A link on another site comes without our cookie (`SameSite=Strict`): the same
        # page asked for by ourselves has it.
        if (
            request.headers.get("sec-fetch-site") == "cross-site"
            and request.headers.get("sec-fetch-dest") == "document"
        ):
            text = console.render(request, "again.html", again=_asked(request))
            return HTMLResponse(text)
        login += f"?next={quote(_asked(request), safe='/')}"
    return RedirectResponse(login, status_code=303)


def _asked(request: Request) -> str:
    query = request.url.query
    return request.url.path + (f"?{query}" if query else "")
