"""What a request asks for: which API, which fault, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

from ._faults import FAULTS
from ._wire import Head

__all__ = ["GoodAnswer", "ServedRequest", "get_key", "route_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedRequest:
    """One request the server has read.

    Attributes:
        method: HTTP method.
        path: Path as sent, `/fault/...` prefix included.
        headers: Header names are lower-cased.
        json: The parsed body; None when there was none.
        fault: What it was served; empty for unknown paths.
        at: Seconds on the server's monotonic clock.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    json: object
    fault: str
    at: float


GoodAnswer: TypeAlias = (
    str | Mapping[str, object] | Sequence[object] | Callable[[ServedRequest], object]
)
"""Text, data that is sent as JSON text, or a function of the request giving either."""

_APIS: Mapping[tuple[str, str], str] = {
    ("POST", "/v1/chat/completions"): "chat",
    ("POST", "/v1/messages"): "messages",
    ("POST", "/v1/responses"): "responses",
    ("GET", "/v1/models"): "models",
}


def route_of(head: Head) -> tuple[str, str]:
    """Return the fault in the path, if any, and the API; empty when there is none."""
    path, pinned = head.path.partition("?")[0], ""
    if path.startswith("/fault/"):
        pinned, _, rest = path.removeprefix("/fault/").partition("/")
        path = f"/{rest}"
        if pinned not in FAULTS:
            return "", ""
    api = _APIS.get((head.method, path), "")
    return pinned, api


def get_key(data: object, key: str, default: object) -> object:
    """Return `data[key]` where `data` is a JSON object that has it."""
    if not isinstance(data, dict):
        return default
    return cast("dict[str, object]", data).get(key, default)
