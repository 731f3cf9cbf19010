"""The statistics of suites: e-processes, the sequential decision, intervals, power."""

from __future__ import annotations

from ._betting import PairedBetting
from ._decider import Decider
from ._ebh import e_bh
from ._intervals import clopper_pearson, paired_interval, upper_bound, wilson
from ._mixture import BetaMixture
from ._plans import FixedPlan, GroupPlan, fixed_plan, group_plan
from ._power import Power, RulePower, power, scenarios_for
from ._rule import CaseCount, Rule, RuleState
from ._simulate import Design, Expectation, Scenario, expect_calls

__all__ = [
    "BetaMixture",
    "CaseCount",
    "Decider",
    "Design",
    "Expectation",
    "FixedPlan",
    "GroupPlan",
    "PairedBetting",
    "Power",
    "Rule",
    "RulePower",
    "RuleState",
    "Scenario",
    "clopper_pearson",
    "e_bh",
    "expect_calls",
    "fixed_plan",
    "group_plan",
    "paired_interval",
    "power",
    "scenarios_for",
    "upper_bound",
    "wilson",
]
