"""The guarded function that a suite is about, whatever was put around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import ConfigError
from ..guard import Guard, guard_of
from ..guard._guard import (  # the public list has one guard per function
    _REGISTERING,  # pyright: ignore[reportPrivateUsage] - inner wrappers count here
    _WRAPPERS,  # pyright: ignore[reportPrivateUsage] - likewise
)

__all__ = ["guard_behind", "name_of", "raw_function"]

_ATTRIBUTE = "__llmguard__"


def raw_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function as its author wrote it, as far as can be seen."""
    guard = getattr(function, _ATTRIBUTE, None)
    return guard.function if isinstance(guard, Guard) else function


def name_of(function: Callable[..., Any]) -> str:
    """Return module and qualified name, as `Guard.name` does."""
    raw = raw_function(function)
    name = getattr(raw, "__qualname__", type(raw).__name__)
    return f"{raw.__module__}.{name}"


def guard_behind(function: Callable[..., Any]) -> Guard:
    """Return the guard with everything that all decorators said.

    A decorator that came after the suite made another wrapper, so the function's own
    guard may be out of date.

    Raises:
        ConfigError: No decorator of llmguard is on it.
    """
    raw = raw_function(function)
    found = [guard for guard in _guards() if _is_about(guard, raw)]
    own = getattr(function, _ATTRIBUTE, None)
    if isinstance(own, Guard):
        later = [guard for guard in found if guard.declared > own.declared]
        found = later or [own]
    if found:
        return max(found, key=lambda guard: len(guard.declared))
    raise ConfigError(
        f"the suite's function `{name_of(function)}` is not guarded: decorate it with "
        "`@contract` and `@pinned`, so that the suite can ask another version and "
        "judge what it says"
    )


def _guards() -> list[Guard]:
    """Return the guards of every wrapper that is still alive, inner ones included."""
    with _REGISTERING:
        wrappers = list(_WRAPPERS)
    return [guard_of(wrapper) for wrapper in wrappers]


def _is_about(guard: Guard, raw: Callable[..., Any]) -> bool:
    """Tell whether a guard's function is `raw` or wraps it."""
    seen: Any = guard.function
    while seen is not None and seen is not raw:
        seen = getattr(seen, "__wrapped__", None)
    return seen is raw
