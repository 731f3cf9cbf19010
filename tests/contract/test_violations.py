"""Violations: one path that resolves, one sentence to act on, no secrets."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    Discriminator,
    Field,
    Tag,
    field_validator,
)

from llmguard.contract import Contract, Verdict
from llmguard.contract._pointer import MISSING, join, locate, split_field
from llmguard.contract._show import excerpt, oxford, show
from llmguard.reply import Reply


class Card(BaseModel):
    """One branch of a union."""

    kind: Literal["card"]
    number: str
    cvv: int = 0


class Cash(BaseModel):
    """Another branch."""

    kind: Literal["cash"]
    amount: float


def even(value: int) -> int:
    """Refuse odd numbers."""
    if value % 2:
        raise ValueError("Must be even.")
    return value


class Order(BaseModel):
    """A nested model with most kinds of fields."""

    model_config = {"extra": "forbid"}

    count: int = Field(ge=1, le=5)
    ratio: Annotated[float, Field(gt=0, lt=1, multiple_of=0.25)] = 0.5
    name: str = Field(min_length=2, max_length=4, pattern="^[a-z]+$")
    items: list[Card | Cash] = Field(default=[], min_length=0, max_length=2)
    pay: Annotated[Card | Cash, Field(discriminator="kind")] | None = None
    loose: int | list[str] | None = None
    prices: dict[int, float] = {}
    pair: Annotated[int, AfterValidator(even)] = 0
    password: int = 0
    called: Annotated[
        Annotated[int, Tag("n")] | Annotated[str, Tag("s")],
        Discriminator(lambda value: {3: "n"}.get(value, "x")),
    ] = 3
    note: str = Field(default="", validation_alias=AliasChoices("Note", "remark"))

    @field_validator("name")
    @classmethod
    def known(cls, value: str) -> str:
        """Use an assertion, as people do."""
        if value == "nope":
            raise AssertionError
        return value


ORDER_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "count": {"type": "integer", "minimum": 1, "exclusiveMaximum": 5},
        "name": {"type": "string", "minLength": 2, "maxLength": 4, "pattern": r"^\w+$"},
        "kind": {"enum": ["a", "b"]},
        "flag": {"const": True},
        "tags": {"type": "array", "items": {"type": ["string", "null"]}, "maxItems": 2},
        "step": {"multipleOf": 2, "exclusiveMinimum": 0, "maximum": 9},
        "when": {"format": "date"},
        "uniq": {"uniqueItems": True, "minItems": 1, "contains": {"type": "integer"}},
        "pay": {
            "oneOf": [
                {
                    "type": "object",
                    "properties": {"kind": {"const": "card"}, "n": {"type": "string"}},
                    "required": ["kind", "n"],
                },
                {
                    "type": "object",
                    "properties": {"kind": {"const": "cash"}},
                    "required": ["kind"],
                },
            ]
        },
        "loose": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "off": False,
        "map": {"minProperties": 1, "maxProperties": 1, "not": {"required": ["bad"]}},
        "dep": {"dependentRequired": {"a": ["b"]}},
        "named": {"propertyNames": {"maxLength": 1}},
        "both": {"oneOf": [{"minimum": 1}, {"minimum": 2}]},
    },
    "required": ["count"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"count": "3"}, '/count: must be a whole number; the answer has "3"'),
        ({"count": 9}, "/count: must be at most 5; the answer has 9"),
        ({"count": 0}, "/count: must be at least 1; the answer has 0"),
        ({"ratio": 1}, "/ratio: must be less than 1.0; the answer has 1"),
        ({"ratio": 0}, "/ratio: must be greater than 0.0; the answer has 0"),
        ({"ratio": 0.3}, "/ratio: must be a multiple of 0.25; the answer has 0.3"),
        ({"name": "x"}, '/name: must have at least 2 characters; the answer has "x"'),
        ({"name": "ABC"}, "/name: must match the pattern ^[a-z]+$; the answer has"),
        ({"name": "nope"}, '/name: is not valid; the answer has "nope"'),
        ({"pair": 3}, "/pair: Must be even; the answer has 3"),
        ({"extra": 1}, "/extra: is not a field of this answer; remove it"),
        ({"items": [1, 2, 3]}, "/items: must have at most 2 items; the answer has"),
        ({"items": [{"kind": "card"}]}, "/items/0/number: required field is missing"),
        ({"items": [{"kind": "cash", "amount": "x"}]}, "(read as `Cash`)"),
        ({"pay": {"kind": "card"}}, "/pay/number: required field is missing"),
        ({"pay": {"kind": "x"}}, "/pay/kind: must be one of 'card', 'cash'; the answ"),
        ({"pay": {}}, "/pay: must have the field 'kind'"),
        (
            {"loose": {}},
            "/loose: must be a whole number or an array; the answer ",
        ),
        ({"loose": ["a", 1]}, "/loose/1: must be a string; the answer has 1"),
        ({"prices": {"a": 1}}, '/prices/a: must be a whole number; the answer has "a"'),
        ({"prices": {"1": "x"}}, '/prices/1: must be a number; the answer has "x"'),
        (
            {"password": "hunter2"},
            "/password: must be a whole number; the answer has",
        ),
        ({"called": 4}, "/called: must be one of 'n', 's'; the answer has \"x\""),
        ({"Note": 3}, "/Note: must be a string; the answer has 3"),
    ],
)
def test_a_type_error_reads_as_one_sentence(
    fields: dict[str, object], expected: str, judge_text: Callable[..., Verdict]
) -> None:
    """Pydantic's words, in the contract's style, at the place in the answer."""
    text = json.dumps({"count": 2, "name": "ab", **fields})
    verdict = judge_text(Order, text)
    assert expected in "\n".join(map(str, verdict.violations))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"count": "3"}, '/count: must be a whole number; the answer has "3"'),
        ({"count": 0}, "/count: must be at least 1; the answer has 0"),
        ({"count": 5}, "/count: must be less than 5; the answer has 5"),
        ({"name": "x"}, '/name: must have at least 2 characters; the answer has "x"'),
        ({"name": "abcde"}, "/name: must have at most 4 characters"),
        ({"name": "a\u0967"}, '/name: must match the pattern "^\\\\w+$"'),
        ({"kind": "c"}, '/kind: must be one of "a" or "b"; the answer has "c"'),
        ({"flag": False}, "/flag: must be true; the answer has false"),
        ({"tags": [1]}, "/tags/0: must be a string or null; the answer has 1"),
        ({"tags": ["", "", ""]}, "/tags: must have at most 2 items"),
        ({"step": 3}, "/step: must be a multiple of 2; the answer has 3"),
        ({"step": 0}, "/step: must be greater than 0; the answer has 0"),
        ({"step": 10}, "/step: must be at most 9; the answer has 10"),
        ({"when": "soon"}, '/when: must be a valid date; the answer has "soon"'),
        ({"uniq": [1, 1]}, "/uniq: must not have the same item twice"),
        ({"uniq": []}, "/uniq: must have at least 1 items"),
        ({"uniq": ["a"]}, "/uniq: must have an item that is described by"),
        ({"pay": {"kind": "card"}}, "/pay/n: required field is missing"),
        ({"pay": 3}, "/pay: must fit exactly one of 2 alternatives; the answer has 3"),
        ({"both": 3}, "/both: must fit exactly one of 2 alternatives"),
        ({"loose": "x"}, "/loose: must fit one of 2 alternatives"),
        ({"off": 1}, "/off: is not allowed here; the answer has 1"),
        ({"map": {}}, "/map: must have at least 1 fields"),
        ({"map": {"bad": 1}}, "/map: must not be described by"),
        ({"map": {"a": 1, "b": 2}}, "/map: must have at most 1 fields"),
        ({"dep": {"a": 1}}, "/dep/b: required field is missing"),
        ({"named": {"long": 1}}, "/named: must have at most 1 characters"),
        ({"what": 1}, "/what: is not a field of this answer; remove it"),
    ],
)
def test_a_schema_error_reads_as_one_sentence(
    fields: dict[str, object], expected: str, judge_text: Callable[..., Verdict]
) -> None:
    """Jsonschema's words, in the same style."""
    verdict = judge_text(ORDER_SCHEMA, json.dumps({"count": 2, **fields}))
    assert expected in "\n".join(map(str, verdict.violations))


