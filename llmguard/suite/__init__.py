"""Behavioural contract suites: decide on a model version with few calls."""

from __future__ import annotations

from ._assertion import Assertion
from ._report import Report
from ._suite import Suite
from ._types import Case, Finding, Sample, Status, Verdict

__all__ = [
    "Assertion",
    "Case",
    "Finding",
    "Report",
    "Sample",
    "Status",
    "Suite",
    "Verdict",
]
