"""Behavioural objectives: declared beside the contract, watched per pinned version.

    from llmguard import contract, pinned, slo

    @contract(Triage, slos=[slo.schema_valid(0.995), slo.within(4.0, share=0.95)])
    @pinned("triage")
    def triage(ticket: str, *, model: Model) -> Triage: ...

Importing this module has the process watch what it declared: burn rates are looked at
twice a minute, by one process of those that share a store.
"""

from __future__ import annotations

from ...telemetry.objectives import Objective, Sli, declare
from ._burn import MIN_BAD, RULES, BurnRule, Firing
from ._declare import (
    accepted,
    answered,
    contract_valid,
    corrected,
    degraded,
    refused,
    rejected,
    schema_valid,
    within,
)
from ._openslo import read_openslo, to_openslo
from ._rules import to_prometheus
from ._status import SloStatus, objectives_of, statuses
from ._watch import look, watch

__all__ = [
    "MIN_BAD",
    "RULES",
    "BurnRule",
    "Firing",
    "Objective",
    "Sli",
    "SloStatus",
    "accepted",
    "answered",
    "contract_valid",
    "corrected",
    "declare",
    "degraded",
    "look",
    "objectives_of",
    "read_openslo",
    "refused",
    "rejected",
    "schema_valid",
    "statuses",
    "to_openslo",
    "to_prometheus",
    "watch",
    "within",
]