@pytest.mark.parametrize(
    ("schema", "text", "expected"),
    [
        ({"required": ["a", "b"]}, '{"a": 1}', "/b: required field is missing"),
        ({"unevaluatedProperties": False}, '{"a": 1}', "/a: is not a field of this"),
        (
            {"additionalProperties": {"type": "null"}},
            '{"a": 1}',
            "/a: must be null; the answer has 1",
        ),
        (
            {"$schema": "http://json-schema.org/draft-07/schema#"}
            | {"dependencies": {"a": ["b"], "c": {"type": "null"}}},
            '{"a": 1, "b": 1, "c": 1}',
            "must be null",
        ),
        (
            {"$schema": "http://json-schema.org/draft-07/schema#"}
            | {"dependencies": {"a": ["b"]}},
            '{"a": 1}',
            "/b: required field is missing",
        ),
        ({"prefixItems": [{}], "items": False}, "[1, 2]", "has too many items"),
        ({"unevaluatedItems": False}, "[1]", "has too many items"),
        ({"contains": {}, "maxContains": 1}, "[1, 2]", "breaks the rule `maxContains`"),
        ({"anyOf": [False, False]}, "1", "is not allowed here; the answer has 1"),
    ],
)
def test_rules_about_whole_objects_point_at_the_member(
    schema: dict[str, object],
    text: str,
    expected: str,
    judge_text: Callable[..., Verdict],
) -> None:
    """A missing or surplus member is named, not only its object."""
    verdict = judge_text(schema, text)
    assert expected in "\n".join(map(str, verdict.violations))


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 9)
    | st.sampled_from(["card", "x", "ab"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["kind", "number", "amount", "a/b", "~", "str", "int"]),
            inner,
        )
    ),
    max_leaves=6,
)
ORDERS = st.dictionaries(
    st.sampled_from([*Order.model_fields, *ORDER_SCHEMA["properties"], "Note", "zz"]),
    VALUES,
    max_size=6,
)


