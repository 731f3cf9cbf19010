"""Style sheet, scripts and the mark: read once, named by digest, kept by browsers."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["asset_version", "static"]

_KINDS: Final = {
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "pages.css": "text/css; charset=utf-8",
    "htmx.min.js": "text/javascript; charset=utf-8",
    "mark.svg": "image/svg+xml",
}


@cache
def _asset(name: str) -> tuple[bytes, str]:
    data = (resources.files(__package__ or "") / "static" / name).read_bytes()
    return data, hashlib.sha256(data).hexdigest()[:12]


def asset_version(name: str) -> str:
    """Return what changes when the file does."""
    return _asset(name)[1]


async def static(request: Request) -> Response:
    """Give one of the files."""
    name = str(request.path_params["name"])
    if name not in _KINDS:
        return Response(status_code=404)
    data, version = _asset(name)
    fixed = request.query_params.get("v") == version
    kept = "public, max-age=31536000, immutable" if fixed else "no-cache"
    headers = {"Cache-Control": kept, "ETag": f'"{version}"'}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(data, media_type=_KINDS[name], headers=headers)
