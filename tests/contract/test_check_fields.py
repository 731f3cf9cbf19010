"""Which fields a check may name, looked up in the schema when it is made."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from llmguard.contract import Check, Contract
from llmguard.contract.checks import check
from llmguard.errors import ConfigError


class Order(BaseModel):
    """An order."""

    total: float


OPEN: dict[str, Any] = {
    "$defs": {"node": {"properties": {"next": {"$ref": "#/$defs/node"}}}},
    "properties": {
        "node": {"$ref": "#/$defs/node"},
        "far": {"$ref": "urn:far"},
        "any": {"anyOf": [{"properties": {"a": {}}}, {"type": "null"}]},
        "free": {"type": "object"},
        "map": {"additionalProperties": {"type": "integer"}},
        "rule": {"patternProperties": {"^x": {}}, "additionalProperties": False},
        "pair": {"type": "array", "prefixItems": [{"enum": ["s"]}], "items": False},
        "list": {"type": "array", "items": {"const": 1.5}},
        "none": {"type": "null"},
        "blank": {},
        "never": False,
        "loop": {"anyOf": [{"$ref": "#/properties/loop"}, {"properties": {"a": {}}}]},
    },
}


@pytest.mark.parametrize(
    "field",
    [
        "node.next.next",
        "far.x.y",
        "any.a",
        "free.b",
        "map.c",
        "map.*",
        "rule.x1",
        "loop.a",
        "rule.*",
        "pair.0",
        "pair.*",
        "list.3",
        "list.*",
        "blank.x.0",
        "never",
        "*",
    ],
)
def test_a_field_that_the_schema_may_have_is_accepted(field: str) -> None:
    """References, unions, maps and open schemas are looked through."""
    far = {"urn:far": {"type": "object"}}
    Contract(OPEN, schemas=far, checks=[check(field=field)(bool)])


@pytest.mark.parametrize(
    "field",
    ["nod", "node.prev", "any.b", "rule.y", "pair.1", "list.x", "none.a", "never.a"],
)
def test_a_field_that_the_schema_cannot_have_is_refused(field: str) -> None:
    """A typing error in a field name does not wait for production."""
    far = {"urn:far": {"type": "object"}}
    with pytest.raises(ConfigError, match="has no field"):
        Contract(OPEN, schemas=far, checks=[check(field=field)(bool)])


def test_items_of_draft_7_tuples_are_looked_through() -> None:
    """There `items` is a list and the rest is `additionalItems`."""
    schema: dict[str, Any] = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "array",
        "items": [{"type": "string"}],
    }
    Contract(schema, checks=[check(field="4")(bool), check(field="0")(bool)])
    with pytest.raises(ConfigError):
        Contract(schema | {"additionalItems": False}, checks=[check(field="4")(bool)])


def test_the_types_of_a_field_are_compared_with_the_check() -> None:
    """A check for text on a number is a mistake to point out."""
    for_text = Check(
        name="t", function=bool, field="total", types=frozenset({"string"})
    )
    with pytest.raises(
        ConfigError, match="`t` is for string, and the field 'total' is"
    ):
        Contract(Order, checks=[for_text])
    whole = Check(name="t", function=bool, types=frozenset({"string"}))
    with pytest.raises(ConfigError, match="and the answer is object"):
        Contract(Order, checks=[whole])


@pytest.mark.parametrize(
    ("schema", "types"),
    [
        ({"const": None}, "null"),
        ({"enum": [True]}, "boolean"),
        ({"const": [1]}, "array"),
        ({"const": {"a": 1}}, "object"),
        ({"type": ["integer"]}, "integer"),
    ],
)
def test_the_type_of_a_choice_is_that_of_its_members(
    schema: dict[str, object], types: str
) -> None:
    """`enum` and `const` say the type as well as `type` does."""
    made = Check(name="t", function=bool, types=frozenset({"string"}))
    with pytest.raises(ConfigError, match=f"the answer is {types}"):
        Contract(schema, checks=[made])
