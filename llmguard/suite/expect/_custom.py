"""Assertions of your own: a check of the answer, or a judge of the whole sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Unpack

from ...contract import Check
from ...contract._check import Bound, as_check, run_checks
from ...contract._check import _takes_inputs as takes_inputs
from ...contract._digest import source_digest
from ...contract._pointer import join, split_field
from ...errors import ConfigError
from .._assertion import Assertion
from .._types import Case, Finding, Sample
from ._make import Options, judge_value, make, one_line

__all__ = ["check", "custom"]


def check(
    given: Check | Callable[..., object], /, **options: Unpack[Options]
) -> Assertion:
    """Assert what a check says of the answer.

    The check is given the answer as plain JSON (dicts, lists, texts), and the case's
    inputs when it takes a second argument. A missing answer has failed. Default rates
    1 % and 5 %.

    Args:
        given: What `llmguard.check` makes, or a function of (value) or
            (value, inputs) that returns False, a sentence or a `Violation` to object.
        **options: As in `Options`; the name is the check's unless given.

    Raises:
        ConfigError: It is async, or cannot be called so.
    """
    each = as_check(given)
    if options.get("name"):
        each = replace(each, name=options["name"])
    bound = Bound(
        check=each,
        parts=split_field(each.field) if each.field else None,
        path=join(split_field(each.path)),
        with_inputs=takes_inputs(each),
    )

    def judge(case: Case, sample: Sample) -> Finding | None:
        return judge_value(case, sample, lambda value: _run(bound, value, case))

    return make(
        "custom",
        judge,
        options,
        name=each.name,
        field=each.field,
        version=["check/1", *each.description],
    )


def _run(bound: Bound, value: object, case: Case) -> Finding:
    violations, failure = run_checks([bound], value, case.inputs)
    if violations:
        return Finding(failed=True, detail=one_line(str(violations[0])))
    if failure:
        raise ConfigError(
            f"case {case.id!r}: {failure}; a check must not raise, whatever the answer"
        )
    return Finding(failed=False)


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
