"""What a run may spend: calls and US dollars, with what is under way counted in."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ConfigError
from ..pins import Pin
from ._prices import Prices
from ._types import Sample

__all__ = ["Budget", "check_budget"]


def check_budget(prices: Prices, max_cost: float | None, *pins: Pin) -> None:
    """Refuse a limit in dollars that nothing can be held against.

    Raises:
        ConfigError: A pin has no price.
    """
    if max_cost is None:
        return
    if not max_cost > 0:
        raise ConfigError(
            f"`max_cost={max_cost!r}` must be US dollars above 0, such as 5; leave it "
            "out for no limit"
        )
    for pin in pins:
        if prices.of(pin) is None:
            raise ConfigError(
                f"`max_cost` cannot be kept: nobody said what {pin.model!r} costs. "
                f'Write `["{pin.model}"]` with `input` and `output`, US dollars per '
                "million tokens, to a TOML file and give it with `--prices FILE`; or "
                "limit the calls with `--max-calls`"
            )


@dataclass(slots=True)
class Budget:
    """Says whether another call may begin.

    Attributes:
        max_calls: Calls of both arms; None for no limit.
        max_cost: US dollars; None for no limit.
        calls: Calls begun so far.
        spent: US dollars of the calls that ended.
        unpriced: Calls that ended without a known cost.
    """

    max_calls: int | None = None
    max_cost: float | None = None
    calls: int = 0
    spent: float = 0.0
    unpriced: int = 0
    _ended: int = 0
    _dearest: float = 0.0

    @property
    def known_cost(self) -> float | None:
        """US dollars so far; None when the cost of some call is unknown."""
        return None if self.unpriced else self.spent

    def allows(self, more: int = 1) -> bool:
        """Tell whether `more` calls fit beside those under way.

        A call under way is taken to cost what the dearest one has so far.
        """
        if self.max_calls is not None and self.calls + more > self.max_calls:
            return False
        if self.max_cost is None:
            return True
        coming = (self.calls - self._ended + more) * self._dearest
        return self.spent + coming <= self.max_cost

    def begin(self) -> None:
        """Count a call that is sent."""
        self.calls += 1

    def end(self, sample: Sample) -> None:
        """Count what it cost."""
        self._ended += 1
        if sample.cost is None:
            # A failed call is not billed by the token, as far as anybody says.
            self.unpriced += not sample.infrastructure
            return
        self.spent += sample.cost
        self._dearest = max(self._dearest, sample.cost)
