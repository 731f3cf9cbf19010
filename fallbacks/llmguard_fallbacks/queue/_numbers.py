"""Which numbers a human tier takes."""

from __future__ import annotations

import math

from llmguard.errors import ConfigError

__all__ = ["refuse_numbers"]


def refuse_numbers(queue: str, **numbers: float | None) -> None:
    """Refuse numbers of `human(queue, ...)` that mean nothing; None means nothing.

    Raises:
        ConfigError: One is negative, 0 where that is no length, or endless.
    """
    for name, number in numbers.items():
        lowest = 0.0 if name == "wait" else 1e-9
        # Endless waiting ends with the deadline; a date that never comes is no date.
        endless = name != "wait" and number == math.inf
        if number is not None and (endless or not number >= lowest):
            bound = "0 or more" if name == "wait" else "a number above 0, or None"
            raise ConfigError(
                f"`{name}` of `human({queue!r})` is {number!r}; it must be {bound}"
            )
