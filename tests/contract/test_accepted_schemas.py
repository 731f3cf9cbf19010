"""What a contract can be made of, what it refuses, and how its errors teach."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Literal

import pydantic.dataclasses
import pytest
from pydantic import BaseModel, Field, RootModel
from typing_extensions import TypedDict

from llmguard.contract import Contract, missing_formats
from llmguard.errors import ConfigError, LLMGuardWarning
from llmguard.outcome import Kind
from llmguard.reply import Reply

DRAFT_7 = "http://json-schema.org/draft-07/schema#"


class Color(enum.Enum):
    """A choice."""

    RED = "red"


class Word(enum.StrEnum):
    """A choice of strings."""

    YES = "yes"


class Point(BaseModel):
    """A model."""

    x: int


@dataclasses.dataclass
class Plain:
    """A dataclass."""

    x: int


@pydantic.dataclasses.dataclass
class Checked:
    """A dataclass of pydantic."""

    x: int


class Typed(TypedDict):
    """A typed dict."""

    x: int


class Words(RootModel[list[str]]):
    """A model that is a list."""


ID = uuid.UUID("249903a5-4684-4caa-be9a-dfd245fb761b")


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        (Point, '{"x": 1}', Point(x=1)),
        (Plain, '{"x": 1}', Plain(1)),
        (Checked, '{"x": 1}', Checked(1)),
        (Typed, '{"x": 1}', {"x": 1}),
        (Words, '["a"]', Words(["a"])),
        (Literal["a", 2], "2", 2),
        (Color, '"red"', Color.RED),
        (Word, '"yes"', Word.YES),
        (list[Point], '[{"x": 1}]', [Point(x=1)]),
        (dict[str, int], '{"a": 1}', {"a": 1}),
        (Point | None, "null", None),
        (dt.date, '"2024-02-29"', dt.date(2024, 2, 29)),
        (uuid.UUID, f'"{ID}"', ID),
        (Decimal, '"1.50"', Decimal("1.50")),
        (float, "3", 3.0),
        (set[int], "[1, 2]", {1, 2}),
        (Annotated[str, Field(max_length=3)], "abc", "abc"),
        ({"type": "integer"}, "3", 3),
        ({"type": "integer"}, "3.0", 3.0),
        ({"$schema": DRAFT_7, "type": "integer"}, "3", 3),
        (True, "null", None),
    ],
)
def test_an_answer_is_read_into_what_the_contract_was_made_of(
    schema: object, text: str, value: object
) -> None:
    """Types give objects, JSON schemas give plain JSON."""
    verdict = Contract(schema).judge(Reply(text=text))
    assert (Kind.OK, value) == (verdict.kind, verdict.value)
    assert type(value) is type(verdict.value)


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (int, '"3"'),
        (int, "3.0"),
        (int, "true"),
        (bool, "1"),
        (bool, '"true"'),
        (float, '"3.5"'),
        (dt.datetime, "1700000000"),
        (Point, '{"x": "1"}'),
        (Annotated[str, Field(max_length=3)], "abcd"),
        (False, "null"),
    ],
)
def test_nothing_is_turned_into_another_type(schema: object, text: str) -> None:
    """A contract is about what was written, not about what could be made of it."""
    assert Kind.SCHEMA is Contract(schema).judge(Reply(text=text)).kind


def test_conversion_can_be_asked_for() -> None:
    """`strict=False` is pydantic's lax mode."""
    verdict = Contract(Point, strict=False).judge(Reply(text='{"x": "1"}'))
    assert Point(x=1) == verdict.value


