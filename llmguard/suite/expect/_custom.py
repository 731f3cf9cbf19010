"""Assertions of your own: a check of the answer, or a judge of the whole sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Unpack

from ...contract import Check, Contract
from ...contract._check import as_check
from ...contract._digest import source_digest
from ...errors import ConfigError
from ...outcome import Kind
from .._assertion import Assertion
from .._types import Case, Finding, Sample
from ._make import Options, judge_value, make, one_line

__all__ = ["check", "custom"]


def check(
    given: Check | Callable[..., object], /, **options: Unpack[Options]
) -> Assertion:
    """Assert what a check says of the answer.

    The check is given the answer as plain JSON (dicts, lists, texts), and the case's
    inputs when it takes a second argument. A missing answer has failed; a field that
    is null or absent passes, as in a contract. Default rates 1 % and 5 %.

    Args:
        given: What `llmguard.check` makes, or a function of (value) or
            (value, inputs) that returns False, a sentence or a `Violation` to object.
        **options: As in `Options`; the name is the check's unless given.

    Raises:
        ConfigError: It is async, or cannot be called so.
    """
    each = as_check(given)
    each = replace(each, name=options.get("name") or each.name)
    contract = Contract({}, checks=[each])

    def judge(case: Case, sample: Sample) -> Finding | None:
        return judge_value(case, sample, lambda value: _run(contract, value, case))

    return make(
        "custom",
        judge,
        options,
        name=each.name,
        field=each.field,
        version=["check/1", *each.description],
    )


def _run(contract: Contract, value: object, case: Case) -> Finding:
    verdict = contract.judge_value(value, case.inputs)
    if verdict.kind is Kind.ERROR:
        raise ConfigError(
            f"case {case.id!r}: {verdict.detail}; a check must not raise, whatever the "
            "answer"
        )
    return Finding(failed=not verdict.ok, detail=one_line(verdict.detail))


def custom(
    name: str,
    judge: Callable[[Case, Sample], Finding | bool | str | None],
    /,
    **options: Unpack[Options],
) -> Assertion:
    """Assert what your own judge says of a sample, text and failures included.

    Args:
        name: Name in reports.
        judge: Called with the case and a sample. It returns True or a `Finding` for
            "passed", False or a sentence for "failed", None for "nothing to say".
            Same arguments, same result: runs are graded again from their journal.
        **options: As in `Options`.

    Raises:
        ConfigError: A rate or a selector is wrong.
    """

    def found(case: Case, sample: Sample) -> Finding | None:
        return _finding(name, judge(case, sample))

    options.setdefault("name", name)
    return make(
        "custom", found, options, name=name, version=["custom/1", source_digest(judge)]
    )


def _finding(name: str, said: Any) -> Finding | None:
    if said is None or isinstance(said, Finding):
        return said
    if isinstance(said, bool):
        return Finding(failed=not said)
    if isinstance(said, str):
        return Finding(failed=True, detail=said)
    raise ConfigError(
        f"the judge of `{name}` returned {said!r}; return a bool, a sentence, a "
        "`Finding` or None"
    )
