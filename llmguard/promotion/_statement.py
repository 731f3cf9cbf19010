"""The canonical statement that an approval signs: one move and all it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from .._nested import read_json
from ..contract._digest import canonical
from ..errors import ConfigError
from .request import Request

__all__ = ["FIELDS", "NAMESPACE", "approval_text", "read_statement", "statement_of"]

NAMESPACE: Final = "llmguard-promotion"
"""The SSH signature's namespace: a signature made for git or for mail is none here."""

_FORMAT: Final = 1
FIELDS: Final = (
    "format",
    "env",
    "route",
    "pin",
    "pin_digest",
    "incumbent",
    "to",
    "weight",
    "base_rev",
    "evidence",
)
"""What has to be the same when the move is made; the rest says who signed, and when."""


def statement_of(request: Request) -> dict[str, Any]:
    """Return what is approved: any change of it voids every approval.

    `pin_digest` covers the whole entry of the lock, the owner and the dates too.
    """
    return {
        "format": _FORMAT,
        "env": request.env,
        "route": request.route,
        "pin": request.pin.id,
        "pin_digest": request.pin.digest,
        "incumbent": request.incumbent.id if request.incumbent else "",
        "to": request.to,
        "weight": request.weight,
        "base_rev": request.state.rev,
        "evidence": sorted(request.evidence),
    }


def approval_text(body: Mapping[str, Any]) -> str:
    """Return the bytes that are signed, as text: canonical JSON."""
    return canonical(dict(body))


def read_statement(text: str, *, source: str) -> dict[str, Any]:
    """Read a statement that somebody handed over.

    Raises:
        ConfigError: It is none, or one of another format.
    """
    try:
        found: object = read_json(text)
    except ValueError as error:
        raise ConfigError(f"{source} is no JSON: {error}") from None
    document = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
    body: dict[str, Any] = document.get("statement", document)
    if not set(FIELDS) <= set(body):
        raise ConfigError(
            f"{source} is no request for approval; make one: `llmguard promote PIN "
            "--to STAGE --request FILE`"
        )
    if body["format"] != _FORMAT:
        raise ConfigError(
            f"{source} has format {body['format']!r}, this llmguard reads {_FORMAT}; "
            "use the version that wrote it"
        )
    return {name: body[name] for name in FIELDS}
