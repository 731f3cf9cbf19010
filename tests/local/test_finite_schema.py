"""A finite schema accepts only what the original accepts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmguard_fallbacks.local import SchemaRefusedError
from llmguard_fallbacks.local._schema import LADDER, Limits, make_finite
from llmguard_fallbacks.local._schema_size import shortest, worst_size

SCALARS = st.sampled_from(
    [
        {"type": "boolean"},
        {"type": "null"},
        {"type": "integer"},
        {"type": "integer", "minimum": 3, "exclusiveMaximum": 40, "multipleOf": 7},
        {"type": "number"},
        {"type": "number", "exclusiveMinimum": 0, "maximum": 0.001},
        {"type": "string"},
        {"type": "string", "minLength": 2, "maxLength": 3},
        {"type": "string", "pattern": "^[a-z]+-[0-9]*$"},
        {"type": "string", "format": "date-time"},
        {"type": "string", "format": "email"},
        {"type": "string", "format": "uuid"},
        {"enum": [1, True, "a", None, {"b": [2]}]},
        {"const": "é\n"},
        {"type": ["string", "null"], "maxLength": 4},
        {"$ref": "#/$defs/tree"},
        {"type": "object", "propertyNames": {"not": {"const": "a"}}},
        {"type": "array", "items": {"enum": [1, "b"]}, "uniqueItems": True},
        {},
    ]
)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return objects, arrays and combinations of schemas."""
    names = st.sampled_from(["a", "b", "c"])
    parts = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        st.fixed_dictionaries(
            {"properties": st.dictionaries(names, inner, max_size=3)},
            optional={
                "type": st.just("object"),
                "required": st.lists(names, unique=True),
                "additionalProperties": inner,
                "minProperties": st.integers(0, 1),
                "dependentRequired": st.just({"a": ["b"]}),
            },
        ),
        st.fixed_dictionaries(
            {"type": st.just("array"), "items": inner},
            optional={"minItems": st.integers(0, 2), "contains": inner},
        ),
        parts.map(lambda s: {"anyOf": s}),
        parts.map(lambda s: {"oneOf": s}),
        parts.map(lambda s: {"allOf": s}),
        st.tuples(inner, inner).map(lambda p: {"not": p[0], "anyOf": [p[1]]}),
        st.tuples(inner, inner).map(lambda p: {**p[0], "not": p[1]}),
        st.tuples(inner, inner, inner).map(
            lambda p: {"if": p[0], "then": p[1], "else": p[2]}
        ),
        st.dictionaries(st.sampled_from(["a", "b$", "^c"]), inner, max_size=2).map(
            lambda p: {"type": "object", "patternProperties": p}
        ),
    )


TREE = {
    "type": "object",
    "properties": {
        "leaf": {"type": "boolean"},
        "next": {"$ref": "#/$defs/tree"},
        "all": {"type": "array", "items": {"$ref": "#/$defs/tree"}},
    },
    "required": ["leaf"],
}
SCHEMAS = st.recursive(SCALARS, containers, max_leaves=6) | st.just(True)


@given(schema=SCHEMAS, seed=st.integers(0, 9))
@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_every_instance_of_the_finite_schema_is_one_of_the_original(
    schema: Any, seed: int, walk: Callable[..., bytes]
) -> None:
    """Random walks through the grammar satisfy the original schema."""
    from llmguard_fallbacks.local._grammar import compile_grammar

    root = {**(schema if isinstance(schema, dict) else {}), "$defs": {"tree": TREE}}
    try:
        grammar = compile_grammar(root, limits=LADDER[2])
    except SchemaRefusedError as error:
        assert "nothing satisfies" in str(error)
        return
    text = walk(grammar, seed=seed)
    kind = jsonschema.Draft202012Validator
    errors = [
        *kind(root, format_checker=kind.FORMAT_CHECKER).iter_errors(json.loads(text))
    ]
    assert not errors or grammar.finite.unenforced
    assert len(text) <= grammar.finite.worst_bytes
    assert len(text.decode()) >= len(shortest(grammar.finite.schema))


