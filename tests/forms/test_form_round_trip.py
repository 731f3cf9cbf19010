"""Values through a form and back: the same, or refused, never another."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmguard_fallbacks.forms import Limits, blank, decode, edit, encode, fill
from llmguard_fallbacks.forms._shapes import Choice, Items, Record
from llmguard_fallbacks.forms._text import same

DEFAULT = Path(__file__).parents[3] / "shared" / "data"
SAMPLE = (
    Path(os.environ.get("LLMGUARD_TEST_DATA", DEFAULT))
    / "jsonschemabench"
    / "sample.jsonl.gz"
)
TEXTS = st.text(max_size=8) | st.sampled_from(
    ["", " ", "null", "a\nb", "a\r\nb", "a\rb", "\n", "\ud800", "\x00", "%2e.", "v!is"]
)
SCALARS = st.none() | st.booleans() | st.integers() | TEXTS
SCALARS |= st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4)
    ),
    max_leaves=12,
)
NAMES = st.sampled_from(["a", "b", "a/b", "", "0", "@0", ":0", "é", "v", "\ud800"])
LEAVES: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(["string", "integer", "number", "boolean", "null"]).map(
        lambda kind: {"type": kind}
    ),
    st.lists(
        st.sampled_from(["string", "integer", "null", "object", "array"]),
        min_size=1,
        max_size=3,
        unique=True,
    ).map(lambda kinds: {"type": kinds}),
    st.lists(SCALARS, min_size=1, max_size=4).map(lambda all_of: {"enum": all_of}),
    SCALARS.map(lambda value: {"const": value}),
    st.sampled_from(
        [
            {},
            True,
            False,
            {"$ref": "#"},
            {"$ref": "#/nowhere"},
            {"$ref": "https://a.example/"},
            {"type": "string", "format": "date", "nullable": True},
        ]
    ),
)


def _wider(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(inner, min_size=1, max_size=3)
    members = st.dictionaries(NAMES, inner, max_size=4)
    objects = st.fixed_dictionaries(
        {"type": st.just("object"), "properties": members},
        optional={
            "required": st.lists(NAMES, max_size=3),
            "additionalProperties": inner | st.booleans(),
            "patternProperties": st.dictionaries(st.just("^a"), inner, max_size=1),
        },
    )
    arrays = st.fixed_dictionaries(
        {"type": st.just("array"), "items": inner},
        optional={"prefixItems": some},
    )
    ways = st.sampled_from(["anyOf", "oneOf", "allOf"])
    chosen = st.tuples(ways, some).map(lambda pair: {pair[0]: pair[1]})
    both = st.tuples(objects, chosen).map(lambda pair: {**pair[0], **pair[1]})
    return objects | arrays | chosen | both


SCHEMAS = st.recursive(LEAVES, _wider, max_leaves=8)


def as_wanted(  # noqa: PLR0911 - one return per kind of schema
    draw: st.DrawFn, schema: Any, deep: int = 3
) -> Any:
    """Draw a value that follows the outline of a schema, more or less."""
    if not isinstance(schema, dict) or deep == 0:
        return draw(VALUES)
    for ways in ("anyOf", "oneOf", "allOf"):
        if ways in schema and "properties" not in schema:
            return as_wanted(draw, draw(st.sampled_from(schema[ways])), deep - 1)
    if "enum" in schema:
        return draw(st.sampled_from(schema["enum"]))
    if "const" in schema:
        return schema["const"]
    if "properties" in schema:
        names = set(schema["properties"]) | set(draw(st.lists(NAMES, max_size=2)))
        return {
            name: as_wanted(draw, schema["properties"].get(name, {}), deep - 1)
            for name in sorted(names)
            if draw(st.booleans()) or name in schema.get("required", ())
        }
    if "items" in schema:
        size = draw(st.integers(min_value=0, max_value=3))
        return [as_wanted(draw, schema["items"], deep - 1) for _ in range(size)]
    return draw(VALUES)


@st.composite
def schema_and_value(draw: st.DrawFn) -> tuple[Any, Any]:
    schema = draw(SCHEMAS)
    return schema, as_wanted(draw, schema)


def survives(schema: Any, value: Any, **limits: Any) -> bool:
    """Say whether a value came back the same; another value fails the test."""
    try:
        pairs = encode(schema, value, **limits)
    except ValueError:
        return False
    found = decode(schema, pairs, **limits)
    assert () == found.errors
    assert same(found.value, value)
    assert pairs == found.form.pairs()
    return True


RELAXED = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@RELAXED
@given(schema_and_value())
def test_a_value_comes_back_exactly(case: tuple[Any, Any]) -> None:
    """Whatever the schema says of it; only what is no JSON text is refused."""
    schema, value = case
    text = json.dumps(value)
    assert survives(schema, value) or not same(json.loads(text), value)


@RELAXED
@given(schema_and_value())
def test_small_limits_lose_nothing(case: tuple[Any, Any]) -> None:
    """A form that may not grow shows more as JSON."""
    survives(*case, limits=Limits(depth=2, fields=6, items=2, characters=4_000))


@RELAXED
@given(schema_and_value(), st.data())
def test_buttons_keep_what_they_do_not_touch(
    case: tuple[Any, Any], data: st.DataObject
) -> None:
    """Any field may be shown as JSON and as a form again: the value is the same.

    A single value that no field holds is the exception: its button says `Discard`.
    """
    schema, value = case
    if not survives(schema, value):
        return
    form = fill(schema, value, draft=False)
    groups = (Record, Items, Choice)
    kept = [
        f for f in form.fields() if f.state != "json" or isinstance(f.shape, groups)
    ]
    name = data.draw(st.sampled_from(["v", *(part.name for part in kept)]))
    if name == "v" and form.root not in kept:
        return
    pairs = form.pairs()
    for verb in ("json", "form"):
        changed = edit(schema, [*pairs, ("op", f"{verb} {name}")])
        if not changed.errors:
            pairs = changed.form.pairs()
            found = decode(schema, pairs)
            blanks = [error for error in found.errors if "needed" in error.message]
            assert list(found.errors) == blanks
            assert found.errors or same(found.value, value)


@RELAXED
@given(SCHEMAS)
def test_a_blank_form_is_a_post_that_can_be_read(schema: Any) -> None:
    """Errors of a blank form say what is needed; the names are all known."""
    form = blank(schema)
    found = decode(schema, form.pairs())
    assert form.pairs() == found.form.pairs()
    for error in found.errors:
        assert "needed" in error.message


@RELAXED
@given(schema_and_value(), st.data())
def test_a_post_that_lost_a_pair_is_refused(
    case: tuple[Any, Any], data: st.DataObject
) -> None:
    """A truncated post is never read as a smaller value."""
    schema, value = case
    if not survives(schema, value):
        return
    pairs = encode(schema, value)
    if not pairs:
        return
    lost = data.draw(st.sampled_from(pairs))
    found = decode(schema, [pair for pair in pairs if pair != lost])
    assert found.errors


@pytest.mark.parametrize("kind", ["valid", "invalid"])
def test_the_sample_of_jsonschemabench_survives(kind: str) -> None:
    """Every instance, accepted by its schema or not: none is altered or refused."""
    if not SAMPLE.exists():
        pytest.skip(f"no test data at {SAMPLE}; set `LLMGUARD_TEST_DATA`")
    seen = 0
    with gzip.open(SAMPLE, "rt") as stream:
        for line in stream:
            record = json.loads(line)
            for test in record["tests"]:
                if test["valid"] == (kind == "valid"):
                    assert survives(record["schema"], test["data"]), record["name"]
                    seen += 1
    assert seen > 900


def test_the_benchmark_runs(tmp_path: Path) -> None:
    """It prints its table, or says what it lacks."""
    script = Path(__file__).parents[2] / "benchmarks" / "forms_bench.py"
    done = subprocess.run(
        [sys.executable, script, "--quick", "--json", tmp_path / "figures.json"],
        capture_output=True,
        text=True,
        check=True,
    )
    if "skipped" not in done.stdout:
        found = json.loads((tmp_path / "figures.json").read_text())
        assert found["all"]["valid"] == found["all"]["valid_exact"]
