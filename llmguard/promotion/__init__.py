"""Model versions as deployments: gates, approvals, promotion, instant rollback."""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from .problems import (
    ApprovalError,
    GatesNotPassedError,
    PromotionError,
    QuarantinedError,
    RollbackError,
)

if TYPE_CHECKING:
    from ._approve import Given, approve
    from ._history import history
    from ._moves import promote, resume
    from ._notes import Notes, notes
    from ._plan import plan
    from ._rollback import quarantine, rollback
    from ._which import Which, which
    from .request import Request, failed, passed, unknown
    from .settings import Rules, rules_for
    from .types import (
        Approval,
        GateResult,
        GateState,
        Moved,
        Pending,
        Plan,
        PlannedPin,
        Refusal,
        RoutePlan,
    )

__all__ = [
    "Approval",
    "ApprovalError",
    "GateResult",
    "GateState",
    "GatesNotPassedError",
    "Given",
    "Moved",
    "Notes",
    "Pending",
    "Plan",
    "PlannedPin",
    "PromotionError",
    "QuarantinedError",
    "Refusal",
    "Request",
    "RollbackError",
    "RoutePlan",
    "Rules",
    "Which",
    "approve",
    "failed",
    "history",
    "notes",
    "passed",
    "plan",
    "promote",
    "quarantine",
    "resume",
    "rollback",
    "rules_for",
    "unknown",
    "which",
]

# A rollback at night must not wait for the import of suites and statistics.
_LATER: Final = MappingProxyType(
    {
        "_approve": ("Given", "approve"),
        "_history": ("history",),
        "_moves": ("promote", "resume"),
        "_notes": ("Notes", "notes"),
        "_plan": ("plan",),
        "request": ("Request", "failed", "passed", "unknown"),
        "_rollback": ("quarantine", "rollback"),
        "_which": ("Which", "which"),
        "settings": ("Rules", "rules_for"),
        "types": (
            "Approval",
            "GateResult",
            "GateState",
            "Moved",
            "Pending",
            "Plan",
            "PlannedPin",
            "Refusal",
            "RoutePlan",
        ),
    }
)


def __getattr__(name: str) -> object:
    for module, names in _LATER.items():
        if name in names:
            found: object = getattr(import_module(f".{module}", __name__), name)
            globals()[name] = found
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