def finite(schema: Any, **limits: Any) -> Any:
    """Return the finite form of a schema."""
    return make_finite(schema, limits=Limits(**limits)).schema


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (
            {"type": "string", "minLength": 9},
            {"type": "string", "minLength": 9, "maxLength": 9},
        ),
        ({"type": "string", "minLength": 3, "maxLength": 2}, None),
        (
            {"type": "integer", "exclusiveMinimum": 3, "maximum": 4.5},
            {"type": "integer", "minimum": 4, "maximum": 4},
        ),
        (
            {"type": "integer", "minimum": 0, "exclusiveMinimum": True, "maximum": 2},
            {"type": "integer", "minimum": 1, "maximum": 2},
        ),
        ({"type": "integer", "minimum": 4, "maximum": 3}, None),
        ({"type": "integer", "minimum": 5, "maximum": 5, "multipleOf": 2}, None),
        ({"enum": [1, "a"], "type": "string"}, {"enum": ["a"]}),
        ({"enum": [1, 2], "not": {"const": 2}}, {"enum": [1]}),
        ({"const": 1, "enum": [True]}, None),
        ({"allOf": [{"enum": [1.0, 2]}, {"const": 1}]}, {"enum": [1]}),
        ({"allOf": [{"enum": [1, 2]}, {"enum": [2, 3]}]}, {"enum": [2]}),
        ({"allOf": [{"type": "string"}, {"type": "null"}]}, None),
        (
            {"type": "object", "properties": {"a": False, "b": {"const": 1}}},
            {
                "type": "object",
                "properties": {"b": {"enum": [1]}},
                "required": [],
                "additionalProperties": False,
            },
        ),
        ({"properties": {"a": False}, "required": ["a"]}, None),
        (
            {
                "properties": {"a": {"const": 1}, "b": {"const": 2}, "c": {"const": 3}},
                "required": ["b"],
                "minProperties": 2,
                "maxProperties": 2,
            },
            {
                "type": "object",
                "properties": {"a": {"enum": [1]}, "b": {"enum": [2]}},
                "required": ["b", "a"],
                "additionalProperties": False,
            },
        ),
        (
            {"type": "array", "prefixItems": [{"const": 1}], "items": False},
            {
                "type": "array",
                "minItems": 0,
                "prefixItems": [{"enum": [1]}],
                "items": False,
                "maxItems": 1,
            },
        ),
        (
            {"items": [{"const": 1}], "additionalItems": False, "minItems": 2},
            None,
        ),
        (
            {"type": "array", "items": {"const": 1}, "minItems": 7},
            {"type": "array", "minItems": 7, "items": {"enum": [1]}, "maxItems": 7},
        ),
        (False, None),
    ],
)
def test_one_rule_at_a_time(schema: Any, expected: Any) -> None:
    """Each keyword becomes the bound it stands for, or nothing is left."""
    if expected is None:
        with pytest.raises(SchemaRefusedError, match="nothing satisfies"):
            finite(schema, string=5, items=2)
    else:
        assert finite(schema, string=5, items=2) == expected


def test_parts_of_all_of_close_each_other() -> None:
    """A closed part forbids the other part's properties, as in the original."""
    schema = {
        "allOf": [
            {"properties": {"a": {"const": 1}}, "additionalProperties": False},
            {"properties": {"a": True, "b": {"const": 2}}, "required": ["a"]},
        ]
    }
    assert [*finite(schema)["properties"]] == ["a"]


def test_a_recursion_is_unrolled_to_its_depth() -> None:
    """At depth three there are a root, one level, and a last one without a link."""
    schema = {"$ref": "#/$defs/n", "$defs": {"n": TREE_OF_N}}
    found = make_finite(schema, limits=Limits(depth=3))
    assert 2 == len(found.schema["$defs"])
    assert '"next"' not in json.dumps(found.schema["$defs"]["d0"])


TREE_OF_N = {
    "type": "object",
    "properties": {"next": {"$ref": "#/$defs/n"}, "leaf": {"const": 1}},
    "required": ["leaf"],
}


def test_a_recursion_without_an_end_is_refused() -> None:
    """A list that requires its own tail has no finite instance."""
    node = {"properties": {"n": {"$ref": "#"}}, "required": ["n"]}
    with pytest.raises(SchemaRefusedError, match="recursion"):
        make_finite(node)


def test_what_no_grammar_holds_is_reported_with_its_place() -> None:
    """Every keyword left to the check after decoding is named with its path."""
    schema = {
        "properties": {
            "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
            "x": {"type": "integer", "not": {"multipleOf": 7}},
            "y": {"oneOf": [{"pattern": "a"}, {"pattern": "b"}]},
            "z": {"type": "number", "multipleOf": 0.1},
            "w": {
                "if": {"pattern": "^a"},
                "then": {"maxLength": 2},
                "type": "string",
            },
            "v": {"patternProperties": {"a": {"type": "null"}, "b": {"const": 1}}},
        }
    }
    found = {(u.path, u.keyword) for u in make_finite(schema).unenforced}
    assert found == {
        ("#/properties/tags", "uniqueItems"),
        ("#/properties/x", "not"),
        ("#/properties/y", "oneOf"),
        ("#/properties/z", "multipleOf"),
        ("#/properties/w", "not"),
        ("#/properties/v", "patternProperties"),
    }


