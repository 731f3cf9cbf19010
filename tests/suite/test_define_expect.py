"""Assertions: what each calls a failure, what a missing answer counts as."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard.errors import ConfigError
from llmguard.outcome import Kind, Violation
from llmguard.suite import Assertion, Case, Finding, Sample, expect

from .judged import ANSWER, CASE, NO, REFUSE, failed, sample


def every_builder() -> list[Assertion]:
    """Return one of each that needs no other model."""
    return [
        expect.schema(),
        expect.checks(),
        expect.refusal(detector=NO),
        expect.compliance(detector=NO),
        expect.between("n", low=0),
        expect.one_of("n", values=[1]),
        expect.date_between("n", low="2024-01-01"),
        expect.matches("n", pattern="x"),
        expect.correct(),
        expect.detected(NO),
        expect.length(10),
        expect.latency(1.0),
        expect.cost(1.0),
        expect.worst_prompt(),
        expect.check(lambda _value: True, name="fine"),
    ]


@pytest.mark.parametrize("each", every_builder(), ids=lambda each: each.name)
def test_infrastructure_says_nothing(each: Assertion) -> None:
    """A call that never reached the model is no evidence on its behaviour."""
    expected = Case(id="c", inputs={}, expected={}, has_expected=True)
    for kind in (Kind.TRANSPORT, Kind.TIMEOUT, Kind.THROTTLED, Kind.WRONG_MODEL):
        assert failed(each, sample(kind=kind), expected) is None


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [
        (Kind.OK, False),
        (Kind.SEMANTIC, False),
        (Kind.BAD_JSON, True),
        (Kind.SCHEMA, True),
        (Kind.TRUNCATED, True),
        (Kind.EMPTY, True),
        (Kind.REFUSAL, True),
        (Kind.FILTERED, True),
    ],
)
def test_schema(kind: Kind, verdict: bool) -> None:
    """Whatever cannot be read as the contract's type has failed."""
    assert verdict == failed(expect.schema(), sample(kind=kind))


def test_schema_names_the_first_violation() -> None:
    """The report shows why."""
    broken = sample(
        kind=Kind.SCHEMA, violations=(Violation(path="/n", message="is missing"),)
    )
    assert Finding(failed=True, detail="schema: /n: is missing") == (
        expect.schema().judge(CASE, broken)
    )


@pytest.mark.parametrize("case", [ANSWER, REFUSE])
def test_refusals_near_the_border_are_left_to_their_assertions(case: Case) -> None:
    """A refusal of an ordinary case is a missing answer; near the border it is not."""
    declined = sample(kind=Kind.REFUSAL)
    for each in (expect.schema(), expect.between("n", low=0)):
        assert failed(each, declined) is True
        assert failed(each, declined, case) is None


def test_checks_count_what_fits_the_schema() -> None:
    """Answers that never reached the checks say nothing of them."""
    each = expect.checks()
    assert failed(each, sample(kind=Kind.SEMANTIC)) is True
    assert failed(each, sample(1)) is False
    assert failed(each, sample(kind=Kind.SCHEMA)) is None


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        ({"n": 0}, False),
        ({"n": 5}, False),
        ({"n": 5.01}, True),
        ({"n": -1}, True),
        ({"n": True}, True),
        ({"n": "3"}, True),
        ({"n": None}, True),
        ({}, True),
    ],
)
def test_between(value: Any, verdict: bool) -> None:
    """Outside, no number, or missing has failed."""
    each = expect.between("n", low=0, high=5)
    assert verdict == failed(each, sample(value))


def test_between_reads_every_place() -> None:
    """One item outside is enough, and a null is a missing one."""
    each = expect.between("items.*.price", low=0)
    assert failed(each, sample({"items": [{"price": 1}, {"price": 2}]})) is False
    assert failed(each, sample({"items": [{"price": 1}, {"price": -2}]})) is True
    assert failed(each, sample({"items": [{"price": 1}, {"price": None}]})) is True
    assert failed(each, sample({"items": []})) is True


