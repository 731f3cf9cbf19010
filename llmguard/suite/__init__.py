"""Behavioural contract suites: decide on a model version with few calls."""

from __future__ import annotations

from ._assertion import Assertion
from ._decorator import suite
from ._evidence import Evidence
from ._evidence_find import Found, find_evidence
from ._find import all_suites, find_suite
from ._grade import grade
from ._prices import Price, Prices, read_prices
from ._report import Report
from ._run import arun, run
from ._suite import Suite
from ._types import Case, Finding, Sample, Status, Verdict

__all__ = [
    "Assertion",
    "Case",
    "Evidence",
    "Finding",
    "Found",
    "Price",
    "Prices",
    "Report",
    "Sample",
    "Status",
    "Suite",
    "Verdict",
    "all_suites",
    "arun",
    "find_evidence",
    "find_suite",
    "grade",
    "read_prices",
    "run",
    "suite",
]
