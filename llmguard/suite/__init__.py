"""Behavioural contract suites: decide on a model version with few calls."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from ._assertion import Assertion
from ._decorator import suite
from ._suite import Suite
from ._types import Case, Finding, Sample, Status, Verdict

if TYPE_CHECKING:
    from ._evidence import Evidence
    from ._evidence_find import Found, find_evidence
    from ._find import all_suites, find_suite
    from ._grade import grade
    from ._prices import Price, Prices, read_prices
    from ._report import Report
    from ._run import arun, run

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

# Where a suite is run, not where it is written: `@suite` stands in production code,
# which should not import a store, statistics and an event loop for it.
_LATER: Final = {
    "Evidence": "_evidence",
    "Found": "_evidence_find",
    "Price": "_prices",
    "Prices": "_prices",
    "Report": "_report",
    "all_suites": "_find",
    "arun": "_run",
    "find_evidence": "_evidence_find",
    "find_suite": "_find",
    "grade": "_grade",
    "read_prices": "_prices",
    "run": "_run",
}


def __getattr__(name: str) -> object:
    if name in _LATER:
        return getattr(import_module(f".{_LATER[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
