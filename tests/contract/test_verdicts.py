"""Which kind an answer ends as, in which order, and what the verdict carries."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal

import pytest
from pydantic import BaseModel, field_validator

from llmguard.contract import MAX_VIOLATIONS, Contract, Verdict
from llmguard.outcome import Kind
from llmguard.reply import Reply, ToolCall

GOOD = (
    '{"category": "billing", "priority": "low", "needs_human": false, "order_id": null}'
)
CALL = ToolCall(id="1", name="lookup", arguments="{}")


class Odd(BaseModel):
    """A model whose own validator is broken."""

    n: int

    @field_validator("n")
    @classmethod
    def crash(cls, value: int) -> int:
        """Raise what pydantic does not catch."""
        raise KeyError("no such thing")


@pytest.mark.parametrize(
    ("reply", "kind", "needle"),
    [
        (Reply(text=GOOD), Kind.OK, ""),
        (Reply(text=GOOD, finish_reason="stop"), Kind.OK, ""),
        (Reply(text=GOOD, finish_reason="content_filter"), Kind.FILTERED, "filter"),
        (
            Reply(refusal="No.", finish_reason="content_filter"),
            Kind.FILTERED,
            "filter",
        ),
        (Reply(text=GOOD, refusal="I won't."), Kind.REFUSAL, "declined: I won't."),
        (Reply(refusal="No.", finish_reason="length"), Kind.REFUSAL, "declined"),
        (Reply(text=GOOD, finish_reason="length"), Kind.TRUNCATED, "length limit"),
        (Reply(text="", finish_reason="length"), Kind.TRUNCATED, "length limit"),
        (Reply(text=None), Kind.EMPTY, "no text"),
        (Reply(text=" \n"), Kind.EMPTY, "no text"),
        (Reply(tool_calls=(CALL,)), Kind.EMPTY, "asked for `lookup`"),
        (Reply(text=GOOD, tool_calls=(CALL,)), Kind.OK, ""),
        (Reply(text="I'm sorry, but I can't help with that."), Kind.REFUSAL, "decl"),
        (Reply(text=GOOD[:-5]), Kind.TRUNCATED, "stops before"),
        (Reply(text=GOOD[:-5], finish_reason="stop"), Kind.BAD_JSON, "stops before"),
        (Reply(text="billing"), Kind.BAD_JSON, "must be JSON"),
        (Reply(text="{}"), Kind.SCHEMA, "/category: required field is missing"),
        (Reply(value=json.loads(GOOD), has_value=True), Kind.OK, ""),
        (
            Reply(value=1, has_value=True, finish_reason="length"),
            Kind.TRUNCATED,
            "length",
        ),
        (Reply(value=None, has_value=True), Kind.SCHEMA, "must be an object"),
    ],
)
def test_a_reply_ends_as_the_first_kind_that_applies(
    reply: Reply, kind: Kind, needle: str, ticket_type: type[Any]
) -> None:
    """The order is: filter, refusal, length, empty, then what the text says."""
    verdict = Contract(ticket_type).judge(reply)
    assert kind is verdict.kind
    assert needle in verdict.detail
    assert verdict.ok is (kind is Kind.OK)
    assert (verdict.value is None) is (kind is not Kind.OK)


def test_a_complete_answer_at_the_length_limit_passes_where_declared() -> None:
    """`length_ok` trusts the text more than the finish reason, but not an empty one."""
    contract = Contract(int, length_ok=True)
    kinds = [
        contract.judge(Reply(text=text, finish_reason="length")).kind
        for text in ("12", "[1", "", None)
    ]
    assert [Kind.OK, Kind.TRUNCATED, Kind.TRUNCATED, Kind.TRUNCATED] == kinds


def test_a_refusal_may_say_nothing() -> None:
    """Anthropic withholds an answer with a reason and no text."""
    verdict = Contract({"type": "object"}).judge(
        Reply(text="", finish_reason="refusal")
    )
    assert Kind.REFUSAL is verdict.kind


def test_a_refusal_inside_valid_json_is_the_schemas_business() -> None:
    """Only where no JSON can be read are words taken for a refusal."""
    text = "\"I'm sorry, but I can't help with that.\""
    assert Contract(str, parse="raw").judge(Reply(text=text)).ok


@pytest.mark.parametrize(
    ("refusal", "text", "kind"),
    [
        (True, "I cannot help with that.", Kind.REFUSAL),
        (False, "I cannot help with that.", Kind.OK),
        (lambda text: "nope" in text, "nope", Kind.REFUSAL),
        (lambda text: "nope" in text, "I cannot help with that.", Kind.OK),
    ],
)
def test_text_contracts_take_a_refusal_detector(
    refusal: bool | Callable[[str], bool], text: str, kind: Kind
) -> None:
    """On, off, or a function of the text."""
    assert kind is Contract(str, refusal=refusal).judge(Reply(text=text)).kind


def test_a_contract_without_a_detector_reports_prose_as_bad_json() -> None:
    """`refusal=False` leaves the judgement to the parser."""
    verdict = Contract(int, refusal=False).judge(Reply(text="I cannot help you."))
    assert Kind.BAD_JSON is verdict.kind


@pytest.mark.parametrize(
    ("schema", "options", "text", "value"),
    [
        (str, {}, "  kept as it is \n", "  kept as it is \n"),
        (Literal["yes", "no"], {"parse": "text"}, " yes\n", "yes"),
        (Literal["yes", "no"], {}, '"yes"', "yes"),
        ({"enum": ["a", "b"]}, {"parse": "text"}, "a ", "a"),
        ({"type": "string"}, {"parse": "text"}, "a ", "a "),
    ],
)
def test_the_text_itself_may_be_the_value(
    schema: object, options: dict[str, Any], text: str, value: str
) -> None:
    """Free text is kept to the letter; around a choice blanks do not count."""
    assert value == Contract(schema, **options).judge(Reply(text=text)).value


def test_a_validator_that_crashes_is_an_error_and_not_a_violation() -> None:
    """A user's own code says nothing about the answer when it breaks."""
    for verdict in (
        Contract(Odd).judge(Reply(text='{"n": 1}')),
        Contract(Odd).judge_value({"n": 1}),
    ):
        assert Kind.ERROR is verdict.kind
        assert "raised KeyError" in verdict.detail