def test_branches_told_apart_by_a_literal_are_no_overlap() -> None:
    """A discriminated union needs no check afterwards."""
    branch = [
        {
            "type": "object",
            "properties": {"kind": {"const": name}},
            "required": ["kind"],
        }
        for name in ("cat", "dog")
    ]
    assert make_finite({"oneOf": branch}).unenforced == ()


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"$ref": "https://example.org/x.json"}, "never fetched"),
        ({"$ref": "#/$defs/none"}, "points at nothing"),
        ({"type": "strin"}, "not a JSON type"),
        ({"properties": {"a": 3}}, "is not a JSON Schema"),
    ],
)
def test_what_cannot_be_read_is_refused(schema: Any, message: str) -> None:
    """References elsewhere and malformed schemas fail closed, with the reason."""
    with pytest.raises(SchemaRefusedError, match=message):
        make_finite(schema)


def test_a_reference_by_identifier_is_found_inside_the_document() -> None:
    """`$id` and `$anchor` name parts of the same document."""
    schema = {
        "$id": "https://example.org/root",
        "properties": {"a": {"$ref": "part"}, "b": {"$ref": "#here"}},
        "$defs": {
            "p": {"$id": "part", "const": 1},
            "q": {"$anchor": "here", "const": 2},
        },
    }
    found = make_finite(schema).schema
    assert [{"enum": [1]}, {"enum": [2]}] == [*found["$defs"].values()]


def test_a_pattern_that_the_engine_cannot_take_is_reported(
    grammar_engine: None,
) -> None:
    """Look-around is left to the check afterwards."""
    from llmguard_fallbacks.local._grammar import compile_grammar

    found = compile_grammar({"type": "string", "pattern": "^(?!a)b"}).finite
    assert ["pattern"] == [u.keyword for u in found.unenforced]
    assert "look-ahead" in str(found.unenforced[0])


def test_tighter_rungs_have_shorter_answers() -> None:
    """The ladder really gets shorter, so that a cut answer can be drawn again."""
    schema = {"type": "array", "items": {"type": "object"}}
    sizes = [make_finite(schema, limits=rung).worst_bytes for rung in LADDER]
    assert sorted(sizes, reverse=True) == sizes
    assert sizes[-1] < sizes[0]


def test_forced_text_is_measured_in_tokens() -> None:
    """Names that must come take what the vocabulary needs, not a token a byte."""
    schema = make_finite(
        {
            "type": "object",
            "properties": {"a_long_name": {"type": "boolean"}, "maybe": {"const": 1}},
            "required": ["a_long_name"],
        }
    ).schema
    bytes_of_maybe = len('"maybe":,')
    assert 2 + 1 + len("false") + bytes_of_maybe + 1 == worst_size(
        schema, forced=lambda _text: 1
    )
    assert '{"a_long_name":1}' == shortest(schema)


def test_a_pattern_grows_a_text_no_further_than_it_must(grammar_engine: None) -> None:
    """What a pattern does not need would only be filled with more text."""
    from llmguard_fallbacks.local._grammar import compile_grammar

    schema = {"type": "string", "pattern": "^x{40}"}
    found = compile_grammar(schema, limits=Limits(string=12)).finite.schema
    assert 48 == found["maxLength"]


def test_a_schema_fits_or_does_not_before_it_is_drawn(grammar_engine: None) -> None:
    """The shortest answer counts, or one with a few words where it may be cut."""
    from llmguard_fallbacks.local._prepared import Prepared

    names = [f"k{number}" for number in range(10, 50)]
    texts = {name: {"type": "string"} for name in names}
    schema = {"type": "object", "properties": texts, "required": names}
    prepared = Prepared(json.dumps(schema))
    # A byte is a token here: `"k10":"",` 40 times, and 12 more with a word or two.
    least = 2 + 40 * 9 - 1
    expected = {300: least + 40 * 12, 700: least + 40 * 12, 722: least, 5000: least}
    assert expected == {room: prepared.need(room) for room in expected}
    exact = Prepared(json.dumps({"const": "x" * 90}))
    assert [92, 92] == [exact.need(91), exact.need(92)]
