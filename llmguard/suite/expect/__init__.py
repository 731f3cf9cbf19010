"""Builders of assertions: each with default rates, each a pure function of a sample.

::

    from llmguard.suite import expect

    expect.schema()
    expect.between("amount", low=0, high=500, slices=["refunds"])
"""

from __future__ import annotations

from typing import Final

from ._contract import checks, schema
from ._correct import correct
from ._custom import check, custom
from ._defaults import defaults
from ._detected import compliance, detected, refusal
from ._format import format_ as format  # noqa: A004 - reads `expect.format(...)`
from ._graded import graded
from ._limits import cost, latency, length
from ._make import RATES, Options, Rates
from ._style import language, sentiment, tone
from ._values import between, date_between, matches, one_of
from ._worst import worst_prompt

__all__ = [
    "BUILDERS",
    "RATES",
    "Options",
    "Rates",
    "between",
    "check",
    "checks",
    "compliance",
    "correct",
    "cost",
    "custom",
    "date_between",
    "defaults",
    "detected",
    "format",
    "graded",
    "language",
    "latency",
    "length",
    "matches",
    "one_of",
    "refusal",
    "schema",
    "sentiment",
    "tone",
    "worst_prompt",
]

BUILDERS: Final = (
    "schema",
    "checks",
    "refusal",
    "compliance",
    "between",
    "one_of",
    "date_between",
    "matches",
    "correct",
    "graded",
    "format",
    "language",
    "sentiment",
    "tone",
    "detected",
    "length",
    "latency",
    "cost",
    "worst_prompt",
    "check",
    "custom",
)
"""Names that a suite's file may give to `expect`."""
