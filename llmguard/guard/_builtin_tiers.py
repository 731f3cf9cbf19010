"""The tiers that need nothing but Python: another pin, a function, a constant."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from .._dataclass import dataclass
from ..errors import ConfigError
from ..outcome import Kind
from ..reply import Reply
from .tiers import Tier, TierContext, TierOptions

if TYPE_CHECKING:
    from ..contract import Contract
    from ..pins import Pin

__all__ = ["FunctionTier", "OnPin", "StaticTier", "as_tier", "on_pin", "static"]

Spread: TypeAlias = Callable[[Mapping[str, object]], tuple[list[Any], dict[str, Any]]]
"""Makes the arguments of a call of named inputs; None where the names say it all."""

_LOCAL_RESERVE: Final = 8.0
_UNDECIDED: Final = frozenset({Kind.OK, Kind.SEMANTIC, Kind.ERROR, Kind.LOW_CONFIDENCE})


@dataclass(frozen=True, slots=True, kw_only=True)
class OnPin:
    """The guarded function itself, run on another pin."""

    pin: str | Pin
    name: str
    options: TierOptions
    terminal: bool = field(default=False, init=False)
    inline: bool = field(default=False, init=False)

    def run(self, call: TierContext) -> object:
        """Never called: the engine runs the function's own body for this tier."""
        raise AssertionError(call)

    def check(self, contract: Contract | None) -> None:
        """Accept any contract: the same one judges this tier's answers."""


def on_pin(
    pin: str | Pin,
    *,
    name: str = "",
    when: Callable[[TierContext], bool] | None = None,
    min_confidence: float | None = None,
    timeout: float | None = None,
    reserve: float = _LOCAL_RESERVE,
    concurrency: int | None = None,
    attempts: int = 1,
) -> OnPin:
    """Answer with the same function on another pinned model.

    Args:
        pin: A route of `models.lock`, or a `Pin`.
        name: Name of the tier; the route's by default.
        when: Skip the tier for calls where this returns False.
        min_confidence: Answers below it go on down the chain.
        timeout: Seconds one attempt may take.
        reserve: Seconds that upper tiers leave for this one; 8 suits a small local
            model on a CPU.
        concurrency: Calls in this tier at once; a full tier is passed over.
        attempts: Tries within this tier, the first one included.

    Returns:
        A tier for `@fallback_chain`.
    """
    options = TierOptions(
        when=when,
        min_confidence=min_confidence,
        timeout=timeout,
        reserve=reserve,
        concurrency=concurrency,
        attempts=attempts,
    )
    label = name or (pin if isinstance(pin, str) else pin.route)
    return OnPin(pin=pin, name=label, options=options)


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionTier:
    """A plain function with the guarded function's own arguments."""

    function: Callable[..., object]
    name: str
    options: TierOptions = field(default_factory=TierOptions)
    spread: Spread | None = None
    terminal: bool = field(default=False, init=False)
    inline: bool = field(default=False, init=False)

    def run(self, call: TierContext) -> object:
        """Call the function with the call's arguments, by name where they have one."""
        if self.spread is None:
            return self.function(**call.inputs)
        args, kwargs = self.spread(call.inputs)
        return self.function(*args, **kwargs)

    def check(self, contract: Contract | None) -> None:
        """Accept any contract: the same one judges what the function returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticTier:
    """A constant, checked against the contract when the function is decorated."""

    value: object
    name: str
    options: TierOptions
    terminal: bool = field(default=True, init=False)
    inline: bool = field(default=True, init=False)

    def run(self, call: TierContext) -> object:  # noqa: ARG002 - the same for any call
        """Return a fresh copy, so that callers cannot change each other's answer."""
        return Reply(value=copy.deepcopy(self.value), has_value=True)

    def check(self, contract: Contract | None) -> None:
        """Raise `ConfigError` when the constant breaks the contract."""
        if contract is None:
            return
        verdict = contract.judge_value(copy.deepcopy(self.value), {})
        if verdict.kind in _UNDECIDED:
            # Checks that compare with the inputs cannot be judged before a call.
            return
        reasons = "; ".join(str(v) for v in verdict.violations) or verdict.detail
        raise ConfigError(
            f"`static({self.value!r})` breaks the contract `{contract.name}`: "
            f"{reasons}. Give a value that satisfies it."
        )


def static(
    value: object,
    *,
    name: str = "static",
    when: Callable[[TierContext], bool] | None = None,
) -> StaticTier:
    """Answer with a constant; a tier that cannot fail.

    Args:
        value: What to return; every call gets a deep copy of it.
        name: Name of the tier.
        when: Skip the tier for calls where this returns False; a tier with a condition
            is not a safe last tier.

    Returns:
        A tier for `@fallback_chain`.

    Raises:
        ConfigError: The value cannot be copied.
    """
    try:
        copy.deepcopy(value)
    except Exception as error:  # a foreign `__deepcopy__` may raise anything
        raise ConfigError(
            f"`static({value!r})` cannot be copied for each call ({error}): give plain "
            "data, or a function that makes it"
        ) from error
    return StaticTier(
        value=value, name=name, options=TierOptions(when=when, reserve=0.0)
    )


def as_tier(candidate: object) -> Tier:
    """Make a tier of what was written in `@fallback_chain(...)`.

    Raises:
        ConfigError: It is neither a tier nor a function.
    """
    if isinstance(candidate, Tier) and not isinstance(candidate, type):
        return candidate
    if callable(candidate) and not isinstance(candidate, type):
        name = getattr(candidate, "__name__", type(candidate).__name__)
        return FunctionTier(function=candidate, name=name)
    hint = ""
    if isinstance(candidate, str):
        hint = f" Did you mean `on_pin({candidate!r})`?"
    elif isinstance(candidate, Mapping | list | tuple):
        hint = f" Did you mean `static({candidate!r})`?"
    raise ConfigError(
        f"`@fallback_chain` got {candidate!r}, which is no tier: give `on_pin(...)`, "
        f"`rules(...)`, `human(...)`, `static(...)` or a plain function.{hint}"
    )
