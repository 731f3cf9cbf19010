"""The statistics of suites: e-processes, the sequential decision, intervals, power."""

from __future__ import annotations

from ._betting import PairedBetting
from ._decider import Decider
from ._mixture import BetaMixture
from ._rule import CaseCount, Rule, RuleState

__all__ = [
    "BetaMixture",
    "CaseCount",
    "Decider",
    "PairedBetting",
    "Rule",
    "RuleState",
]
