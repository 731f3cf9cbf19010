"""What is wrong with a lock, or soon will be; one finding per fact."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from ..errors import ConfigError
from ._files import content_hash, hash_option
from ._lifecycle import HORIZON, ending
from ._naming import classify, naming
from ._pin import Pin

__all__ = ["Finding", "check"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing to repair.

    Attributes:
        code: "alias", "opaque", "unknown", "class", "shutdown", "file-missing" or
            "file-changed".
        route: The route of the pin.
        pin: Id of the pin.
        message: What is wrong, one line.
        repair: The command or edit that repairs it.
        stale: True when the lock no longer says what is so: exit code 4, not 1.
    """

    code: str
    route: str
    pin: str
    message: str
    repair: str
    stale: bool = False


def check(
    pins: Iterable[Pin],
    *,
    horizon: timedelta = HORIZON,
    today: date | None = None,
    strict: bool = False,
    files: bool = True,
) -> tuple[Finding, ...]:
    """Look for pins that must not run, will not run for long, or have changed.

    Args:
        pins: Those to look at, usually all of a lock.
        horizon: Shutdowns within it are found.
        today: The date to count from; None for today in UTC.
        strict: Also find names that no rule knows.
        files: Hash model files and compare; reads every one of them.
    """
    today = today or datetime.now(UTC).date()
    found: list[Finding] = []
    for pin in pins:
        found.extend(_naming(pin, strict=strict))
        found.extend(_lifecycle(pin, horizon, today))
        if files and hash_option(pin):
            found.extend(_file(pin))
    return tuple(found)


def _lifecycle(pin: Pin, horizon: timedelta, today: date) -> Iterator[Finding]:
    if message := ending(pin, horizon=horizon, today=today):
        yield _finding(pin, "shutdown", message, _add_successor(pin))


def _naming(pin: Pin, *, strict: bool) -> Iterator[Finding]:
    now = classify(pin.provider, pin.model, endpoint=pin.endpoint, options=pin.options)
    at = f"model {pin.model!r} of route {pin.route!r}"
    if now.version_class == "alias":
        better = now.suggestion or f"one of {_docs(pin)}"
        message = f"{at} is an alias: {now.reason}; pinned: {better}"
        yield _finding(pin, "alias", message, _add_successor(pin, now.suggestion))
    elif now.version_class == "opaque" and not pin.accept_opaque:
        repair = f"llmguard pin add {pin.route} ... --accept-opaque REASON"
        yield _finding(pin, "opaque", f"{at} is opaque: {now.reason}", repair)
    elif now.version_class == "unknown" and strict:
        repair = f"llmguard pin classify {pin.provider} {pin.model}"
        yield _finding(pin, "unknown", f"{at} is unknown: {now.reason}", repair)
    elif now.version_class != pin.version_class:
        message = f"{at} is {now.version_class} now, {pin.version_class} in the lock"
        yield _finding(pin, "class", message, "llmguard pin refresh", stale=True)


def _file(pin: Pin) -> Iterator[Finding]:
    try:
        now = content_hash(pin)
    except ConfigError as error:
        repair = "put the file there, or `llmguard pin remove " + pin.id + "`"
        yield _finding(pin, "file-missing", str(error), repair)
        return
    noted = pin.options.get(hash_option(pin))
    if noted and noted != now:
        message = (
            f"the file of route {pin.route!r} is not the one that was pinned: "
            f"SHA-256 {now[:12]}... now, {str(noted)[:12]}... in the lock"
        )
        repair = "restore the file, or `llmguard pin refresh --files`"
        yield _finding(pin, "file-changed", message, repair, stale=True)


def _finding(
    pin: Pin, code: str, message: str, repair: str, *, stale: bool = False
) -> Finding:
    return Finding(
        code=code,
        route=pin.route,
        pin=pin.id,
        message=message,
        repair=repair,
        stale=stale,
    )


def _add_successor(pin: Pin, model: str = "") -> str:
    return (
        f"llmguard pin add {pin.route} --provider {pin.provider} "
        f"--model {model or 'MODEL'}"
    )


def _docs(pin: Pin) -> str:
    table = naming()
    return table.docs[table.scheme(pin.provider, pin.endpoint)]
