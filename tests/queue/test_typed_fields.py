"""Answers typed field by field."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard_fallbacks.queue._fields import (
    assemble,
    describe,
    example,
    fields_of,
    parse_text,
)
from llmguard_fallbacks.queue._text import safe, span

SCHEMA = {
    "$defs": {
        "Address": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "zip": {"type": "integer"}},
        },
        "Loop": {"$ref": "#/$defs/Loop"},
    },
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "maybe": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "n": {"type": "integer", "minimum": 1},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}},
        "where": {"$ref": "#/$defs/Address"},
        "a.b": {"type": "boolean"},
        "any": True,
        "loop": {"$ref": "#/$defs/Loop"},
        "const": {"const": 3},
        "default": {"type": "number", "default": 1.5},
    },
}


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        ("text=hello", {"text": "hello"}),
        ("text=17", {"text": "17"}),
        ("text=null", {"text": "null"}),
        ('text="17"', {"text": "17"}),
        ("text=a=b", {"text": "a=b"}),
        ("maybe=null", {"maybe": None}),
        ("maybe=17", {"maybe": "17"}),
        ("n=17", {"n": 17}),
        ("n=0", {"n": 0}),
        ("n=x", {"n": "x"}),
        ('tags=["a"]', {"tags": ["a"]}),
        ("where.city=Graz", {"where": {"city": "Graz"}}),
        ("where.city=8010", {"where": {"city": "8010"}}),
        ("where.zip=8010", {"where": {"zip": 8010}}),
        ("where.other.deep=1", {"where": {"other": {"deep": 1}}}),
        ("a.b=true", {"a.b": True}),
        ("any=[1]", {"any": [1]}),
        ("loop=1", {"loop": 1}),
        ("unknown=x", {"unknown": "x"}),
    ],
)
def test_one_field(pair: str, expected: dict[str, object]) -> None:
    """A value is what the field's schema takes: JSON where it fits, else text."""
    assert assemble(SCHEMA, [pair]) == expected


def test_several_fields() -> None:
    """Pairs of one nested object meet in it."""
    pairs = ["where.city=Graz", "n=2", "where.zip=8010"]
    assert assemble(SCHEMA, pairs) == {
        "where": {"city": "Graz", "zip": 8010},
        "n": 2,
    }


@pytest.mark.parametrize("pairs", [["x"], ["=x"], ["n=1", "n.x=2"]])
def test_wrong_pairs(pairs: list[str]) -> None:
    """What is no assignment is refused."""
    with pytest.raises(ValueError, match=r"NAME=VALUE|already has a value"):
        assemble(SCHEMA, pairs)


@given(st.text())
def test_any_text_can_be_typed(text: str) -> None:
    """Every text is within reach: as it is, or as a JSON string."""
    part = {"type": "string"}
    assert parse_text(json.dumps(text), part, part) == text


def test_without_schema() -> None:
    """Where nothing is declared, JSON is JSON and the rest is text."""
    assert [parse_text(one, {}, {}) for one in ("1", "x", "null")] == [1, "x", None]
    assert assemble(None, ["a=1"]) == {"a": 1}


@pytest.mark.parametrize(
    ("name", "words", "shown"),
    [
        ("text", "string", "..."),
        ("maybe", "string or null", "..."),
        ("n", "integer (>= 1)", "0"),
        ("tags", 'array of "a" | "b"', "..."),
        ("where", "object", "..."),
        ("a.b", "boolean", "false"),
        ("any", "any JSON", "..."),
        ("loop", "any JSON", "..."),
        ("const", "3", "3"),
        ("default", "number", "1.5"),
    ],
)
def test_words_for_a_field(name: str, words: str, shown: str) -> None:
    """A field is described in words, with a value to edit."""
    part = fields_of(SCHEMA)[name]
    assert describe(part, SCHEMA) == words
    assert example(part, SCHEMA) == shown


def test_long_descriptions_are_cut() -> None:
    """Two hundred choices do not fill the screen."""
    part = {"enum": [f"choice {number}" for number in range(200)]}
    assert len(describe(part, {})) == 160


def test_text_for_a_terminal() -> None:
    """Control and direction characters are shown, never obeyed."""
    assert safe("a\x1b[2J\u202eb\n\tc\ud800") == "a\\x1b[2J\\u202eb\n\tc\\ud800"


def test_spans() -> None:
    """Times are read at a glance."""
    assert [span(one) for one in (5, 90, 7200, 200_000)] == ["5s", "2m", "2h", "2d"]
