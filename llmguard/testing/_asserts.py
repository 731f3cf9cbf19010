"""Assertions about guarded calls that say what happened when they fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from ..contract import Contract
from ..errors import ConfigError, Deferred
from ..guard import capture, guard_of
from ..outcome import Kind, Outcome

__all__ = ["assert_contract_valid", "assert_degrades_to", "assert_outcome"]


def assert_degrades_to(
    func: Callable[..., Any], tier: str, /, *args: Any, **kwargs: Any
) -> Any:
    """Call a guarded function and assert which tier answered.

    Streams are read to their end. A person's tier has answered when it has made a
    ticket.

    Args:
        func: A guarded function of any kind; await the result where it is async.
        tier: Name of the tier that must answer.
        *args: Arguments of the call.
        **kwargs: Arguments of the call.

    Returns:
        The answer; the list of chunks of a stream; the `Deferred` of a ticket.

    Raises:
        AssertionError: Another tier answered, or none; the message lists the attempts.
        FallbackExhaustedError: No tier answered.
        ConfigError: The function is not guarded.
    """
    kind = guard_of(func).kind
    if kind in {"async", "agen"}:
        return _adegrades(func, tier, args, kwargs, stream=kind == "agen")
    with capture() as outcomes:
        try:
            found = func(*args, **kwargs)
            value = list(found) if kind == "gen" else found
        except Deferred as deferred:
            value = deferred
    _assert_tier(outcomes, tier)
    return value


async def _adegrades(
    func: Callable[..., Any],
    tier: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    stream: bool,
) -> Any:
    with capture() as outcomes:
        value: Any
        try:
            found = func(*args, **kwargs)
            value = [chunk async for chunk in found] if stream else await found
        except Deferred as deferred:
            value = deferred
    _assert_tier(outcomes, tier)
    return value


def _assert_tier(outcomes: Sequence[Outcome], tier: str) -> None:
    __tracebackhide__ = True
    outcome = outcomes[-1]  # guarded calls inside the call end before it does
    answered = outcome.tier
    if outcome.ticket_id and outcome.last is not None:
        answered = outcome.last.tier
    if answered != tier:
        raise AssertionError(
            f"expected tier {tier!r} to answer, not {answered!r}{_story(outcome)}"
        )


def assert_outcome(
    outcome: Outcome | None,
    *,
    kind: Kind | str | None = None,
    tier: str | None = None,
    attempts: int | Sequence[Kind | str] | None = None,
    degraded: bool | None = None,
) -> None:
    """Assert how a call went; what is None is not looked at.

    Args:
        outcome: From `capture()` or `current_outcome()`.
        kind: How it ended.
        tier: Name of the tier that answered.
        attempts: How many attempts there were, or how each of them ended.
        degraded: Whether another tier than the first one answered.

    Raises:
        AssertionError: It went otherwise; the message lists the attempts.
    """
    __tracebackhide__ = True
    if outcome is None:
        raise AssertionError("no guarded call has ended in this context")
    found: dict[str, object] = {
        "kind": outcome.kind,
        "tier": outcome.tier,
        "attempts": _attempts(outcome, attempts),
        "degraded": outcome.degraded,
    }
    expected: dict[str, object] = {
        "kind": kind,
        "tier": tier,
        "attempts": attempts if isinstance(attempts, int | None) else [*attempts],
        "degraded": degraded,
    }
    wrong = [
        f"`{name}` is {found[name]!r}, expected {value!r}"
        for name, value in expected.items()
        if value is not None and found[name] != value
    ]
    if wrong:
        raise AssertionError("; ".join(wrong) + _story(outcome))


def _attempts(outcome: Outcome, like: object) -> object:
    if isinstance(like, int):
        return len(outcome.attempts)
    return [attempt.kind for attempt in outcome.attempts]


def assert_contract_valid(
    judge: Contract | Callable[..., Any], value: object, /, **inputs: object
) -> Any:
    """Assert that a value satisfies a contract.

    Args:
        judge: A `Contract`, or a function guarded by `@contract`.
        value: The value, such as an answer or a static default.
        **inputs: The call's arguments, for checks that compare with them.

    Returns:
        The value as the contract reads it.

    Raises:
        AssertionError: It breaks the contract; the message lists the violations.
        ConfigError: The function has no contract.
    """
    __tracebackhide__ = True
    contract = judge if isinstance(judge, Contract) else guard_of(judge).contract
    if contract is None:
        raise ConfigError(
            f"`{guard_of(judge).name}` has no contract; decorate it with `@contract`"
        )
    verdict = contract.judge_value(value, inputs)
    if verdict.kind is not Kind.OK:
        reasons = "\n  ".join([verdict.detail, *map(str, verdict.violations)])
        raise AssertionError(f"{value!r} is {verdict.kind}:\n  {reasons}")
    return cast("Any", verdict.value)


def _story(outcome: Outcome) -> str:
    lines = [
        f"  {a.tier} #{a.number}: {a.kind}" + (f" ({a.detail})" if a.detail else "")
        for a in outcome.attempts
    ]
    return "; attempts:\n" + "\n".join(lines or ["  none"])
