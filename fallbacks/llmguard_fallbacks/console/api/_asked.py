"""What a request to the interface says, read strictly: wrong fields are named."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from llmguard.errors import QueueError
from llmguard.store import TicketRecord, TicketUnknownError

from .._problems import RefusedError
from .._visit import Handler, Visit, require
from ._answers import explained, problem

if TYPE_CHECKING:
    from starlette.responses import Response

__all__ = ["Body", "WrongFieldError", "api", "integer", "seen", "within"]

_MISSING: Final = object()
_LONGEST: Final = 10_000


class WrongFieldError(Exception):
    """A field of the request is missing, unknown, or of the wrong kind."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path


def api(
    scope: str, *, passive: bool = False, acts: bool = False
) -> Callable[[Handler], Any]:
    """Make an endpoint for programs: refusals become problems."""

    def decorate(handler: Handler) -> Any:
        if inspect.iscoroutinefunction(handler):

            @require(scope, passive=passive, acts=acts)
            @functools.wraps(handler)
            async def waiting(visit: Visit) -> Response:
                try:
                    answered: Response = await handler(visit)
                except (QueueError, RefusedError, WrongFieldError) as error:
                    return _refusal(error)
                return answered

            return waiting

        @require(scope, passive=passive, acts=acts)
        @functools.wraps(handler)
        def asked(visit: Visit) -> Response:
            try:
                return cast("Response", handler(visit))
            except (QueueError, RefusedError, WrongFieldError) as error:
                return _refusal(error)

        return asked

    return decorate


def _refusal(error: Exception) -> Response:
    if isinstance(error, WrongFieldError):
        wrong = {"path": error.path, "message": str(error), "check": "request"}
        detail = f"{error.path or 'the body'}: {error}"
        return problem(422, "request", detail, errors=[wrong])
    if isinstance(error, RefusedError):
        return problem(error.status, error.code, str(error), headers=error.headers)
    return explained(cast("QueueError", error))


def seen(visit: Visit) -> TicketRecord:
    """Return the ticket in the path, if the principal may see it.

    Raises:
        TicketUnknownError: There is none for this principal.
    """
    name = visit.param("ticket_id")
    # Ids alone: idempotency keys are the callers' own, and may be guessed.
    record = visit.store.tickets.get(name)
    if record.id != name or not visit.principal.sees(record.role):
        raise TicketUnknownError(name)
    return record


class Body:
    """The fields of a posted object; `done` refuses those that were not asked for."""

    def __init__(self, visit: Visit) -> None:
        given: Any = visit.json() if visit.body else {}
        if not isinstance(given, Mapping):
            raise WrongFieldError("", "must be a JSON object")
        self._given = dict(cast("Mapping[str, Any]", given))
        self._asked: set[str] = set()

    def value(self, name: str) -> Any:
        """Return a field that must be there, whatever it is."""
        self._asked.add(name)
        if name not in self._given:
            raise WrongFieldError(f"/{name}", "is missing")
        return self._given[name]

    def text(self, name: str, default: str | None = None, *, empty: bool = True) -> str:
        """Return a text; one without a default must be there."""
        self._asked.add(name)
        found = self._given.get(name, _MISSING)
        if found is _MISSING and default is not None:
            return default
        if found is _MISSING:
            raise WrongFieldError(f"/{name}", "is missing")
        if not isinstance(found, str) or len(found) > _LONGEST:
            raise WrongFieldError(
                f"/{name}", f"must be a text of at most {_LONGEST} characters"
            )
        if found != found.encode("utf-8", "replace").decode():
            raise WrongFieldError(f"/{name}", "has half a surrogate pair, no character")
        if not empty and not found.strip():
            raise WrongFieldError(f"/{name}", "must say something")
        return found

    def seconds(self, name: str, default: float) -> float:
        """Return a number of seconds, up to a day."""
        self._asked.add(name)
        found = self._given.get(name, default)
        return within(found, f"/{name}", least=1.0, most=86_400.0)

    def done(self) -> None:
        """Refuse fields that mean nothing: they are typing errors."""
        for name in sorted(self._given.keys() - self._asked):
            raise WrongFieldError(f"/{name}"[:200], "is no field of this request")


def within(found: object, path: str, *, least: float, most: float) -> float:
    """Return a finite number between bounds.

    Raises:
        WrongFieldError: It is none.
    """
    number = isinstance(found, int | float) and not isinstance(found, bool)
    if not number or not least <= cast("float", found) <= most:
        raise WrongFieldError(path, f"must be a number from {least:g} to {most:g}")
    return float(cast("float", found))


def integer(visit: Visit, name: str, default: int, *, least: int, most: int) -> int:
    """Return a whole number from the query.

    Raises:
        WrongFieldError: It is none, or out of bounds.
    """
    text = visit.query(name)
    if not text:
        return default
    whole = text.isascii() and text.isdecimal() and len(text) <= len(str(most))
    found = int(text) if whole else math.inf
    if not least <= found <= most:
        raise WrongFieldError(
            f"?{name}", f"must be a whole number from {least} to {most}"
        )
    return int(found)
