"""What a request asks for: how long, as whom, under which id."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Mapping
from typing import Final

from .._dataclass import dataclass
from ..errors import ConfigError
from ._options import Seen, WebOptions

__all__ = ["Asked", "BadRequest", "asked", "preferred_wait", "request_id_of"]

_SECONDS: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*(ms|s)?", re.ASCII)
_GRPC: Final = re.compile(r"(\d{1,8})([HMSmun])", re.ASCII)
_GRPC_UNITS: Final = {
    "H": 3600.0,
    "M": 60.0,
    "S": 1.0,
    "m": 1e-3,
    "u": 1e-6,
    "n": 1e-9,
}
_WAIT: Final = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,6})", re.IGNORECASE)
_ID: Final = re.compile(r"[\x21-\x7e]{1,128}")
_LONGEST_KEY: Final = 200
_MOST_MARGIN: Final = 0.1
"""Share of a deadline: of a short one little can be spared."""
_IDS: Final = random.Random()  # noqa: S311 - names requests; it guards nothing
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_IDS.seed)
_TAKEN: Final = frozenset({"deadline", "key"})


class BadRequest(Exception):  # noqa: N818 - becomes a response, never leaves
    """The request itself cannot be understood; the message says what repairs it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What one request gives its guarded calls.

    Attributes:
        request_id: The caller's, or a new one.
        deadline: Seconds from now that guarded calls may take; None where nobody set a
            limit.
        key: What routing is sticky to; None for each call its own.
        labels: Labels of the calls.
    """

    request_id: str
    deadline: float | None
    key: str | None
    labels: Mapping[str, str]


def asked(seen: Seen, options: WebOptions) -> Asked:
    """Read a request.

    Raises:
        BadRequest: A time limit or an idempotency key that means nothing.
    """
    request_id = request_id_of(seen, options)
    labels = _labels(seen, options)
    if request_id:
        labels.setdefault("request_id", request_id)
    if options.idempotency_header and (
        given := seen.header(options.idempotency_header)
    ):
        if len(given) > _LONGEST_KEY:
            raise BadRequest(
                f"header {options.idempotency_header!r} has {len(given)} characters; "
                f"send at most {_LONGEST_KEY}"
            )
        # One caller's key must not find another one's ticket on another route.
        labels["idempotency_key"] = f"{seen.method} {seen.root}{seen.path} {given}"
    return Asked(
        request_id=request_id,
        deadline=_deadline(seen, options),
        key=_key(seen, options),
        labels=labels,
    )


def preferred_wait(header: str | None, most: float) -> float:
    """Return the seconds of `Prefer: wait=N` (RFC 7240), at most `most`."""
    found = _WAIT.search(header or "")
    return 0.0 if found is None else min(float(found[1]), most)


def request_id_of(seen: Seen, options: WebOptions) -> str:
    """Return the caller's id, or a new one; nothing where no header is for it."""
    if not options.request_id_header:
        return ""
    given = seen.header(options.request_id_header)
    # It goes into logs and headers: what could break a line is replaced, not cleaned.
    if given and _ID.fullmatch(given):
        return given
    return f"{_IDS.getrandbits(128):032x}"


def _key(seen: Seen, options: WebOptions) -> str | None:
    key = options.key
    if key is None:
        return None
    if not isinstance(key, str):
        return key(seen) or None
    source, _, name = key.partition(":")
    return (seen.header(name) if source == "header" else seen.cookie(name)) or None


def _labels(seen: Seen, options: WebOptions) -> dict[str, str]:
    labels = {} if options.labels is None else dict(options.labels(seen))
    for name in _TAKEN & labels.keys():
        raise ConfigError(
            f"`labels` returned {name!r}, which is no label: give it as the option "
            f"`{name}`, or under another name"
        )
    return labels


def _deadline(seen: Seen, options: WebOptions) -> float | None:
    limits = [] if options.deadline is None else [options.deadline]
    for name in options.deadline_headers:
        given = seen.header(name)
        if given is not None:
            seconds = _parsed(name.lower(), given.strip())
            if seconds is None:
                raise BadRequest(
                    f"header {name!r} is {given[:40]!r}, which is no time limit; send "
                    f"{_example(name.lower())}"
                )
            if seconds > 0:
                limits.append(seconds)
    if not limits:
        return None
    limit = min(limits)
    return limit - min(options.margin, limit * _MOST_MARGIN)


def _parsed(name: str, text: str) -> float | None:
    """Return seconds; 0 for "no limit", None for what means nothing."""
    if name == "grpc-timeout":
        found = _GRPC.fullmatch(text)
        return None if found is None else float(found[1]) * _GRPC_UNITS[found[2]]
    if name.endswith("-ms"):  # Envoy: milliseconds, 0 for no limit
        return float(text) / 1000 if re.fullmatch(r"\d{1,9}", text) else None
    found = _SECONDS.fullmatch(text)
    if found is None:
        return None
    seconds = float(found[1]) * (1e-3 if found[2] == "ms" else 1.0)
    return seconds or None


def _example(name: str) -> str:
    if name == "grpc-timeout":
        return "digits and a unit, such as '500m' for half a second"
    if name.endswith("-ms"):
        return "whole milliseconds, such as '2500'"
    return "seconds above zero, such as '2.5' or '500ms'"
