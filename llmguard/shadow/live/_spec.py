"""What `@shadow` says about one function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar, Unpack

from ..._dataclass import dataclass
from ...errors import ConfigError
from ...guard import Guard, guard_of
from ...guard._guard import extend
from ...pins import Pin, load_lock, resolve
from ._options import ShadowOptions, ShadowValues

if TYPE_CHECKING:
    from .._ladder import Ladder
    from .._rule import Rule

__all__ = ["ShadowSpec", "ladder_of", "pin_named", "shadow", "spec_of"]

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowSpec:
    """A function's own word on its shadows.

    Attributes:
        pin: The challenger that it starts by itself; None to start none.
        options: How that one samples; for shadows that somebody else starts, its
            `run`, `deadline` and `redact` hold too.
        fields: How single fields are compared; the rest goes by the contract's schema.
        ladder: How whole answers are compared, instead of both.
    """

    pin: Pin | None
    options: ShadowOptions
    fields: Mapping[str, Rule]
    ladder: Ladder | None = None

    def check(self, guard: Guard) -> None:
        """Refuse a body that may not run twice and is told to.

        Raises:
            ConfigError: It is.
        """
        if self.options.run == "body" and guard.idempotent is False:
            raise ConfigError(
                f"`@shadow(run='body')` would run `{guard.name}` twice for one call, "
                "which says `idempotent=False`: leave `run` out, and its model call "
                "alone is repeated"
            )


class _Transparent(Protocol):
    """A decorator that leaves the function's type as it is."""

    def __call__(self, function: Callable[P, R], /) -> Callable[P, R]: ...


def shadow(
    pin: str | Pin | None = None,
    /,
    *,
    fields: Mapping[str, Rule] | None = None,
    ladder: Ladder | None = None,
    **options: Unpack[ShadowValues],
) -> _Transparent:
    """Run another version beside a function, on a share of its live calls.

    Callers notice nothing: the other version is asked after they have their answer, on
    threads, a budget and a breaker of its own. Without a pin it starts nothing by
    itself, but says how shadows of the function are run and compared when
    `llmguard shadow start` starts one.

    Args:
        pin: The challenger: the id of a pin in `models.lock`, another route, a `Pin`.
        fields: How single fields of two answers are compared, such as
            `{"note": ignored(), "total": number(absolute=0.01)}`; the rest goes by the
            contract's schema.
        ladder: A whole `Ladder`, instead of `fields`.
        **options: As in `ShadowOptions`: `share`, `double`, `max_calls`, `content`, ...

    Returns:
        A decorator that keeps the function's type; in any order with the others.

    Raises:
        ConfigError: An option cannot be, or the function says `idempotent=False` and
            the shadow `run="body"`.
        LockError: The lock has no such pin.
    """
    if callable(pin) and not isinstance(pin, Pin):
        name = getattr(pin, "__name__", repr(pin))
        raise ConfigError(
            f"`@shadow` needs to know which challenger: write `@shadow(PIN)` over "
            f"`{name}`, or `@shadow()` to start none"
        )
    if fields and ladder is not None:
        raise ConfigError("`@shadow` got `fields` and a `ladder`: put one in the other")
    spec = ShadowSpec(
        pin=pin_named(pin) if isinstance(pin, str) else pin,
        options=ShadowOptions(**options),
        fields=dict(fields or {}),
        ladder=ladder,
    )

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        from ._shadows import SHADOWS

        made = extend(function, "shadow", shadow=spec)
        spec.check(guard_of(made))
        SHADOWS.attach()
        return made

    return decorate


def pin_named(name: str) -> Pin:
    """Return the pin of an id in the lock, or the active one of a route.

    Raises:
        LockError: The lock has neither.
    """
    lock = load_lock()
    found = lock.pins.get(name)
    return resolve(name, lock=lock) if found is None else found


def spec_of(guard: Guard) -> ShadowSpec | None:
    """Return what `@shadow` left on a guard; None without it."""
    return guard.shadow if isinstance(guard.shadow, ShadowSpec) else None


def ladder_of(guard: Guard) -> Ladder:
    """Return how two answers of a function are compared."""
    from .._ladder import Ladder

    spec = spec_of(guard)
    if spec is not None and spec.ladder is not None:
        return spec.ladder
    return Ladder(contract=guard.contract, fields=None if spec is None else spec.fields)
