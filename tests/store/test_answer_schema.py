"""Whether an answer fits the schema of its ticket."""

from __future__ import annotations

import pytest

from llmguard.store import answer_violations


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        (None, {"anything": [1, None]}, []),
        ({}, "x", []),
        ({"type": "string"}, "x", []),
        (
            {"type": "string"},
            1,
            ["(whole answer): is 1, but must be of type string"],
        ),
        (
            {"type": ["string", "null"]},
            1,
            ["(whole answer): is 1, but must be of type string or null"],
        ),
        ({"const": 3}, 4, ["(whole answer): is 4, but must be one of 3"]),
        (
            {"properties": {"a/b~c": {"minimum": 5}}},
            {"a/b~c": 1},
            ["/a~1b~0c: 1 is less than the minimum of 5"],
        ),
        (
            {"items": {"type": "string"}},
            ["x", "y" * 100, 3],
            ["/2: is 3, but must be of type string"],
        ),
        (
            {"enum": ["a"]},
            "y" * 100,
            [f'(whole answer): is "{"y" * 56}..., but must be one of "a"'],
        ),
        (
            {"oneOf": [{"type": "string"}, {"minLength": 1}]},
            "x",
            [
                (
                    "(whole answer): 'x' is valid under each of {'minLength': 1}, "
                    "{'type': 'string'}"
                )
            ],
        ),
    ],
)
def test_sentences(schema: dict | None, value: object, expected: list[str]) -> None:
    """Each place that is wrong has one sentence."""
    assert [str(one) for one in answer_violations(schema, value)] == expected


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}},
        {"$ref": "https://example.invalid/schema.json"},
        {"pattern": "("},
    ],
)
def test_schema_that_cannot_be_checked_fails_closed(schema: dict) -> None:
    """No answer is accepted unchecked, and nothing is fetched."""
    (found,) = answer_violations(schema, "x")
    assert found.check == "schema"


@pytest.mark.parametrize("value", [{1, 2}, float("nan"), object()])
def test_not_json(value: object) -> None:
    """What is no JSON value is refused even without a schema."""
    (found,) = answer_violations(None, value)
    assert found.check == "json"


def test_draft_7_and_formats() -> None:
    """`$schema` chooses the draft, and formats are checked."""
    draft7 = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "items": [{"type": "integer"}],
        "additionalItems": False,
    }
    assert len(answer_violations(draft7, [1, 2])) == 1
    assert len(answer_violations({"format": "ipv4"}, "300.1.1.1")) == 1
