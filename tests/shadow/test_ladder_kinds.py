"""The ladder on request and at the edges: register, language, tools, values, acts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmguard import Kind
from llmguard.reply import ToolCall
from llmguard.shadow import Draw, Ladder, Rung, unordered


def _call(name: str, **arguments: object) -> ToolCall:
    return ToolCall(id="1", name=name, arguments=json.dumps(arguments))


@pytest.mark.parametrize(
    ("trait", "a", "b", "direction"),
    [
        (
            "sentiment",
            "Thank you so much, this is a wonderful and lovely idea.",
            "This is a terrible, awful and horrible idea.",
            "positive -> negative",
        ),
        (
            "tone",
            "Thank you very much, please let us know whether that helps, kind regards.",
            "Shut up, you idiot, this is stupid nonsense, damn it!",
            "civil -> uncivil",
        ),
    ],
)
def test_sentiment_and_tone_are_compared_on_request(
    trait: str, a: str, b: str, direction: str
) -> None:
    """Both cost milliseconds, so they are no default."""
    quiet, asked = Ladder(output="text"), Ladder(output="text", register=[trait])
    one, two = Draw(text=a), Draw(text=b)
    assert None is quiet.compare(one, two)
    found = asked.compare(one, two)
    assert found is not None
    assert (Rung.REGISTER, f"@{trait}", direction) == (
        found.rung,
        found.path,
        found.direction,
    )


def test_the_language_of_a_text_is_structure_on_request() -> None:
    """Latin letters alone do not make it readable."""
    one = Draw(text="The parcel has arrived at your house this morning, in the rain.")
    two = Draw(
        text="Das Paket ist heute Morgen bei Ihnen zu Hause angekommen, im Regen."
    )
    assert None is Ladder().compare(one, two)
    found = Ladder(language=True).compare(one, two)
    assert found is not None
    assert (Rung.STRUCTURE, "@language", "en -> de") == (
        found.rung,
        found.path,
        found.direction,
    )


def test_your_own_verdict_of_execution_is_asked_for() -> None:
    """What runs the output is yours; it is asked where no verdict was recorded."""

    def run(draw: Draw) -> str:
        return "fail" if "raise" in (draw.text or "") else "pass"

    ladder = Ladder(output="code", execute=run)
    good, bad = Draw(text="def f():\n    pass"), Draw(text="def f():\n    raise E")
    found = ladder.compare(good, bad)
    assert found is not None
    assert "pass -> fail" == found.direction
    assert None is ladder.compare(good, Draw(text=bad.text, executed="pass"))


def test_the_order_of_calls_counts_where_it_is_said_to() -> None:
    """Calls of one turn are made in parallel, those of a trace one after the other."""
    f, g = _call("f", x=1), _call("g", y=2)
    one, two = Draw(calls=(f, g)), Draw(calls=(g, f))
    assert None is Ladder().compare(one, two)
    found = Ladder(ordered_calls=True).compare(one, two)
    assert found is not None
    assert ("@calls", "f -> g") == (found.path, found.direction)


def test_tools_have_schemas_of_their_own() -> None:
    """A schema says which argument is prose and which number has a tolerance."""
    schema = {
        "type": "object",
        "properties": {"body": {"type": "string"}, "score": {"type": "number"}},
    }
    ladder = Ladder(tools={"mail": schema})
    a = Draw(calls=(_call("mail", body="Dear you", score=1.0),))
    b = Draw(calls=(_call("mail", body="Hello you", score=1.005),))
    assert None is ladder.compare(a, b)
    assert None is not Ladder().compare(a, b)


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("Which city do you mean?", True),
        ("Could you please provide the order number?", True),
        ("I'll need more information to answer that.", True),
        ("How can I assist you further?", False),
        ("The order was shipped on Monday.", False),
        ("Use `input()`:\n```python\nname = input('What is your name?')\n```", False),
        ("Long answer. " * 60 + "Do you want more?", False),
        ("", False),
    ],
)
def test_asking_back_is_told_by_its_words(text: str, asks: bool) -> None:
    """A short text that ends in a request for something; code does not ask."""
    from llmguard.shadow._register import is_clarification

    assert asks is is_clarification(text)


def test_a_recursive_schema_ends() -> None:
    """A tree of comments has no last field: two rounds of it are declared."""
    branches = {f"b{i}": {"$ref": "#/$defs/node"} for i in range(6)}
    schema = {
        "$defs": {
            "node": {
                "type": "object",
                "properties": {"open": {"type": "boolean"}, **branches},
            }
        },
        "$ref": "#/$defs/node",
    }
    paths = Ladder(schema=schema).rules.paths
    assert "/open" in paths
    assert "/b0/open" in paths
    assert len(paths) < 2_000
    assert None is not Ladder(schema=schema).compare(
        Draw(text='{"b0": {"b1": {"b2": {"open": true}}}}'),
        Draw(text='{"b0": {"b1": {"b2": {"open": false}}}}'),
    )


@pytest.mark.parametrize(
    ("a", "b", "rung", "direction"),
    [
        ({"tags": ["x"]}, {"tags": ["y"]}, Rung.DECISION, '"x" -> "y"'),
        ({"tags": ["x", "z"]}, {"tags": []}, Rung.DECISION, "2 items -> 0 items"),
        ({"when_id": "2026-01-02T10:00Z"}, {"when_id": "2026-01-02T10:00+00:00"},
         None, ""),
        ({"when_id": "2026-01-02"}, {"when_id": "2026-13-02"},
         Rung.DECISION, "2026-01-02 -> 2026-13-02"),
        ({"n_id": 10**400}, {"n_id": 1}, Rung.DECISION, "number -> number"),
        ({"a": "one"}, {"a": 1}, Rung.STRUCTURE, "string -> number"),
        ({"a": 1}, {}, Rung.STRUCTURE, "present -> missing"),
        ({}, {"a": 1}, Rung.STRUCTURE, "missing -> present"),
        ({"a": "x"}, {"a": ""}, Rung.DECISION, "value -> (empty)"),
        ({"a": ""}, {"a": "x"}, Rung.DECISION, "(empty) -> value"),
        ({"a": True}, {"a": 1}, Rung.STRUCTURE, "boolean -> number"),
    ],
)  # fmt: skip
def test_values_without_a_schema(
    a: dict[str, Any], b: dict[str, Any], rung: Rung | None, direction: str
) -> None:
    """What a value is tells how it is compared."""
    ladder = Ladder(fields={"tags": unordered()})
    found = ladder.compare(*(Draw(value=v, has_value=True) for v in (a, b)))
    if rung is None:
        assert found is None
        return
    assert found is not None
    assert rung is found.rung
    if direction != "number -> number":
        assert direction == found.direction


@pytest.mark.parametrize(
    ("draw", "act"),
    [
        (Draw(text="Yes.", refusal="no"), "refusal"),
        (Draw(text="Yes", finish_reason="length"), "truncated"),
        (Draw(text="Yes", finish_reason="content_filter"), "filtered"),
        (Draw(kind=Kind.ERROR, detail="boom"), "error"),
        (Draw(calls=(ToolCall(id="1", name="f", arguments="not json"),)), "tool call"),
        (Draw(), "empty"),
        (Draw(value="I cannot help with that request.", has_value=True), "refusal"),
    ],
)
def test_the_act_of_a_draw_without_a_verdict(draw: Draw, act: str) -> None:
    """The provider's marks come first, then what is there."""
    assert act == Ladder().read(draw).act


def test_code_that_defines_something_else_is_structure() -> None:
    """The caller looks for a name that is no longer there."""
    found = Ladder(output="code").compare(
        Draw(text="def solve(x):\n    return x"), Draw(text="class Solution:\n    pass")
    )
    assert found is not None
    assert ("@defines", "solve -> Solution") == (found.path, found.direction)
