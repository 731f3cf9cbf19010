"""What a person gets to see of a call, and what makes two calls the same question."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from llmguard.store import fingerprint

from ._json import jsonable, stable_text

if TYPE_CHECKING:
    from llmguard.guard.tiers import TierContext
    from llmguard.outcome import Attempt

__all__ = ["Content", "Redactor", "content_of", "reasons_of"]

Redactor = Callable[[dict[str, object]], Mapping[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The part of a ticket that comes from the call's inputs.

    Attributes:
        inputs: What the person sees, redacted.
        fingerprint: Digest of the question, taken before redaction: two customers
            whose texts look alike once redacted have not asked the same.
        exact: True when the inputs are wholly told by their JSON, so that an equal
            fingerprint means the same question.
    """

    inputs: dict[str, object]
    fingerprint: str
    exact: bool


def content_of(call: TierContext, redact: Redactor | None) -> Content:
    """Return what to ask; a redactor that fails hides everything."""
    plain, exact = jsonable(dict(call.inputs))
    inputs = cast("dict[str, object]", plain)
    digest = "" if call.contract is None else call.contract.digest
    print_ = fingerprint(call.function, digest, stable_text(inputs))
    if redact is not None:
        inputs = _redacted(inputs, redact)
    return Content(inputs=inputs, fingerprint=print_, exact=exact)


def _redacted(inputs: dict[str, object], redact: Redactor) -> dict[str, object]:
    names = list(inputs)
    try:
        plain, _ = jsonable(dict(redact(inputs)))
    except Exception as error:  # noqa: BLE001 - a user's function may fail in any way
        why = f"hidden, because `redact` raised {type(error).__name__}"
        return {name: {"__redacted__": why} for name in names}
    return cast("dict[str, object]", plain)


def reasons_of(
    attempts: tuple[Attempt, ...], *, redacted: bool
) -> tuple[dict[str, object], ...]:
    """Return why each upper tier failed.

    Args:
        attempts: What was tried, in order.
        redacted: Leave out free text, which may quote what redaction hides.
    """
    return tuple(_reason(attempt, redacted=redacted) for attempt in attempts)


def _reason(attempt: Attempt, *, redacted: bool) -> dict[str, object]:
    return {
        "tier": attempt.tier,
        "kind": str(attempt.kind),
        "pin": attempt.pin,
        "detail": "" if redacted else attempt.detail,
        "violations": [
            {
                "path": one.path,
                "check": one.check,
                "message": "" if redacted else one.message,
            }
            for one in attempt.violations
        ],
    }