@pytest.mark.parametrize(
    ("schema", "options", "needle"),
    [
        (None, {}, "not null; pass the class itself"),
        ("Triage", {}, 'not "Triage"'),
        (Point(x=1), {}, "pass `Point` itself"),
        (object(), {}, "a contract cannot be made of"),
        (Callable[[], int], {}, "holds something that JSON cannot write"),
        (int, {"parse": "guess"}, "it must be one of 'raw', 'fenced'"),
        (int, {"parse": "text"}, "this schema allows no string"),
        (int, {"refusal": "yes"}, "`refusal` is 'yes'"),
        (int, {"schemas": {"urn:x": {}}}, "`schemas` goes with a JSON Schema dict"),
        (int, {"checks": lambda value: True}, "write `checks=["),
        (int, {"checks": "length"}, "write `checks=["),
        (int, {"checks": [3]}, "a check must be a function, not 3"),
        (int, {"confidence": 0.5}, "`confidence` is 0.5"),
        (Point, {"confidence": "y"}, "no field 'y'"),
        (dict[str, str], {"confidence": "y"}, "must name one field with a number"),
        ({"type": "nonsense"}, {}, "the JSON schema is wrong at /type"),
        ({"minimum": "3"}, {}, "the JSON schema is wrong at /minimum"),
        ({"pattern": "("}, {}, "the JSON schema is wrong at /pattern"),
        ({"x": object()}, {}, "is not JSON"),
        ({"x": float("inf")}, {}, "is not JSON"),
        ({"$schema": "http://json-schema.org/draft-04/schema#"}, {}, "the dialect"),
        ({"$ref": "https://example.com/x"}, {}, "which is never fetched"),
        ({"$ref": "#/$defs/lost"}, {}, "leads nowhere"),
        ({"properties": {"a": {"$ref": "#lost"}}}, {}, "leads nowhere"),
        (
            {"$ref": "urn:a"},
            {"schemas": {"urn:a": {"$ref": "urn:b"}}},
            "'urn:b', which is never fetched",
        ),
    ],
)
def test_a_wrong_argument_is_refused_with_the_repair(
    schema: object, options: dict[str, Any], needle: str
) -> None:
    """Everything that can be known when the contract is made is refused there."""
    with pytest.raises(ConfigError) as caught:
        Contract(schema, **options)
    assert needle in str(caught.value)


def test_a_reference_is_resolved_from_the_documents_given() -> None:
    """Documents may refer to each other and to the official metaschema."""
    documents = {
        "urn:order": {"properties": {"id": {"$ref": "urn:id"}}, "type": "object"},
        "urn:id": {"type": "string", "pattern": r"^A-\d+$"},
    }
    contract = Contract({"$ref": "urn:order"}, schemas=documents)
    kinds = [
        contract.judge(Reply(text=text)).kind
        for text in ('{"id": "A-1"}', '{"id": "A-1\\n"}', '{"id": "A-\u0967"}', "[]")
    ]
    assert [Kind.OK, Kind.SCHEMA, Kind.SCHEMA, Kind.SCHEMA] == kinds
    meta = Contract({"$ref": "https://json-schema.org/draft/2020-12/schema"})
    assert Kind.SCHEMA is meta.judge(Reply(text='{"type": 3}')).kind


def test_a_recursive_schema_is_read() -> None:
    """A reference to itself is followed once when the contract is made."""
    tree = {"type": "array", "items": {"$ref": "#"}}
    contract = Contract(tree)
    assert contract.judge(Reply(text="[[], [[]]]")).ok
    verdict = contract.judge(Reply(text="[[], [1]]"))
    assert "/1/0" == verdict.violations[0].path


def test_numbers_that_cannot_be_checked_are_refused() -> None:
    """An overflow inside the validator is a verdict."""
    contract = Contract({"multipleOf": 0.5})
    verdict = contract.judge(Reply(text="1" + "0" * 400))
    assert Kind.SCHEMA is verdict.kind


def test_formats_are_asserted_and_the_unknown_ones_listed() -> None:
    """A format that nobody knows is an annotation, and the contract says so."""
    contract = Contract({"anyOf": [{"format": "date"}, {"format": "phone"}]})
    assert ("phone",) == contract.unchecked_formats
    assert () == Contract(int).unchecked_formats
    by_date = Contract({"format": "date"})
    assert Kind.SCHEMA is by_date.judge(Reply(text='"2023-02-29"')).kind


def test_a_format_whose_package_is_missing_is_warned_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without its optional package a format is not checked; silence would hurt."""
    import jsonschema

    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    fewer = {name: it for name, it in checker.checkers.items() if name != "uri"}
    monkeypatch.setattr(checker, "checkers", fewer)
    assert ("uri",) == missing_formats()
    with pytest.warns(LLMGuardWarning, match="the formats uri are not checked"):
        contract = Contract({"format": "uri"})
    assert ("uri",) == contract.unchecked_formats


def test_every_standard_format_is_checked_with_the_declared_dependencies() -> None:
    """The distribution depends on all that the formats need."""
    assert ((), ()) == (missing_formats(), missing_formats("7"))


def test_the_schema_given_is_copied() -> None:
    """Changing the dict afterwards, or the copy handed out, changes nothing."""
    schema: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "string"}}}
    contract = Contract(schema)
    schema["properties"]["a"]["type"] = "integer"
    handed = contract.json_schema
    assert handed is not None
    handed["properties"]["a"]["type"] = "null"
    assert contract.judge(Reply(text='{"a": "x"}')).ok
    assert {"type": "string"} == contract.value_schema["properties"]["a"]  # type: ignore[index] - a dict
