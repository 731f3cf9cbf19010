"""What is read of an answer: marks, measures, embeddings, fields."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard.errors import ConfigError
from llmguard.monitor.drift import (
    MARKS,
    MEASURES,
    Classifier,
    Extractor,
    Fields,
    Row,
    fields_of,
    hash_text,
    hash_words,
    infer_fields,
    prompt_text,
    read_style,
    value_text,
)


def _marks(text: str) -> set[str]:
    return {n for n, there in zip(MARKS, read_style(text)[0], strict=True) if there}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("```python\nx\n```", "code fence"),
        ("Steps:\n1. go", "numbered list"),
        ("- a\n- b", "bulleted list"),
        ("# Title", "heading"),
        ("a **b** c", "bold"),
        ("| a | b |", "table"),
        ("see https://x.org", "link"),
        ("a\n\nb", "paragraphs"),
        ("Sure, here it is.", "eager opening"),
        ("Well, as an AI language model.", "speaks as an AI"),
        ("I am sorry about it.", "apology"),
        ("Done. Let me know!", "closing offer"),
        ("It's also important to rest.", "caveat"),
        ("Good. However, no.", "contrast"),
        ("Moreover, yes.", "connective"),
        ("One.\nIn conclusion, two.", "conclusion"),
        ("I can't assist with that request.", "refusal"),
        ("It ends in the mid", "unfinished"),
    ],
)
def test_each_mark_is_seen(text: str, name: str) -> None:
    """And a plain sentence has none of them."""
    assert name in _marks(text)
    assert name not in _marks("The parcel arrives on Monday.")


@given(st.text(max_size=300))
def test_any_text_has_the_same_numbers_of_marks_and_measures(text: str) -> None:
    """All finite, whatever is in it: half surrogates, NULs, nothing at all."""
    marks, measures = read_style(text)
    assert (len(MARKS), len(MEASURES)) == (len(marks), len(measures))
    assert 34 == len(marks) + len(measures)
    assert all(math.isfinite(value) for value in measures)
    vector = hash_text(text)
    assert (256,) == vector.shape
    assert np.isfinite(vector).all()
    assert float(np.linalg.norm(vector)) <= 1 + 1e-6


def test_a_half_surrogate_is_no_crash() -> None:
    """Models can emit one; it cannot be encoded."""
    assert (256,) == hash_text("\ud800 x").shape
    assert 34 == sum(map(len, read_style("\ud800 x")))


def test_only_the_beginning_of_a_long_text_is_read() -> None:
    """So that an answer of a megabyte costs no more; its length is still told."""
    short, long = read_style("a b. " * 1000), read_style("a b. " * 9000)
    assert short[0] == long[0]
    assert math.log1p(45_000) == long[1][0]


SCHEMA: dict[str, Any] = {
    "$defs": {"P": {"enum": ["low", "high"]}},
    "properties": {
        "category": {"enum": ["bug", "other"]},
        "priority": {"$ref": "#/$defs/P"},
        "urgent": {"type": "boolean"},
        "order": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "kind": {"const": "x"},
        "lines": {"type": "array", "items": {"properties": {"n": {"type": "integer"}}}},
    },
}


def test_a_schema_names_what_is_decided() -> None:
    """Enum values, flags, absent fields, and the sizes of all else."""
    fields = fields_of(SCHEMA)
    marks, measures = fields.names
    assert (
        "category=bug",
        "category=other",
        "priority=low",
        "priority=high",
        "urgent=true",
        "order=null",
        "kind=x",
    ) == marks
    assert ("size of order", "size of lines.#", "size of lines.n") == measures
    value = {"category": "bug", "urgent": True, "order": None, "lines": [{"n": -3}]}
    flags, sizes = fields.read(value)
    assert {"category=bug", "urgent=true", "order=null"} == {
        name for name, there in zip(marks, flags, strict=True) if there
    }
    assert (0.0, math.log1p(1), -math.log1p(3)) == sizes
    assert ((False,) * 7, (0.0,) * 3) == fields.read(None)


def test_true_is_not_one() -> None:
    """JSON tells them apart, though Python does not."""
    fields = Fields(marks=((".n", 1), (".n", True)))
    assert ((True, False), ()) == fields.read({"n": 1})
    assert ((False, True), ()) == fields.read({"n": True})


def test_fields_are_inferred_where_no_schema_says() -> None:
    """Few repeated short values are decisions; free text is measured only."""
    values = [{"c": "ab"[i % 2], "note": f"text number {i}"} for i in range(20)]
    fields = infer_fields([*values, "plain", None])
    assert {".c"} == {path for path, _ in fields.marks}
    assert (".c", ".note") == fields.measures
    assert Fields() == infer_fields(["text"] * 9)


def test_a_reference_to_itself_ends() -> None:
    """Recursive schemas are cut off, not followed for ever."""
    schema: dict[str, Any] = {"properties": {"a": {"$ref": "#"}, "b": {"enum": [1]}}}
    assert (".b", 1) in fields_of(schema).marks


def test_an_extractor_reads_what_users_add() -> None:
    """Patterns and classifiers become marks and measures; a raising one says no."""

    def broken(_text: str, _value: object) -> float:
        raise ValueError("mine")

    extractor = Extractor(
        patterns={"euro": r"\d+ EUR"},
        classifiers=(
            Classifier(name="polite", function=lambda text, _: "please" in text),
            Classifier(name="amount", function=lambda *_: 2.5, kind="measure"),
            Classifier(name="broken", function=broken),
            Classifier(name="nan", function=lambda *_: math.nan, kind="measure"),
        ),
    )
    row = extractor.read("please pay 5 EUR", prompt="how much?")
    assert ("euro", "polite", "broken") == extractor.marks[-3:]
    assert (True, True, False) == row.marks[-3:]
    assert (2.5, 0.0) == row.measures[-2:]
    assert math.log1p(9) == row.prompt_size
    other = Extractor(patterns={"euro": r"\d+ Euro"})
    assert 3 == len({extractor.id, other.id, Extractor().id})


def test_a_bad_pattern_or_classifier_is_refused() -> None:
    """When it is declared, not when the first answer comes."""
    with pytest.raises(ConfigError, match="no regular expression"):
        Extractor(patterns={"x": "("})
    with pytest.raises(ConfigError, match="`kind` must be"):
        Classifier(name="x", function=lambda *_: 1.0, kind="score")


@given(
    st.lists(st.booleans(), min_size=1, max_size=40),
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=10),
    st.booleans(),
)
def test_a_row_survives_the_store(
    marks: list[bool], measures: list[float], known: bool
) -> None:
    """To three digits; a prompt that is not known stays so."""
    row = Row(
        marks=tuple(marks),
        measures=tuple(measures),
        hashed=hash_text("some words"),
        prompt=hash_words("a prompt") if known else None,
    )
    back = Row.from_json(row.to_json())
    assert row.marks == back.marks
    assert back.measures == pytest.approx(row.measures, abs=1e-5)
    assert np.allclose(row.hashed, back.hashed, atol=1e-3)
    assert row.prompt == back.prompt


def test_prompts_and_values_become_text() -> None:
    """Whatever the arguments are, even those that cannot be printed."""

    class Evil:
        def __repr__(self) -> str:
            raise ValueError("no")

    assert "hi\n3\nevil" == prompt_text({"a": "hi", "n": 3, "evil": Evil()})
    assert '{"a": 1}' == value_text({"a": 1})
    assert "x" == value_text("x")
    looped: list[object] = []
    looped.append(looped)
    assert "list" == value_text(looped)
