"""What a person gets to see of a call, and what makes two calls the same question."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from llmguard.store import fingerprint
from llmguard.telemetry.redact import scrub

from ._json import jsonable, stable_text

if TYPE_CHECKING:
    from llmguard.contract import Contract
    from llmguard.guard.tiers import Proposal, TierContext
    from llmguard.outcome import Attempt

__all__ = [
    "Content",
    "OutputRedactor",
    "Redactor",
    "content_of",
    "labels_of",
    "outputs_of",
    "reasons_of",
]

Redactor = Callable[[dict[str, object]], Mapping[str, object]]
"""Takes the inputs as JSON and returns what a reviewer may see."""
OutputRedactor = Callable[[object], object]
"""Takes what a tier proposed and returns what a reviewer may see."""
_LONGEST: Final = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The part of a ticket that comes from the call's inputs.

    Attributes:
        inputs: What the person sees, redacted.
        fingerprint: Digest of the question, taken before redaction: two customers
            whose texts look alike once redacted have not asked the same.
        exact: True when the inputs are wholly told by their JSON, so that an equal
            fingerprint means the same question.
        redacted: True when redaction changed anything.
    """

    inputs: dict[str, object]
    fingerprint: str
    exact: bool
    redacted: bool


def content_of(call: TierContext, redact: Redactor | None) -> Content:
    """Return what to ask; a redactor that fails hides everything."""
    plain, exact = jsonable(dict(call.inputs))
    inputs = cast("dict[str, object]", plain)
    digest = "" if call.contract is None else call.contract.digest
    print_ = fingerprint(call.function, digest, stable_text(inputs))
    shown = inputs if redact is None else _redacted(inputs, redact)
    changed = shown is not inputs and stable_text(shown) != stable_text(plain)
    return Content(inputs=shown, fingerprint=print_, exact=exact, redacted=changed)


def _redacted(inputs: dict[str, object], redact: Redactor) -> dict[str, object]:
    names = list(inputs)
    try:
        # A copy: a redactor may change what it is given.
        plain, _ = jsonable(dict(redact(cast("dict[str, object]", _copy(inputs)))))
    except Exception as error:  # noqa: BLE001 - a user's function may fail in any way
        why = f"hidden, because `redact` raised {type(error).__name__}"
        return {name: {"__redacted__": why} for name in names}
    return cast("dict[str, object]", plain)


def _copy(plain: object) -> object:
    return jsonable(plain)[0]


def labels_of(call: TierContext, *, redacted: bool) -> dict[str, str]:
    """Return the call's labels.

    Args:
        call: The call.
        redacted: Blank what looks like personal data or a secret. The program sets
            labels to tell kinds of calls apart, so that the rest of them is shown.
    """
    given = call.labels.items()
    return {name: scrub(text) if redacted else text for name, text in given}


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


def outputs_of(
    call: TierContext, *, hidden: bool, redact: OutputRedactor | None
) -> tuple[dict[str, object], ...]:
    """Return what upper tiers proposed.

    Args:
        call: The call.
        hidden: Leave out what they said, which may quote what redaction hides.
        redact: Takes what was said and returns what may be shown; then it is.
    """
    shown = redact is not None or not hidden
    return tuple(
        {
            "attempt": one.attempt,
            "tier": one.tier,
            "pin": one.pin,
            "kind": str(one.kind),
            "confidence": one.confidence,
            **(dict(_said(one, call.contract, redact)) if shown else {}),
        }
        for one in call.proposals
    )


def _said(
    one: Proposal, contract: Contract | None, redact: OutputRedactor | None
) -> Iterator[tuple[str, object]]:
    found, value = _value(one, contract)
    said = value if found else one.text[:_LONGEST]
    if redact is not None:
        try:
            said = jsonable(redact(said))[0]
        except Exception:  # noqa: BLE001 - a user's function may fail in any way
            return
    yield ("value" if found else "text"), said


def _value(one: Proposal, contract: Contract | None) -> tuple[bool, object]:
    if one.has_value:
        return True, jsonable(one.value)[0]
    if contract is None:
        return False, None
    from llmguard.contract._parse import Parsed, parse_text

    parsed = parse_text(one.text, contract.parse)
    if isinstance(parsed, Parsed):
        return True, parsed.document
    return False, None