def test_optional_lets_null_pass_but_no_missing_answer() -> None:
    """The field may be absent; the answer may not."""
    each = expect.matches("order", pattern=r"[A-Z]{2}-\d+", optional=True)
    assert failed(each, sample({"order": None})) is False
    assert failed(each, sample({"order": "AB-1"})) is False
    assert failed(each, sample({"order": "see AB-1"})) is True
    assert failed(each, sample(kind=Kind.BAD_JSON)) is True


def test_one_of_and_dates() -> None:
    """Choices are exact; a date bound includes its day."""
    choice = expect.one_of("x", values=["a", 1])
    assert failed(choice, sample({"x": "a"})) is False
    assert failed(choice, sample({"x": True})) is True
    day = expect.date_between("d", low="2024-01-01", high="2024-12-31")
    assert failed(day, sample({"d": "2024-12-31T23:00:00Z"})) is False
    assert failed(day, sample({"d": "2025-01-01"})) is True
    assert failed(day, sample({"d": "soon"})) is True


def expecting(value: Any, **changes: Any) -> Case:
    """Return a case with a reference."""
    return Case(id="c", inputs={}, expected=value, has_expected=True, **changes)


@pytest.mark.parametrize(
    ("found", "wanted", "verdict"),
    [
        ("a", "a", False),
        ("A", "a", True),
        (1, 1.0, False),
        (1, True, True),
        (None, None, False),
        ({"a": 1, "b": 2}, {"a": 1}, False),
        ({"b": 2}, {"a": 1}, True),
        ([1, 2], [1, 2], False),
        ([1, 2], [1], True),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, True),
        ("x", {"a": 1}, True),
        ("ab", ["a", "b"], True),
    ],
)
def test_correct(found: Any, wanted: Any, verdict: bool) -> None:
    """Fields that the reference names must be equal, as JSON."""
    assert verdict == failed(expect.correct(), sample(found), expecting(wanted))


def test_correct_says_where_it_differs() -> None:
    """The path leads to the first difference."""
    found = expect.correct().judge(
        expecting({"a": [{"b": 2}]}), sample({"a": [{"b": 1}]})
    )
    assert Finding(failed=True, detail="/a/0/b: 1 instead of 2") == found


def test_correct_by_field() -> None:
    """Only that field counts; a reference without it says nothing."""
    each = expect.correct("category")
    case = expecting({"category": "a", "n": 1})
    assert failed(each, sample({"category": "a", "n": 2}), case) is False
    assert failed(each, sample({"category": "b"}), case) is True
    assert failed(each, sample({}), case) is True
    assert failed(each, sample({"category": "a"}), expecting({"n": 1})) is None
    assert failed(each, sample(kind=Kind.BAD_JSON), case) is True


@given(st.floats(-1e6, 1e6), st.floats(0, 100), st.floats(0, 0.5))
def test_numbers_within_tolerance_are_correct(
    wanted: float, tolerance: float, ratio: float
) -> None:
    """Just inside passes, well outside fails, nan never passes."""
    each = expect.correct(tolerance=tolerance, ratio=ratio)
    slack = max(tolerance, ratio * abs(wanted))
    assert failed(each, sample(wanted + 0.99 * slack), expecting(wanted)) is False
    beyond = wanted + 1.01 * slack + 1e-6 * (1 + abs(wanted))
    assert failed(each, sample(beyond), expecting(wanted)) is True
    assert failed(each, sample(math.nan), expecting(wanted)) is True


def test_correct_loose_and_custom() -> None:
    """Case and blanks may be ignored, or a function decides."""
    assert failed(
        expect.correct(loose=True), sample(" The  End "), expecting("the end")
    ) is (False)
    first = expect.correct(compare=lambda one, other: one[0] == other[0])
    assert failed(first, sample("apple"), expecting("ant")) is False
    assert failed(first, sample("apple"), expecting("bee")) is True
    told = expect.correct(compare=lambda one, other: "no luck")
    assert "no luck" == told.judge(expecting(1), sample(1)).detail  # type: ignore[union-attr] # it found something