def test_violations_are_limited_and_counted(judge_text: Callable[..., Verdict]) -> None:
    """A thousand breaches are ten and a number."""
    verdict = judge_text(list[int], json.dumps(["x"] * 1000))
    assert MAX_VIOLATIONS == len(verdict.violations)
    assert "(and 999 more)" in verdict.detail


def test_the_value_returned_shares_nothing_with_the_one_given() -> None:
    """Two judgements of one default give two objects."""
    given = {"tags": ["a"]}
    contract = Contract({"type": "object"})
    first = contract.judge_value(given).value
    second = contract.judge_value(given).value
    assert first == second == given
    first["tags"].append("b")  # type: ignore[index] - a dict
    assert {"tags": ["a"]} == given == second


def test_a_ready_model_is_held_to_its_schema(ticket_type: type[Any]) -> None:
    """An object made without validation, or changed since, does not slip through."""
    good = ticket_type.model_validate_json(GOOD)
    contract = Contract(ticket_type)
    fresh = contract.judge_value(good).value
    assert good == fresh
    assert good is not fresh
    good.category = "nonsense"
    verdict = contract.judge_value(good)
    assert (Kind.SCHEMA, "/category") == (verdict.kind, verdict.violations[0].path)


@pytest.mark.parametrize(
    ("value", "needle"),
    [
        (object(), "cannot be written as JSON"),
        (float("nan"), "no `NaN`"),
        ("\ud800", "cannot be written as JSON"),
    ],
)
def test_a_ready_value_that_is_not_json_breaks_the_schema(
    value: object, needle: str
) -> None:
    """There is no text to blame, so the kind is not `bad_json`."""
    verdict = Contract(True).judge_value(value)
    assert Kind.SCHEMA is verdict.kind
    assert needle in verdict.detail


def test_a_value_that_holds_itself_is_refused() -> None:
    """A cycle cannot be written."""
    value: list[object] = []
    value.append(value)
    assert Kind.SCHEMA is Contract(True).judge_value(value).kind


@pytest.mark.parametrize(
    ("confidence", "text", "expected"),
    [
        (None, '{"p": 0.5}', 0.9),
        ("p", '{"p": 0.5}', 0.5),
        ("/p", '{"p": 1}', 1.0),
        ("p", "{}", None),
        ("p", '{"p": null}', None),
        (lambda value: value["p"] / 2, '{"p": 0.5}', 0.25),
        (lambda value, inputs: inputs["share"], '{"p": 0.5}', 0.125),
        (lambda value: None, '{"p": 0.5}', None),
    ],
)
def test_the_confidence_comes_from_where_it_was_declared(
    confidence: Any, text: str, expected: float | None
) -> None:
    """The reply's own, a field, or a function."""
    schema = {"properties": {"p": {"type": ["number", "null"]}}}
    contract = Contract(schema, confidence=confidence)
    verdict = contract.judge(Reply(text=text, confidence=0.9), {"share": 0.125})
    assert (Kind.OK, expected) == (verdict.kind, verdict.confidence)


def test_a_confidence_outside_of_its_range_is_not_passed_on() -> None:
    """From a field it is the model's breach, from a function an error."""
    schema = {"properties": {"p": {"type": "number"}}}
    by_field = Contract(schema, confidence="p").judge(Reply(text='{"p": 95}'))
    assert (Kind.SEMANTIC, "/p") == (by_field.kind, by_field.violations[0].path)
    by_function = Contract(schema, confidence=lambda value: 95.0)
    assert Kind.ERROR is by_function.judge(Reply(text="{}")).kind
