"""Posts that no form of ours makes: refused with the field and a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmguard_fallbacks.forms import (
    FormError,
    Limits,
    blank,
    decode,
    encode,
    fill,
    place,
)
from llmguard_fallbacks.forms._text import same

Pairs = list[tuple[str, str]]


def _post(name: str, text: str, schema: Any, value: Any) -> list[tuple[str, str]]:
    """Return the errors after one text of an honest post was replaced."""
    pairs = [(n, text if n == name else t) for n, t in encode(schema, value)]
    assert (name, text) in pairs
    return [(e.name, e.message) for e in decode(schema, pairs).errors]


def test_the_whole_value_comes_back(order: Any, value: Any) -> None:
    """Order numbers, blank texts, nulls, odd names, line ends, JSON: all of it."""
    pairs = encode(order, value)
    found = decode(order, pairs)
    assert same(value, found.value)
    assert ("v/note", 'two\r\nlines, "quoted" & <b>\'s') in pairs
    assert ("v/code!is", "empty") in pairs
    assert ("v/lines!n", "2") in pairs
    assert ("v/owner/:1!json", '"me\\r"') in pairs


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is needed: write a number"),
        ("seven", "must be a number such as 12 or -0.5, not 'seven'"),
        ("0x10", "must be a number such as 12 or -0.5, not '0x10'"),
        ("1_000", "must be a number such as 12 or -0.5, not '1_000'"),
        ("٣", "must be a number such as 12 or -0.5, not '٣'"),
        ("NaN", "must be a number such as 12 or -0.5, not 'NaN'"),
        ("Infinity", "must be a number such as 12 or -0.5, not 'Infinity'"),
        ("1,5", "must be a number such as 12 or -0.5, not '1,5'"),
        ("1.5", "must be a whole number, not '1.5'"),
        ("1e999", "1e999 is too large"),
        (
            "0.10000000000000000001",
            "0.10000000000000000001 cannot be kept exactly; the nearest number is 0.1",
        ),
        ("9" * 401, "has 401 characters; at most 400"),
    ],
)
def test_numbers_out_of_form(text: str, sentence: str, order: Any, value: Any) -> None:
    """What JSON does not write, or a double does not hold, is no number."""
    assert [("v/id", sentence)] == _post("v/id", text, order, value)


@pytest.mark.parametrize(
    ("name", "text", "field", "part"),
    [
        ("v/kind", "9", "v/kind", "has no choice '9'"),
        ("v/kind", "-1", "v/kind", "has no choice '-1'"),
        ("v/paid", "", "v/paid", "is needed: choose one"),
        ("v/lines!n", "x", "v/lines", "cannot have 'x' items"),
        ("v/lines!n", "501", "v/lines", "takes at most 500"),
        ("v/lines!n", "3", "v/lines/2/name", "was not posted"),
        ("v/address!is", "gone", "v/address", "cannot be 'gone'"),
        ("v/lines/0/name", "a\x00b", "v/lines/0/name", "U+0000"),
        ("v/lines/0/name", "a\rb", "v/lines/0/name", "U+000D"),
        ("v/lines/0/name", "", "v/lines/0/name", "choose `empty text`"),
        ("v/code", "typed", "v/code", "is set to empty, yet has a text"),
        ("v/extra!json", "{", "v/extra", "is no JSON"),
        ("v/extra!json", '{"a": 1, "a": 2}', "v/extra", "has the member 'a' twice"),
        ("v/extra!json", "[NaN]", "v/extra", "NaN is no number"),
        ("v/extra!json", "9" * 5_000, "v/extra", "a number of 5000 digits"),
        ("v/extra!json", "1e-" + "9" * 5_000, "v/extra", "kept exactly"),
        ("v/id", "1e-" + "9" * 300, "v/id", "kept exactly"),
        ("v/extra!json", "[" * 50_000, "v/extra", "nested too deeply"),
        ("v/extra!json", "[" * 250 + "]" * 250, "v/extra", "more than 200 levels"),
        ("v/extra!json", "[1.0000000000000000001]", "v/extra", "kept exactly"),
        ("v!more", "[]", "v", "must be one JSON object"),
        ("v!more", '{"id": 9}', "v", "has the member 'id' twice"),
        ("v/labels/@0!key", "", "v/labels", "has the member '' twice"),
        ("v/labels/@0!key", "a\r\nb", "v/labels", "of two lines"),
    ],
)
def test_what_a_field_cannot_hold(  # noqa: PLR0917 - fixtures
    name: str, text: str, field: str, part: str, order: Any, value: Any
) -> None:
    """Each is said at its field."""
    found = dict(_post(name, text, order, value))
    assert part in found[field]


def test_names_that_are_unknown_or_doubled(order: Any, value: Any) -> None:
    """A pair more is an error, even one that says the same."""
    pairs = encode(order, value)
    more = [*pairs, ("v/price", "1"), ("csrf", "x"), pairs[0]]
    found = {e.name: e.message for e in decode(order, more).errors}
    assert "is no field of this form" == found["v/price"] == found["csrf"]
    assert "was posted twice" == found[pairs[0][0]]


def test_a_missing_pair_is_named(order: Any, value: Any) -> None:
    """A browser posts every control; what lacks one is no post of this form."""
    pairs = [pair for pair in encode(order, value) if pair[0] != "v/code"]
    with pytest.raises(FormError, match="`v/code` was not posted"):
        _ = decode(order, pairs).value


@pytest.mark.parametrize(
    ("pairs", "part"),
    [
        ([("v", "x" * 2_000)], "more than 1000 characters"),
        ([(f"v/{n}", "") for n in range(60)], "more than 50 fields"),
        ([("v" * 1_001, "")], "more than 1000 characters"),
    ],
)
def test_posts_that_are_too_large(pairs: Pairs, part: str, order: Any) -> None:
    """They are refused before anything is read, and a blank form is shown."""
    limits = Limits(pairs=50, characters=1_000)
    found = decode(order, pairs, limits=limits)
    assert part in found.errors[0].message
    assert found.form.pairs()


def test_a_small_post_does_not_make_a_large_form() -> None:
    """Counts of counts: each is allowed alone, all together are not."""
    schema: dict[str, Any] = {"type": "array", "items": {"type": "object"}}
    schema["items"]["properties"] = {f"p{n}": {"type": "string"} for n in range(90)}
    found = decode(schema, [("v!n", "500")])
    assert 1 == len(found.errors)
    assert "more than 100 errors" in found.errors[0].message


def test_a_schema_without_end_ends() -> None:
    """A required member of its own kind: deep down it is JSON."""
    schema: dict[str, Any] = {"type": "object", "required": ["a", "b"]}
    schema["properties"] = {"a": {"$ref": "#"}, "b": {"$ref": "#"}}
    assert [("v!json", "{}")] == encode(schema, {})
    assert [("v!json", "")] == blank(schema).pairs()


def test_a_schema_that_doubles_at_each_step_is_read_once() -> None:
    """Forty steps of two references each are no 2**40 of them."""
    parts: dict[str, Any] = {
        f"n{step}": {"allOf": [{"$ref": f"#/$defs/n{step + 1}"}] * 2}
        for step in range(40)
    }
    parts["n40"] = {"type": "string", "maxLength": 3}
    schema = {"$ref": "#/$defs/n0", "$defs": parts}
    assert [("v!is", "text"), ("v", "x")] == encode(schema, "x")


def test_values_that_are_no_json() -> None:
    """What JSON cannot write is refused, never written otherwise."""
    for value in (float("nan"), (1, 2), {1: 2}, {"a": object()}, b"x", {1, 2}):
        with pytest.raises(ValueError, match="JSON"):
            encode({}, value)
    with pytest.raises(ValueError, match="reads back as another"):
        encode({}, "\ud83d\ude00")


POSTED = st.lists(
    st.tuples(
        st.sampled_from(
            ["v", "v!is", "v!n", "v!json", "v!more", "v/id", "v/lines!n", "v/a"]
        )
        | st.text(max_size=6),
        st.sampled_from(["", "0", "3", "null", "set", "{}", "99999999999999"])
        | st.text(max_size=6),
    ),
    max_size=12,
)


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(posted=POSTED, keep=st.integers(0, 30))
def test_any_post_is_read_or_refused(
    order: Any, value: Any, posted: Pairs, keep: int
) -> None:
    """Never an exception, and the form can always be shown again."""
    found = decode(order, [*encode(order, value)[:keep], *posted])
    assert found.errors or found.value is not None
    names = [name for name, _ in found.form.pairs()]
    assert len(names) == len(set(names))


@dataclass(frozen=True)
class Wrong:
    """A violation as a contract gives it."""

    path: str
    message: str


def test_violations_are_placed_at_fields(order: Any, value: Any) -> None:
    """Through choices and maps; inside JSON the place is named."""
    form = fill(order, {**value, "owner": {"city": 1, "inside": {"city": "x"}}})
    found = place(
        form,
        [
            Wrong("", "whole"),
            Wrong("/lines/1/name", "short"),
            Wrong("/owner/inside/city", "unknown"),
            Wrong("/labels/a~1b", "odd"),
            Wrong("/extra/deep/3", "null"),
            Wrong("/lines/9", "gone"),
        ],
    )
    assert [
        ("v", "whole"),
        ("v/lines/1/name", "short"),
        ("v/owner/:0/inside/city", "unknown"),
        ("v/labels/@0", "odd"),
        ("v/extra", "null (at `deep/3`)"),
        ("v/lines", "gone (at `9`)"),
    ] == [(e.name, e.message) for e in found]