def test_correct_asks_what_rates_are_of() -> None:
    """A tolerance of 20 % means two very different things."""
    assert (0.0, 0.05, True) == (
        expect.correct().tolerate,
        expect.correct().unacceptable,
        expect.correct().relative,
    )
    with pytest.raises(ConfigError, match="nobody says of what"):
        expect.correct(tolerate=0.2, unacceptable=0.3)
    each = expect.correct(tolerate=0.2, unacceptable=0.3, relative=False)
    assert not each.relative
    with pytest.raises(ConfigError, match="must not be negative"):
        expect.correct(tolerance=-1)
    with pytest.raises(ConfigError, match="decides alone"):
        expect.correct(compare=lambda one, other: True, loose=True)


def test_worst_prompt_is_about_each_case() -> None:
    """It judges as the inner one does, with rates of its own."""
    inner = expect.between("n", low=0, slices=["big"])
    each = expect.worst_prompt(inner)
    assert ("worst-prompt:between:n", "worst-prompt", True, 0.05, 0.3) == (
        each.name,
        each.kind,
        each.per_prompt,
        each.tolerate,
        each.unacceptable,
    )
    assert frozenset({"big"}) == each.slices
    assert failed(each, sample({"n": -1})) is True
    refusals = expect.worst_prompt(expect.refusal(detector=NO))
    assert (0.2, 0.5, "refuse") == (
        refusals.tolerate,
        refusals.unacceptable,
        refusals.without,
    )
    with pytest.raises(ConfigError, match="single cases have rates of their own"):
        expect.worst_prompt(expect.correct())


def test_check_takes_checks_and_functions() -> None:
    """Of the value, or of the value and the inputs; False or a sentence objects."""
    from llmguard import check

    short = expect.check(check.length("s", maximum=3))
    assert failed(short, sample({"s": "abcd"})) is True
    assert failed(short, sample({"s": "abc"})) is False
    assert failed(short, sample(kind=Kind.EMPTY)) is True

    def echoes(value: Any, inputs: Any) -> str | None:
        return None if value == inputs["text"] else "is not what was said"

    each = expect.check(echoes)
    assert "echoes" == each.name
    assert failed(each, sample("hello")) is False
    found = each.judge(CASE, sample("bye"))
    assert found is not None
    assert "is not what was said" in found.detail
    broken = expect.check(lambda value: value["none"], name="broken")
    with pytest.raises(ConfigError, match="case 'c': the check `broken` raised"):
        broken.judge(CASE, sample({}))


def test_custom_sees_everything() -> None:
    """The judge of a sample may look at the text and the kind."""

    def polite(_case: Case, one: Sample) -> Any:
        return {"ok": True, "no": False, "why": "rude", "skip": None}.get(
            one.text or "", 3
        )

    each = expect.custom("polite", polite)
    found = [failed(each, sample(text=text)) for text in ("ok", "no", "why", "skip")]
    assert [False, True, True, None] == found
    with pytest.raises(ConfigError, match="returned 3; return a bool"):
        each.judge(CASE, sample(text="odd"))


def test_selectors_are_lists() -> None:
    """A text would be taken letter by letter."""
    with pytest.raises(ConfigError, match="write a list"):
        expect.schema(tags="urgent")


def test_arguments_are_part_of_the_version() -> None:
    """A changed argument makes another judge."""
    versions = [
        expect.between("n", low=0).version,
        expect.between("n", low=1).version,
        expect.between("m", low=0).version,
        expect.between("n", low=0, optional=True).version,
        expect.correct(tolerance=1).version,
        expect.correct(tolerance=2).version,
        expect.correct("n", tolerance=1).version,
        expect.length(3).version,
        expect.length().version,
        expect.length(slack=2).version,
        expect.refusal(detector=NO).version,
        expect.worst_prompt().version,
        expect.schema().version,
    ]
    assert len(versions) == len(set(versions))
