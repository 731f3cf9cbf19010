"""`not`, `if`, `oneOf`, sets and steps become alternatives that a grammar holds."""

from __future__ import annotations

from typing import Any

import pytest

from llmguard_fallbacks.local import SchemaRefusedError
from llmguard_fallbacks.local._schema import Limits, make_finite


def held(schema: Any, *, refuses: Any = None) -> Any:
    """Return the finite form of a schema of which nothing is left to a check."""
    found = make_finite(schema, limits=Limits(string=5, items=2), refuses=refuses)
    assert found.unenforced == ()
    return found.schema


def kinds(schema: Any) -> list[Any]:
    """Return the types of the alternatives of a finite schema."""
    return [option["type"] for option in schema.get("anyOf", [schema])]


@pytest.mark.parametrize(
    ("denied", "expected"),
    [
        ({"type": ["string", "integer"]}, ["null", "boolean", "object", "array"]),
        ({"type": ["null", "boolean", "object", "array", "number"]}, ["string"]),
        ({"not": {"type": "null"}}, ["null"]),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, None),
        ({"required": ["a"]}, ["object"]),
        ({"minimum": 3}, ["number"]),
        ({"minLength": 3}, ["string"]),
        ({"maxItems": 3}, ["array"]),
        ({"minProperties": 1}, ["object"]),
        ({"items": {"type": "null"}}, ["array"]),
        ({"properties": {"a": {"type": "null"}}}, ["object"]),
        ({"propertyNames": {"not": {"enum": ["a"]}}}, ["object"]),
        ({"dependentRequired": {"a": ["b"]}}, ["object"]),
        ({"$ref": "#/$defs/text"}, None),
    ],
)
def test_a_negation_is_said_by_what_is_left(denied: Any, expected: Any) -> None:
    """`not` becomes the alternatives that break one of its keywords."""
    found = held({"not": denied, "$defs": {"text": {"type": "string"}}})
    if expected is None:
        assert "string" not in kinds(found)
    else:
        assert kinds(found) == expected


@pytest.mark.parametrize("branch", ["a", "b"])
def test_overlapping_branches_are_told_apart(branch: str) -> None:
    """Of two optional groups exactly one is there."""
    properties = {"a": {"const": 1}, "b": {"const": 2}}
    one_of = [{"required": [name]} for name in properties]
    found = held({"type": "object", "properties": properties, "oneOf": one_of})
    assert [branch] in [[*option["properties"]] for option in found["anyOf"]]
    assert [1, 1] == [len(option["properties"]) for option in found["anyOf"]]


def test_a_condition_becomes_two_alternatives() -> None:
    """With `then` where the condition holds, with `else` where it does not."""
    schema = {
        "type": "object",
        "properties": {"kind": {"enum": ["x", "y"]}, "size": {"const": 1}},
        "required": ["kind"],
        "if": {"properties": {"kind": {"const": "x"}}},
        "then": {"required": ["size"]},
        "else": {"properties": {"size": False}},
    }
    found = [
        (option["properties"]["kind"]["enum"], option["required"])
        for option in held(schema)["anyOf"]
    ]
    assert [(["x"], ["kind", "size"]), (["y"], ["kind"])] == found


def test_too_many_conditions_are_left_to_the_check() -> None:
    """Alternatives do not multiply without bound."""
    names = [f"p{i}" for i in range(12)]
    rules = [{"if": {"required": [n]}, "then": {"required": ["z"]}} for n in names]
    schema = {"properties": {n: {"const": 1} for n in [*names, "z"]}, "allOf": rules}
    found = make_finite(schema)
    assert {"if"} == {u.keyword for u in found.unenforced}
    assert len(found.schema["anyOf"]) <= 16


def test_what_contradicts_itself_is_refused() -> None:
    """All of three groups are required, and only one may be there."""
    one_of = [{"required": [name]} for name in "abc"]
    with pytest.raises(SchemaRefusedError, match="nothing satisfies"):
        make_finite({"type": "object", "required": [*"abc"], "oneOf": one_of})


@pytest.mark.parametrize(
    ("values", "expected"),
    [([1, 2], [[], [1], [2], [1, 2], [2, 1]]), ([1], [[], [1]])],
)
def test_few_unique_items_are_written_out(values: Any, expected: Any) -> None:
    """A set of a few literals is one of finitely many arrays."""
    schema = {"type": "array", "items": {"enum": values}, "uniqueItems": True}
    assert {"enum": expected} == held(schema)


def test_more_unique_items_keep_the_order_of_the_schema() -> None:
    """Each set once, so that eight values make 256 arrays and not 109,601."""
    schema = {"type": "array", "items": {"enum": [*range(8)]}, "uniqueItems": True}
    found = make_finite(schema).schema["enum"]
    assert 256 == len(found)
    assert all(sorted(each) == each for each in found)


def test_no_array_has_more_unique_items_than_there_are_values() -> None:
    """Twelve values make too many sets, but the length is bounded by them."""
    schema = {"type": "array", "items": {"enum": [*range(12)]}, "uniqueItems": True}
    assert 12 == make_finite(schema).schema["maxItems"]


@pytest.mark.parametrize(
    ("steps", "expected"), [((4, 7), 28), ((19, 9.5, 2.125), 323), ((0.5, 0.75), 1.5)]
)
def test_multiples_of_several_steps_are_those_of_one(steps: Any, expected: Any) -> None:
    """Steps that are joined by `allOf` become their least common multiple."""
    parts = [{"multipleOf": step} for step in steps]
    found = make_finite({"type": "number", "allOf": parts})
    assert expected == found.schema["multipleOf"]


def test_a_free_key_keeps_what_other_patterns_demand(grammar_engine: None) -> None:
    """A key that two patterns match has a value that suits both."""
    from llmguard_fallbacks.local._grammar import refuses

    patterns = {"a": {"minimum": 1}, "b": {"maximum": 5}, "^x$": {"type": "null"}}
    schema = {"patternProperties": {p: patterns[p] for p in ("a", "b")}}
    (value,) = held(schema, refuses=refuses)["patternProperties"].values()
    assert (1, 5) == (value["minimum"], value["maximum"])
    apart = {"patternProperties": {p: patterns[p] for p in ("^x$", "b")}}
    (value,) = held(apart, refuses=refuses)["patternProperties"].values()
    assert {"type": "null"} == value


def test_forbidden_names_leave_room_for_others() -> None:
    """An object that must have a property gets one with a name of its own."""
    schema = {"type": "object", "properties": {"a": False}, "minProperties": 1}
    assert ["key1"] == held(schema)["required"]
