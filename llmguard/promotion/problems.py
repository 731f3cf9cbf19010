"""What promotion can refuse, one class per decision a caller can take.

* PromotionError
    + GatesNotPassedError    some gate failed or is unknown; `gates` has them all
    + QuarantinedError       the pin is quarantined: resume it first
    + RollbackError          there is nothing to go back to, or not automatically
    + ApprovalError          this approval cannot be given; `refusal` says which way
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import LLMGuardError

if TYPE_CHECKING:
    from .types import GateResult, Refusal

__all__ = [
    "ApprovalError",
    "GatesNotPassedError",
    "PromotionError",
    "QuarantinedError",
    "RollbackError",
]


class PromotionError(LLMGuardError):
    """A change of stage was refused; nothing was written."""


class GatesNotPassedError(PromotionError):
    """Some gate failed or could not be decided.

    Attributes:
        gates: All gates of the target stage, the passed ones too.
    """

    def __init__(self, message: str, *, gates: tuple[GateResult, ...]) -> None:
        super().__init__(message)
        self.gates = gates


class QuarantinedError(PromotionError):
    """The pin is quarantined; no gate and no force lets it through."""


class RollbackError(PromotionError):
    """There is no good version to go back to, or a machine may not do it now."""


class ApprovalError(PromotionError):
    """An approval could not be given.

    Attributes:
        refusal: Which way it is bad; None when it could not even be made.
    """

    def __init__(self, message: str, *, refusal: Refusal | None = None) -> None:
        super().__init__(message)
        self.refusal = refusal
