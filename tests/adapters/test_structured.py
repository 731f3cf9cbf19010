"""Which schemas are sent as strict structured outputs, and that narrowing is sound."""

from __future__ import annotations

from typing import Any, Literal

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from llmguard.adapters.structured import json_schema_format, narrow


class Item(BaseModel):
    name: str
    price: float = Field(ge=0)


class Order(BaseModel):
    kind: Literal["new", "return"]
    items: list[Item]
    note: str | None = None


def test_pydantic_schema_is_narrowed_to_strict_mode() -> None:
    """Every object is closed and requires all its properties; defaults are dropped."""
    narrowed = narrow(Order.model_json_schema())
    assert narrowed is not None
    assert (["kind", "items", "note"], False) == (
        narrowed["required"],
        narrowed["additionalProperties"],
    )
    item = narrowed["$defs"]["Item"]
    assert (["name", "price"], False) == (
        item["required"],
        item["additionalProperties"],
    )
    assert "default" not in narrowed["properties"]["note"]


@pytest.mark.parametrize(
    "part",
    [
        {"additionalProperties": {"type": "string"}},
        {"additionalProperties": True},
        {"properties": {"a": True}},
        {"properties": {"a": {}}},
        {"properties": {"a": {"allOf": [{"type": "string"}]}}},
        {"properties": {"a": {"type": "array"}}},
        {"properties": {"a": {"type": "array", "uniqueItems": True}}},
        {"required": ["a"]},
        {"patternProperties": {"^x": {"type": "string"}}},
        {"if": {}},
    ],
)
def test_schema_beyond_the_subset_is_sent_as_it_is(part: dict[str, Any]) -> None:
    """What strict mode cannot say is sent unchanged and not strict."""
    schema = {"type": "object"} | part
    assert {"name": "Order", "schema": schema, "strict": False} == json_schema_format(
        schema, "Order"
    )


@pytest.mark.parametrize(
    "schema", [{"type": "array"}, {"enum": ["a"]}, {"type": "string"}, {}]
)
def test_only_objects_are_sent(schema: dict[str, Any]) -> None:
    """Structured outputs are objects; for anything else nothing is sent."""
    assert json_schema_format(schema, "x") is None


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("Order[int]", "Order_int_"),
        ("", "answer"),
        ("é" * 3, "___"),
        ("a" * 99, "a" * 64),
    ],
)
def test_names_are_made_acceptable(name: str, sent: str) -> None:
    """The API takes letters, digits, `_` and `-`, at most 64."""
    found = json_schema_format({"type": "object"}, name)
    assert found is not None
    assert sent == found["name"]


LEAF = st.sampled_from(
    [
        {"type": "string"},
        {"type": "integer", "minimum": 0},
        {"enum": ["a", None]},
        {"const": 3},
        {"type": ["string", "null"]},
        {"anyOf": [{"type": "number"}, {"type": "null"}]},
        True,
    ]
)


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return schemas of objects and arrays around `inner`."""
    closed = st.sampled_from([{}, {"additionalProperties": False}])
    properties = st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    made = st.builds(
        lambda p, c, n: {
            "type": "object",
            "properties": p,
            "required": sorted(p)[:n],
            **c,
        },
        properties,
        closed,
        st.integers(0, 3),
    )
    return made | inner.map(lambda s: {"type": "array", "items": s})


SCHEMAS = st.recursive(LEAF, objects, max_leaves=6)
VALUES = st.recursive(
    st.sampled_from(["a", "x", 3, -1, 1.5, None]),
    lambda v: (
        st.lists(v, max_size=2)
        | st.dictionaries(st.sampled_from("abcd"), v, max_size=3)
    ),
    max_leaves=6,
)


@given(schema=SCHEMAS.filter(lambda s: isinstance(s, dict)), value=VALUES)
def test_what_fits_the_narrowed_schema_fits_the_original(
    schema: dict[str, Any], value: object
) -> None:
    """Narrowing never lets anything through that the contract would refuse."""
    narrowed = narrow(schema)
    if narrowed is not None and jsonschema.Draft202012Validator(narrowed).is_valid(
        value
    ):
        jsonschema.Draft202012Validator(schema).validate(value)
