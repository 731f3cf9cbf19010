"""What calls cost, by a table of prices that the user keeps.

There is none built in: a price that has changed would spend somebody's money.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from .._nested import read_toml
from ..errors import ConfigError
from ..outcome import Usage
from ..pins import Pin

__all__ = ["Price", "Prices", "read_prices"]

_MILLION: Final = 1e6
_FREE: Final = frozenset({"replay", "fake", "llama.cpp"})
"""Providers whose calls are not billed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """US dollars per million tokens, and per call."""

    input: float = 0.0
    output: float = 0.0
    call: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Prices by model id, or by `provider:model` where providers differ."""

    models: Mapping[str, Price] = field(default_factory=dict[str, Price])
    source: str = ""

    def of(self, pin: Pin) -> Price | None:
        """Return the price of a pin's calls; None when the table has none."""
        found = self.models.get(f"{pin.provider}:{pin.model}")
        found = found or self.models.get(pin.model)
        return Price() if found is None and pin.provider in _FREE else found

    def cost(self, pin: Pin, usage: Usage | None) -> float | None:
        """Return US dollars of a call; None when the price or the tokens are unknown.

        Args:
            pin: What was called.
            usage: Tokens that the provider counted.
        """
        price = self.of(pin)
        if price is None:
            return None
        counted = usage or Usage()
        total = price.call
        for rate, count in (
            (price.input, counted.input_tokens),
            (price.output, counted.output_tokens),
        ):
            if rate and count is None:
                return None
            total += rate * (count or 0) / _MILLION
        return total


def read_prices(path: str | Path) -> Prices:
    """Read a table of prices: one TOML table per model.

    `["gpt-4o-2024-08-06"]`, then `input = 2.5` and `output = 10.0`, US dollars per
    million tokens, or `call`, US dollars each.

    Raises:
        ConfigError: The file cannot be read or says something else.
    """
    try:
        document = read_toml(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"the prices {str(path)!r} cannot be read: {error}; write one table per "
            'model, `["gpt-4o-2024-08-06"]` with `input = 2.5` and `output = 10.0`'
        ) from error
    models = {name: _price(name, row, path) for name, row in document.items()}
    return Prices(models=models, source=str(path))


def _price(name: str, row: object, path: str | Path) -> Price:
    known = set(Price.__slots__)
    fields = cast("dict[str, Any]", row) if isinstance(row, dict) else {}
    good = fields and all(
        key in known
        and isinstance(value, int | float)
        and not isinstance(value, bool)
        and value >= 0
        for key, value in fields.items()
    )
    if not good:
        raise ConfigError(
            f"the prices {str(path)!r}: {name!r} is {row!r}; write US dollars per "
            "million tokens as `input` and `output`, or per call as `call`"
        )
    return Price(**{key: float(value) for key, value in fields.items()})
