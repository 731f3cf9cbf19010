"""The ways to say what a function owes, one per indicator."""

from __future__ import annotations

from ...telemetry.objectives import DAY, Objective, Sli

__all__ = [
    "accepted",
    "answered",
    "contract_valid",
    "corrected",
    "degraded",
    "refused",
    "rejected",
    "schema_valid",
    "within",
]

_DAYS = 30.0


def _made(
    sli: Sli,
    target: float,
    days: float,
    name: str,
    owner: str,
    *,
    threshold: float | None = None,
) -> Objective:
    return Objective(
        sli=sli,
        target=target,
        window=days * DAY,
        name=name,
        owner=owner,
        threshold=threshold,
    )


def schema_valid(
    share: float, *, days: float = _DAYS, name: str = "", owner: str = ""
) -> Objective:
    """Owe that `share` of a version's first answers can be read and fit the schema.

    Args:
        share: Such as 0.995.
        days: Length of the window.
        name: What reports and metrics call it.
        owner: Who is asked when it is missed.

    Raises:
        ConfigError: The share is not between 0 and 1, or the name cannot be a label.
    """
    return _made(Sli.SCHEMA_VALID, share, days, name, owner)


def contract_valid(
    share: float, *, days: float = _DAYS, name: str = "", owner: str = ""
) -> Objective:
    """Owe that `share` of the first answers keep the whole contract, checks included.

    A refusal is a broken contract too. Arguments as in `schema_valid`.
    """
    return _made(Sli.CONTRACT_VALID, share, days, name, owner)


def refused(
    at_most: float, *, days: float = _DAYS, name: str = "refusals", owner: str = ""
) -> Objective:
    """Owe that at most that share of the first answers are refused or filtered."""
    return _made(Sli.NOT_REFUSED, _rest(at_most), days, name, owner)


def answered(
    share: float, *, days: float = _DAYS, name: str = "", owner: str = ""
) -> Objective:
    """Owe that `share` of the calls get an answer, from any tier or from a person."""
    return _made(Sli.ANSWERED, share, days, name, owner)


def degraded(
    at_most: float, *, days: float = _DAYS, name: str = "degraded", owner: str = ""
) -> Objective:
    """Owe that at most that share of the calls are not answered by the first tier."""
    return _made(Sli.NOT_DEGRADED, _rest(at_most), days, name, owner)


def within(
    seconds: float,
    *,
    share: float,
    days: float = _DAYS,
    name: str = "",
    owner: str = "",
) -> Objective:
    """Owe that `share` of the answered calls take at most `seconds`."""
    return _made(Sli.FAST, share, days, name, owner, threshold=seconds)


def corrected(
    at_most: float, *, days: float = _DAYS, name: str = "corrections", owner: str = ""
) -> Objective:
    """Owe that people correct at most that share of the answers of a version."""
    return _made(Sli.UNCORRECTED, _rest(at_most), days, name, owner)


def rejected(
    at_most: float, *, days: float = _DAYS, name: str = "rejections", owner: str = ""
) -> Objective:
    """Owe that at most that share of a version's answers are rejected downstream."""
    return _made(Sli.ACCEPTED, _rest(at_most), days, name, owner)


def accepted(
    share: float, *, days: float = _DAYS, name: str = "", owner: str = ""
) -> Objective:
    """Owe that `share` of a version's answers are not rejected downstream."""
    return _made(Sli.ACCEPTED, share, days, name, owner)


def _rest(at_most: float) -> float:
    # 1 - 0.01 would be 0.99, and 1 - 0.07 would be 0.9299999999999999.
    return round(1.0 - at_most, 12)
