"""What a contract says about one answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .._dataclass import dataclass
from ..outcome import Kind, Violation

__all__ = ["MAX_VIOLATIONS", "Verdict", "refused"]

MAX_VIOLATIONS: Final = 10
"""More tell neither a model nor a person anything new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The judgement of one answer.

    Attributes:
        kind: `ok`, or what is wrong with the answer.
        value: The validated value, a fresh object that nothing else holds; None
            unless the kind is `ok`.
        violations: Every breach found, at most ten.
        detail: One line for people; empty when the kind is `ok`.
        confidence: Confidence of the answer in [0, 1], when one is known.
    """

    kind: Kind
    value: object = None
    violations: tuple[Violation, ...] = ()
    detail: str = ""
    confidence: float | None = None

    @property
    def ok(self) -> bool:
        """True when the answer keeps the contract."""
        return self.kind is Kind.OK


def refused(
    kind: Kind, violations: Sequence[Violation] = (), *, detail: str = ""
) -> Verdict:
    """Build a verdict that is not `ok`; the detail defaults to the first breach."""
    kept = tuple(violations[:MAX_VIOLATIONS])
    if kept and not detail:
        more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
        detail = f"{kept[0]}{more}"
    return Verdict(kind=kind, violations=kept, detail=detail)
