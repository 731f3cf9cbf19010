"""One request of somebody who may make it: what every page's function gets."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from llmguard.store import Store
from llmguard.store.access import NewAudit

from ._door import SAFE, Cookie, same_origin
from ._principal import Principal
from ._problems import RefusedError

if TYPE_CHECKING:
    from starlette.requests import Request

    from ._console import Console

__all__ = ["Handler", "Visit", "read_body", "read_pairs", "require", "set_cookie"]

_PAIRS: Final = 20_100
_CSRF: Final = "csrf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A request that was let in.

    Attributes:
        request: The request itself; its body is in `body` and `pairs`.
        console: Store, settings, templates and clock.
        principal: Who asks; holds the scope that the page requires.
        body: The body of a request that has one.
        pairs: Names and texts of a posted form, without the session's form token.
    """

    request: Request
    console: Console
    principal: Principal
    body: bytes = b""
    pairs: tuple[tuple[str, str], ...] = ()

    @property
    def store(self) -> Store:
        """The store that the console shows."""
        return self.console.store

    @property
    def now(self) -> float:
        """Epoch seconds."""
        return self.console.clock.time()

    @property
    def by_htmx(self) -> bool:
        """Whether only a part of the page is wanted."""
        return self.request.headers.get("hx-request") == "true"

    def param(self, name: str) -> str:
        """Return a part of the path."""
        return str(self.request.path_params[name])

    def query(self, name: str, default: str = "") -> str:
        """Return what stands behind the `?`."""
        return self.request.query_params.get(name, default)

    def posted(self, name: str, default: str = "") -> str:
        """Return what was posted under a name, the first if there are several."""
        return next((text for key, text in self.pairs if key == name), default)

    def json(self) -> Any:
        """Return the posted JSON.

        Raises:
            RefusedError: It is none.
        """
        kind = self.request.headers.get("content-type", "").partition(";")[0].strip()
        if kind.lower() != "application/json":
            raise RefusedError(
                415, f"send `Content-Type: application/json`, not {kind!r}", code="type"
            )
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise RefusedError(
                400, f"the body is not JSON: {error}", code="json"
            ) from None

    def url(self, name: str, /, **params: object) -> str:
        """Return the path of a page, such as `review:ticket`, where it is mounted."""
        return self.console.url(self.request, name, **params)

    def render(
        self,
        template: str,
        /,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        **context: object,
    ) -> HTMLResponse:
        """Return a page; templates see this visit as `visit`."""
        text = self.console.render(self.request, template, visit=self, **context)
        return HTMLResponse(text, status_code=status, headers=dict(headers or {}))

    def redirect(self, url: str) -> Response:
        """Send the browser to another page of the console, as a GET."""
        if self.by_htmx:
            return Response(status_code=204, headers={"HX-Redirect": url})
        return RedirectResponse(url, status_code=303)

    def seen_now(self) -> Principal | None:
        """Return who asks, with what they may do by now; None when the login is over.

        For what stays open for long; it writes nothing.
        """
        try:
            return self.console.door.admit(self.request, begin=False)[0]
        except RefusedError:
            return None

    def still_here(self) -> bool:
        """Tell whether the login holds still; for what stays open for long."""
        return self.seen_now() is not None

    def audit(
        self, action: str, target: str = "", *, detail: str = "", outcome: str = "ok"
    ) -> None:
        """Record what was done, with who did it and from where."""
        self.store.access.audit(
            NewAudit(
                actor=self.principal.name,
                action=action,
                target=target,
                detail=detail,
                address=self.principal.address,
                outcome=outcome,
            )
        )


Handler = Callable[[Visit], Response | Awaitable[Response]]
Endpoint = Callable[["Request"], Awaitable[Response]]


