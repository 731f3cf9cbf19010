"""Who may come in, and the JSON they bring."""

from __future__ import annotations

import asyncio
import hmac
import json
import re
from typing import TYPE_CHECKING, Any, Final, NoReturn

from starlette.requests import Request

from .._uvicorn import is_loopback
from ._errors import ApiError
from ._settings import ServeSettings

if TYPE_CHECKING:
    from starlette.datastructures import Headers

__all__ = ["admit", "host_name", "read_json"]

_OPEN: Final = frozenset({"/health"})
_WHOLE: Final = re.compile(r"[0-9]{1,18}")


def admit(path: str, headers: Headers, settings: ServeSettings) -> None:
    """Let a request in, or refuse it.

    Without a token the server is for programs of this machine only, and a web page
    that has its own name resolve to 127.0.0.1 is none: its `Host` gives it away.

    Raises:
        ApiError: A missing or wrong token, or a foreign `Host`.
    """
    if not settings.token:
        host = headers.get("host", "")
        if host and not is_loopback(host_name(host)):
            raise ApiError(
                421,
                f"this server answers for loopback names only, not for {host!r}",
                code="misdirected_request",
            )
        return
    if path in _OPEN:
        return
    scheme, _, given = headers.get("authorization", "").partition(" ")
    same = hmac.compare_digest(given.strip().encode(), settings.token.encode())
    if scheme.lower() != "bearer" or not same:
        raise ApiError(
            401,
            "a valid bearer token is needed: `Authorization: Bearer TOKEN`, or "
            "`api_key=` of the client",
            code="invalid_api_key",
        )


def host_name(host: str) -> str:
    """Return the name in a `Host` header, without the port."""
    if host.startswith("["):
        return host.partition("]")[0][1:]
    return host.partition(":")[0]


async def read_json(request: Request, settings: ServeSettings) -> Any:
    """Return the body of a request.

    Raises:
        ApiError: It is too large or too slow, or no JSON.
        ClientDisconnect: The client left.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind.lower() != "application/json":
        # Browsers send other types across origins without asking first.
        raise ApiError(
            415, f"send `Content-Type: application/json`, not {kind!r}", code="type"
        )
    try:
        async with asyncio.timeout(settings.body_timeout):
            data = await _read(request, settings.max_body)
    except TimeoutError:
        raise ApiError(
            408,
            f"the request was not complete after {settings.body_timeout:g} s",
            code="request_timeout",
        ) from None
    try:
        body = json.loads(data, parse_constant=_refuse_constant)
        if b"\\u" in data or b"\xed" in data:
            # Half of a pair, which Python reads from its UTF-8 as well, is no text
            # that a model could be given, or an answer could repeat.
            json.dumps(body, ensure_ascii=False).encode()
    except RecursionError:
        raise ApiError(400, "the JSON is nested too deeply", code="json") from None
    except UnicodeEncodeError:
        raise ApiError(
            400, "the JSON has an escape that is half of a character pair", code="json"
        ) from None
    except ValueError as error:
        raise ApiError(400, f"the body is not JSON: {error}", code="json") from None
    return body


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")


async def _read(request: Request, most: int) -> bytes:
    data = bytearray()
    declared = request.headers.get("content-length", "")
    if _WHOLE.fullmatch(declared) and int(declared) > most:
        raise _too_large(most)
    async for piece in request.stream():
        data += piece
        if len(data) > most:
            raise _too_large(most)
    return bytes(data)


def _too_large(most: int) -> ApiError:
    return ApiError(
        413,
        f"the request is larger than {most} bytes; shorten it, or raise `--max-body`",
        code="request_too_large",
    )
