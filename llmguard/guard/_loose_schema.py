"""Says at decoration what a model's provider cannot hold of the contract's schema."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ..adapters import provider_for
from ..errors import ConfigError, LLMGuardError, LLMGuardWarning, TierUnavailableError

if TYPE_CHECKING:
    from ..pins import Pin
    from ._guard import Guard

__all__ = ["loose_keywords", "warn_loose_schema"]

_REMOTE: Final = {"openai", "replay"}
"""Providers that only pass the schema on; making them here would cost an import."""


def loose_keywords(guard: Guard, pin: Pin) -> list[str]:
    """Return what `pin`'s provider enforces only after decoding, one line each.

    A provider says so in `check_schema(schema) -> list[str]`; one without it is not
    asked.

    Raises:
        ConfigError: The provider cannot answer under this schema at all, or there is
            no such provider.
        TierUnavailableError: It lacks a package.
    """
    if guard.schema is None or pin.provider in _REMOTE:
        return []
    check: Callable[[object], list[str]] | None
    check = getattr(provider_for(pin), "check_schema", None)
    return [] if check is None else check(guard.schema)


def warn_loose_schema(guard: Guard, told: set[str]) -> None:
    """Warn once per pin, at the line of whoever decorates three frames up.

    A package that is not installed is no news here: `llmguard doctor` says so.

    Args:
        guard: The guard as declared so far.
        told: Digests of the contract and pins already looked at; added to.
    """
    for step in guard.steps:
        if step.pins is None or guard.contract is None:
            continue
        pin = step.pins.current
        if pin.provider in _REMOTE:
            continue
        key = f"{guard.name}|{pin.id}|{guard.contract.digest}"
        if key in told:
            continue
        told.add(key)
        if message := _message(guard, pin):
            text = f"the tier `{step.name}` of `{guard.name}` {message}"
            warnings.warn(text, LLMGuardWarning, stacklevel=4)


def _message(guard: Guard, pin: Pin) -> str:
    try:
        provider_for(pin)
    except LLMGuardError:
        return ""  # it may be registered later; the first call and the doctor say it
    try:
        found = loose_keywords(guard, pin)
    except ConfigError as error:
        return f"cannot answer under its contract: {error}"
    except TierUnavailableError:
        return ""
    return f"holds these only by drawing again: {'; '.join(found)}" if found else ""
