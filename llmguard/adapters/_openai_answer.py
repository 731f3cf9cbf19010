"""An answer of the SDK, read from its JSON instead of from the model built of it.

Building the SDK's model takes as long as a third of the whole exchange, and a reply
needs a dozen fields of it. The model is still there for whoever asks for it.
"""

from __future__ import annotations

from typing import Any, cast

__all__ = ["LazyResponse", "json_body"]


def json_body(response: Any) -> dict[str, Any] | None:
    """Return the JSON object in a raw response; None where there is none."""
    http = response.http_response
    kind = http.headers.get("content-type", "").partition(";")[0]
    if not kind.endswith("json"):
        return None
    try:
        body = http.json()
    except ValueError:
        return None
    return cast("dict[str, Any]", body) if type(body) is dict else None


class LazyResponse:
    """The SDK's own response, parsed by the SDK when its first field is read.

    Every attribute is the response's, its class included, so that `isinstance` tells
    what it tells of the response itself.

    Args:
        response: What `with_raw_response.create` returned.
    """

    __slots__ = ("_parsed", "_response")

    def __init__(self, response: Any) -> None:
        self._response = response
        self._parsed: Any = None

    @property  # type: ignore[misc]  # - what `isinstance` asks
    def __class__(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] - nobody sets it
        whole: object = self._whole()
        return type(whole)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole(), name)

    def __repr__(self) -> str:
        return repr(self._whole())

    def __eq__(self, other: object) -> bool:
        mine = self._whole()
        return bool(mine == (other._whole() if type(other) is LazyResponse else other))

    __hash__ = None  # type: ignore[assignment]  # - as the SDK's models

    def __reduce__(self) -> Any:
        return self._whole().__reduce__()

    def _whole(self) -> Any:
        if self._parsed is None:
            self._parsed = self._response.parse()
        return self._parsed
