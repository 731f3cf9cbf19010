"""`@suite`: a suite that stands next to its function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack, cast

from ..errors import ConfigError
from ._assertion import Assertion
from ._cases import CaseSource
from ._suite import Suite
from ._target import raw_function
from ._types import Scope

if TYPE_CHECKING:
    from ..pins import Pin

__all__ = ["SuiteSettings", "suite", "suites_of"]

F = TypeVar("F", bound=Callable[..., Any])

_ATTRIBUTE = "__llmguard_suites__"


class SuiteSettings(TypedDict, total=False):
    """What `@suite` hands on to `Suite`, where it is explained."""

    defaults: bool
    alpha: float
    beta: float
    scope: Scope
    incumbent: str | Pin | None
    owner: str
    min_rounds: int
    n_min: int
    cap: int
    budget: float | None
    max_calls: int | None


def suite(
    *,
    cases: CaseSource,
    assertions: Iterable[Assertion] | None = None,
    name: str = "",
    **settings: Unpack[SuiteSettings],
) -> Callable[[F], F]:
    """Say what must hold for every version that answers for a function.

    The function is returned as it is. Where this stands among llmguard's decorators
    does not matter, and neither cases nor default assertions are worked out before
    the suite is run: production code pays nothing.

    Args:
        cases: As in `Suite`; relative paths start at the function's own file.
        assertions: As in `Suite`; None for `expect.defaults`.
        name: As in `Suite`; the function's name unless given.
        **settings: As in `Suite`.

    Raises:
        ConfigError: Something that is no function, or a second suite of that name.
    """

    def decorate(function: F) -> F:
        raw = raw_function(function)
        if not inspect.isfunction(raw):
            raise ConfigError(
                f"`@suite` got {function!r}: decorate a plain function, below or above "
                "llmguard's other decorators"
            )
        file = Path(raw.__code__.co_filename)
        made = Suite(
            name or raw.__name__,
            function,
            cases=cases,
            assertions=assertions,
            base=file.parent,
            source=f"{file}:{raw.__code__.co_firstlineno}",
            **settings,
        )
        _register(raw, function, made)
        return function

    return decorate


def _register(
    raw: Callable[..., Any], function: Callable[..., Any], made: Suite
) -> None:
    found: list[Suite] = raw.__dict__.setdefault(_ATTRIBUTE, [])
    if any(each.name == made.name for each in found):
        raise ConfigError(
            f"two suites of `{made.function_name}` are called {made.name!r}: give one "
            "of them another `name`"
        )
    found.append(made)
    # Wrappers made later copy it; the one at hand was made before.
    setattr(function, _ATTRIBUTE, found)


def suites_of(function: object) -> tuple[Suite, ...]:
    """Return the suites that `@suite` put next to a function."""
    return tuple(cast("list[Suite]", getattr(function, _ATTRIBUTE, ())))