CONTRACTS = [Contract(Order), Contract(ORDER_SCHEMA)]


@given(ORDERS | VALUES, st.sampled_from(CONTRACTS))
@settings(max_examples=80)
def test_every_path_resolves_in_the_answer(document: Any, contract: Contract) -> None:
    """A path leads to a value, or names a member that its object lacks."""
    verdict = contract.judge(Reply(text=json.dumps(document)))
    for violation in verdict.violations:
        if violation.message.startswith("required field is missing"):
            parent, _, name = violation.path.rpartition("/")
            assert name not in locate(document, parent)  # type: ignore[operator] - a dict
        else:
            assert locate(document, violation.path) is not MISSING
        assert "\n" not in violation.message
        assert violation.check


@given(st.lists(st.text(), min_size=1))
def test_a_pointer_is_read_back_into_its_parts(parts: list[str]) -> None:
    """RFC 6901 escaping is undone exactly."""
    assert tuple(parts) == split_field(join(parts))


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [
        ("", {"a": [1]}),
        ("/a/0", 1),
        ("/a/1", MISSING),
        ("/a/x", MISSING),
        ("/a/0/b", MISSING),
        ("/b", MISSING),
    ],
)
def test_a_pointer_is_followed_through_plain_json(
    pointer: str, expected: object
) -> None:
    """A pointer that leads nowhere is told from one to null."""
    assert expected == locate({"a": [1]}, pointer)


class Loud:
    """An object whose own description fails."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "path", "expected"),
    [
        ("a\nb", "", '"a\\nb"'),
        ("x" * 99, "", '"' + "x" * 58 + "\N{HORIZONTAL ELLIPSIS}"),
        ("sk-abcdefghijklmnop", "", '"***"'),
        ("Bearer abcdefghijklmnop", "", '"***"'),
        ("s3cret", "/user/api_key", "***"),
        ("\ud800", "", '"?"'),
        ({1, 2}, "", "{1, 2}"),
        (Loud(), "", "<Loud>"),
    ],
)
def test_a_value_is_shown_short_and_without_secrets(
    value: object, path: str, expected: str
) -> None:
    """Violations go to logs, metrics and models."""
    assert expected == show(value, path=path)


def test_text_is_excerpted_on_one_line() -> None:
    """White space is collapsed."""
    assert "'a b'" == excerpt(" a\n b ")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], "nothing"),
        (["a"], "a"),
        (["a", "b", "c"], "a, b or c"),
        (
            [str(n) for n in range(14)],
            "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 or 2 others",
        ),
    ],
)
def test_names_are_joined_as_in_english(names: list[str], expected: str) -> None:
    """Long lists are cut."""
    assert expected == oxford(names)
