"""Assertions on what the guarded function's own contract says."""

from __future__ import annotations

from typing import Final, Unpack

from ...outcome import Kind
from .._assertion import Assertion
from .._types import Case, Finding, Sample
from ._make import Options, declined, make, one_line

__all__ = ["checks", "schema"]

_INVALID: Final = frozenset(
    {Kind.BAD_JSON, Kind.SCHEMA, Kind.TRUNCATED, Kind.EMPTY, Kind.REFUSAL}
)


def schema(**options: Unpack[Options]) -> Assertion:
    """Assert that the answer can be read and satisfies the contract's schema.

    Fails: no JSON where some is due, a breach of the schema, a cut-off or empty
    answer, and a refusal on a case without a `boundary`. An answer that only a
    semantic check refuses passes here; see `checks`. Default rates 0.5 % and 2 %.

    Args:
        **options: As in `Options`.

    Raises:
        ConfigError: An option is unknown, or out of its range.
    """
    return make("schema", _schema, options, name="schema", version=["schema/1"])


def _schema(case: Case, sample: Sample) -> Finding | None:
    if sample.infrastructure:
        return None
    if declined(sample):
        return None if case.boundary else _failed(sample, "the model declined")
    if sample.kind in _INVALID:
        return _failed(sample, str(sample.kind))
    return Finding(failed=False)


def checks(**options: Unpack[Options]) -> Assertion:
    """Assert that answers which fit the schema also pass the contract's checks.

    Answers that never got so far say nothing. Default rates 1 % and 5 %.

    Args:
        **options: As in `Options`.

    Raises:
        ConfigError: An option is unknown, or out of its range.
    """
    return make("custom", _checks, options, name="checks", version=["checks/1"])


def _checks(case: Case, sample: Sample) -> Finding | None:  # noqa: ARG001 - a judge's arguments
    if sample.kind is Kind.SEMANTIC:
        return _failed(sample, "a check of the contract objects")
    return Finding(failed=False) if sample.has_value else None


def _failed(sample: Sample, what: str) -> Finding:
    why = str(sample.violations[0]) if sample.violations else sample.detail
    return Finding(failed=True, detail=f"{what}: {one_line(why)}" if why else what)
