"""Faults on purpose, for game days: does the chain answer when the model does not?

    with chaos.running(chaos.Plan(faults=(chaos.Fault(do="transport", rate=0.2),))):
        ...

Off unless started, refused in production without being told twice, over by itself.
"""

from __future__ import annotations

from ._plan import DOES, Fault, Plan, load_plan
from ._run import Report, active, report, running, start, start_from_settings, stop

__all__ = [
    "DOES",
    "Fault",
    "Plan",
    "Report",
    "active",
    "load_plan",
    "report",
    "running",
    "start",
    "start_from_settings",
    "stop",
]
