"""When models end, by the provider's own list of them: `GET /models`.

Shapes are those of OpenAI (`shutdown_date`), Anthropic (`lifecycle`, `retires_at`) and
Mistral (`deprecation`); a server that says nothing about ends is believed to know none.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any, Final, cast
from urllib.parse import urlencode, urlsplit

from .. import config
from ..errors import ConfigError
from ._lock import Lock
from ._naming import naming
from ._pin import Pin

__all__ = ["SOURCE", "Listed", "Looked", "look_up", "need_some", "with_ends"]

SOURCE: Final = "list-models"
_TIMEOUT: Final = 15.0
_LARGEST: Final = 16 << 20
_PAGES: Final = 20
_ENDS: Final = (
    "shutdown_date",
    "retires_at",
    "retirement_date",
    "deprecation",
    "end_of_life",
)
_BASES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "openai": ("https://api.openai.com/v1", "OPENAI_API_KEY"),
        "anthropic": ("https://api.anthropic.com/v1", "ANTHROPIC_API_KEY"),
        "mistral": ("https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    }
)
_VERSION: Final = "2023-06-01"  # of Anthropic's API; without it every request fails


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What a provider's list says about one model.

    Attributes:
        model: Its id.
        shutdown: ISO date of its end; empty when none is announced.
    """

    model: str
    shutdown: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What one look-up came to.

    Attributes:
        pin: Id of the pin.
        model: Its model.
        listed: True when the list has it, False when not, None when there was no list.
        shutdown: ISO date of its end; empty for none.
        problem: Why there was no list; empty when there was.
    """

    pin: str
    model: str
    listed: bool | None
    shutdown: str = ""
    problem: str = ""


def look_up(pins: Iterable[Pin]) -> tuple[Looked, ...]:
    """Ask the providers of some pins about their models, each endpoint once.

    Pins of files and of providers without a list are left out. A key that is missing,
    or a server that does not answer, is a `problem`, not an error: the date that is
    known so far stays.
    """
    lists: dict[tuple[str, str], Mapping[str, Listed] | str] = {}
    found: list[Looked] = []
    for pin in pins:
        place = _place(pin)
        if place is None:
            continue
        if place not in lists:
            lists[place] = _list(*place, scheme=_scheme(pin))
        found.append(_looked(pin, lists[place]))
    return tuple(found)


def with_ends(lock: Lock, looked: Iterable[Looked], *, today: date) -> Lock:
    """Return the lock with the dates that were found; ids stay as they are.

    A date that a person wrote stays, who may know more. A model that is listed without
    an end loses the date that an earlier look-up gave it.
    """
    for one in looked:
        pin = lock.pins[one.pin]
        by_hand = "shutdown" in pin.lifecycle and "seen" not in pin.lifecycle
        if one.shutdown and not by_hand:
            noted = {"shutdown": one.shutdown, "source": SOURCE}
            lock = lock.with_pin(
                replace(pin, lifecycle={**noted, "seen": today.isoformat()})
            )
        elif one.listed and pin.lifecycle.get("source") == SOURCE:
            lock = lock.with_pin(replace(pin, lifecycle={}))
    return lock


def _scheme(pin: Pin) -> str:
    return naming().scheme(pin.provider, pin.endpoint)


def _place(pin: Pin) -> tuple[str, str] | None:
    """Return base URL and the variable of the key; None where there is no list."""
    scheme = _scheme(pin)
    base, variable = _BASES.get(scheme, ("", ""))
    if pin.provider not in ("openai", *_BASES):
        return None
    base = pin.endpoint or base
    named = pin.options.get("api_key_env", variable or "OPENAI_API_KEY")
    return (base.rstrip("/"), str(named)) if base else None


def _list(base: str, variable: str, *, scheme: str) -> Mapping[str, Listed] | str:
    """Return every listed model by id, or why there is no list."""
    key = os.environ.get(variable, "")
    if not key:
        return f"`{variable}` is not set"
    local = urlsplit(base).hostname in {"localhost", "127.0.0.1", "::1"}
    if config.load().refuse_remote and not local:
        return "the setting `refuse_remote` is on"
    try:
        return {one.model: one for one in _pages(base, _headers(scheme, key))}
    except urllib.error.HTTPError as error:
        return f"{base}/models answered {error.code}: check `{variable}`"
    except (OSError, ValueError) as error:
        return f"{base}/models cannot be read ({error})"


def _headers(scheme: str, key: str) -> dict[str, str]:
    if scheme == "anthropic":
        return {"x-api-key": key, "anthropic-version": _VERSION}
    return {"authorization": f"Bearer {key}"}


def _pages(base: str, headers: Mapping[str, str]) -> Iterator[Listed]:
    query: dict[str, str] = {}
    for _ in range(_PAGES):
        url = f"{base}/models" + (f"?{urlencode(query)}" if query else "")
        document = _get(url, headers)
        rows: object = document.get("data", document.get("models"))
        for row in cast("list[object]", rows) if isinstance(rows, list) else ():
            if isinstance(row, dict):
                yield from _row(cast("dict[str, Any]", row))
        if not (document.get("has_more") and document.get("last_id")):
            return
        query = {"after_id": str(document["last_id"])}


def _get(url: str, headers: Mapping[str, str]) -> dict[str, Any]:
    request = urllib.request.Request(url, headers=dict(headers))  # noqa: S310 - the pin's own endpoint, http or https
    opener = urllib.request.build_opener(_NoRedirect())
    with opener.open(request, timeout=_TIMEOUT) as answer:
        raw = answer.read(_LARGEST + 1)
    if len(raw) > _LARGEST:
        raise ValueError(f"more than {_LARGEST >> 20} MiB")
    found: object = json.loads(raw)
    if not isinstance(found, dict):
        raise ValueError("no list of models")  # noqa: TRY004 - what a server said
    return cast("dict[str, Any]", found)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A key goes to the endpoint of the pin and nowhere else."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow none: the answer's code is the error."""


def _row(row: Mapping[str, Any]) -> Iterator[Listed]:
    model = row.get("id")
    if not isinstance(model, str):
        return
    nested: object = row.get("lifecycle")
    places = [row, cast("dict[str, Any]", nested) if isinstance(nested, dict) else {}]
    dates = (_date(place.get(name)) for place in places for name in _ENDS)
    yield Listed(model=model, shutdown=next((one for one in dates if one), ""))


def _date(value: object) -> str:
    """Return an ISO date of what a list holds: a date, a time, or epoch seconds."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC).date().isoformat()
        if isinstance(value, str):
            return datetime.fromisoformat(value).date().isoformat()
    except (ValueError, OverflowError, OSError):
        pass
    return ""


def _looked(pin: Pin, found: Mapping[str, Listed] | str) -> Looked:
    if isinstance(found, str):
        return Looked(pin=pin.id, model=pin.model, listed=None, problem=found)
    one = found.get(pin.model)
    return Looked(
        pin=pin.id,
        model=pin.model,
        listed=one is not None,
        shutdown=one.shutdown if one else "",
    )


def need_some(looked: tuple[Looked, ...]) -> None:
    """Refuse a look-up that learnt nothing.

    Raises:
        ConfigError: No list was read; the message says why.
    """
    if looked and all(one.listed is None for one in looked):
        raise ConfigError(
            f"no provider could be asked: {looked[0].problem}; the dates in the lock "
            "and in the shipped table stay"
        )
