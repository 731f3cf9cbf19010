"""The local half of classification: sockets, timeouts, parsing, cancellation."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final

from ..outcome import Kind
from ._duck import class_names, get

__all__ = ["classify_local", "where_raised"]

_CANCELLED: Final = frozenset({"CancelledError", "GeneratorExit", "KeyboardInterrupt"})
_TIMEOUT: Final = frozenset(
    {
        "TimeoutError",  # builtin, asyncio, socket, concurrent.futures
        "TimeoutException",  # httpx
        "Timeout",  # requests
        "APITimeoutError",  # openai, anthropic
        "ServerTimeoutError",  # aiohttp
        "DeadlineExceeded",  # google
    }
)
_TRANSPORT: Final = frozenset(
    {
        "APIConnectionError",  # openai, anthropic
        "APIResponseValidationError",
        "TransportError",  # httpx
        "RequestError",  # httpx
        "DecodingError",  # httpx
        "RequestException",  # requests
        "HTTPException",  # http.client
        "HTTPError",  # urllib3
        "ClientConnectionError",  # aiohttp
        "ClientPayloadError",  # aiohttp
        "EndOfStream",  # anyio
        "BrokenResourceError",  # anyio
        "ClosedResourceError",  # anyio
        "ProtocolError",  # h11
    }
)
_BY_NAME: Final = (
    (_CANCELLED, Kind.CANCELLED),
    (_TIMEOUT, Kind.TIMEOUT),
    (_TRANSPORT, Kind.TRANSPORT),
)
_NETWORK_ERRNOS: Final = frozenset(
    {
        errno.ECONNABORTED,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENOTCONN,
        errno.EPIPE,
    }
)
_SDK_PACKAGES: Final = frozenset(
    [
        "aiohttp",
        "anthropic",
        "httpcore",
        "httpcore2",
        "httpx",
        "httpx2",
        "litellm",
        "openai",
        "requests",
        "urllib3",
    ]
)


def classify_local(exc: BaseException) -> Kind:
    """Return the kind of an exception that carries no HTTP status."""
    names = class_names(exc)
    kind = next((kind for known, kind in _BY_NAME if names & known), None)
    if kind is not None:
        return kind
    if _is_network(exc):
        return Kind.TRANSPORT
    if names & {"JSONDecodeError", "UnicodeDecodeError"}:
        # The same exception means a broken HTTP body inside an SDK, and a bad answer
        # in a body that parses the model's text itself.
        if _inside_sdk(exc.__traceback__):
            return Kind.TRANSPORT
        return Kind.BAD_JSON if "JSONDecodeError" in names else Kind.ERROR
    if "ValidationError" in names:
        return _kind_of_validation(exc)
    return Kind.ERROR


def where_raised(exc: BaseException) -> str:
    """Return the class of an exception and the line that raised it."""
    last = exc.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is None:
        return type(exc).__name__
    file = last.tb_frame.f_code.co_filename.rsplit("/", 1)[-1]
    return f"{type(exc).__name__} at {file}:{last.tb_lineno}"


def _is_network(exc: BaseException) -> bool:
    """Tell a broken connection from other operating system errors, such as ENOENT."""
    if not isinstance(exc, OSError):
        return False
    if isinstance(exc, ConnectionError) or exc.errno in _NETWORK_ERRNOS:
        return True
    return any(isinstance(exc, kind) for kind in _network_errors())


def _network_errors() -> Iterator[type[BaseException]]:
    """Yield what socket and ssl raise; a program without them can have met neither."""
    for module, name in (("_socket", "gaierror"), ("_ssl", "SSLError")):
        kind = getattr(sys.modules.get(module), name, None)
        if isinstance(kind, type):
            yield kind


def _inside_sdk(traceback: TracebackType | None) -> bool:
    """Return True when an SDK or HTTP library is anywhere below the caller's frames."""
    while traceback is not None:
        module = str(traceback.tb_frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] in _SDK_PACKAGES:
            return True
        traceback = traceback.tb_next
    return False


def _kind_of_validation(exc: BaseException) -> Kind:
    """Tell text that is no JSON from JSON of the wrong shape (pydantic, jsonschema)."""
    errors = get(exc, "errors")
    if not callable(errors):
        return Kind.SCHEMA
    try:
        # Without inputs and contexts: they hold the model's text.
        found: Any = errors(
            include_input=False, include_context=False, include_url=False
        )
        return Kind.BAD_JSON if found[0]["type"] == "json_invalid" else Kind.SCHEMA
    except Exception:  # noqa: BLE001 - some other library's `errors`
        return Kind.SCHEMA