def require(
    scope: str, *, passive: bool = False, acts: bool = False
) -> Callable[[Handler], Endpoint]:
    """Make a page of a function that takes a `Visit`, for those who hold a scope.

    Plain functions run in a thread, so they may use the store; `async` ones run in the
    loop and must not block it.

    Args:
        scope: `read`, `review`, `approve`, `admin`, or empty for whoever is logged in.
        passive: Whether the page asks by itself, which does not keep a session alive.
        acts: Whether a GET changes something, so that a session needs its form token.
    """

    def decorate(handler: Handler) -> Endpoint:
        @functools.wraps(handler)
        async def endpoint(request: Request) -> Response:
            console: Console = request.app.state.console
            principal, cookie = await run_in_threadpool(console.door.admit, request)
            request.state.principal = principal
            await _allow(console, request, principal, scope)
            body = b""
            pairs: list[tuple[str, str]] = []
            if acts or request.method not in SAFE:
                body = await read_body(request, console)
                pairs = read_pairs(request, body)
                pairs = await _own(console, request, principal, pairs)
            if not passive:
                await run_in_threadpool(console.door.touch, request)
            visit = Visit(
                request=request,
                console=console,
                principal=principal,
                body=body,
                pairs=tuple(pairs),
            )
            response = await _run(handler, visit)
            if cookie is not None:
                await run_in_threadpool(console.tidy)
                set_cookie(response, cookie)
            return response

        endpoint.__console_scope__ = scope  # type: ignore[attr-defined]  # read by the app
        return endpoint

    return decorate


async def _run(handler: Handler, visit: Visit) -> Response:
    if inspect.iscoroutinefunction(handler):
        answer: Response = await handler(visit)
        return answer
    return await run_in_threadpool(handler, visit)  # type: ignore[arg-type]  # not awaitable


async def _allow(
    console: Console, request: Request, principal: Principal, scope: str
) -> None:
    wait = console.rate.wait(principal.name)
    if wait:
        raise RefusedError(
            429,
            f"more than {console.settings.rate} requests a minute; wait {wait} s",
            code="too_many_requests",
            headers={"Retry-After": str(wait)},
        )
    if scope and not principal.may(scope):
        await _refused(console, request, principal, f"lacks the scope {scope}")
        raise RefusedError(
            403,
            f"this needs the scope `{scope}`, which {principal.name!r} does not have; "
            "an administrator gives it: "
            f"`llmguard console user grant {principal.name} --scope {scope}`",
            code="scope_needed",
        )


async def _own(
    console: Console,
    request: Request,
    principal: Principal,
    pairs: list[tuple[str, str]],
) -> list[tuple[str, str]]:
    """Return a form's pairs if it is one of ours, posted from a page of ours."""
    if not principal.csrf:
        return pairs
    given = [text for name, text in pairs if name == _CSRF]
    told = given[0] if len(given) == 1 else request.headers.get("x-csrf-token", "")
    if not same_origin(request) or not _equal(told, principal.csrf):
        await _refused(console, request, principal, "was not posted by our own page")
        raise RefusedError(
            403,
            "this form did not come from a page of this console, or its session has "
            "ended since; open the page again and repeat it",
            code="forged",
        )
    return [(name, text) for name, text in pairs if name != _CSRF]


def _equal(one: str, other: str) -> bool:
    import hmac

    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode())


async def _refused(
    console: Console, request: Request, principal: Principal, why: str
) -> None:
    await run_in_threadpool(
        console.store.access.audit,
        NewAudit(
            actor=principal.name,
            action="request.refused",
            target=f"{request.method} {request.url.path}",
            detail=why,
            address=principal.address,
            outcome="refused",
        ),
    )


async def read_body(request: Request, console: Console) -> bytes:
    """Return the body, or refuse it when it is too large or too slow."""
    most = console.settings.max_body
    data = bytearray()
    try:
        async with asyncio.timeout(console.settings.body_timeout):
            async for piece in request.stream():
                data += piece
                if len(data) > most:
                    raise RefusedError(
                        413, f"the request is larger than {most} bytes", code="size"
                    )
    except TimeoutError:
        raise RefusedError(
            408, "the request was not complete in time", code="time"
        ) from None
    return bytes(data)


def read_pairs(request: Request, body: bytes) -> list[tuple[str, str]]:
    """Return the pairs of a form; nothing for other kinds of bodies."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        return []
    try:
        return parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_PAIRS,
        )
    except ValueError as error:
        raise RefusedError(
            400, f"the form cannot be read: {error}", code="form"
        ) from None


def set_cookie(response: Response, cookie: Cookie) -> None:
    """Set or delete a session's cookie: for our own pages, unseen by scripts."""
    if not cookie.secret:
        response.delete_cookie(
            cookie.name, httponly=True, samesite="strict", secure=cookie.secure
        )
        return
    response.set_cookie(
        cookie.name,
        cookie.secret,
        max_age=cookie.lifetime,
        httponly=True,
        samesite="strict",
        secure=cookie.secure,
    )
