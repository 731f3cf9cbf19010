"""How sure the model was, per field."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard_fallbacks.local._confidence import field_confidence, leaf_spans, overall
from llmguard_fallbacks.local._sampling import Sampler, Sampling

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    """Return the scalars of a value by JSON pointer, the slow and obvious way."""
    if isinstance(value, (dict, list)):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        found: dict[str, Any] = {}
        for key, inner in pairs:
            token = str(key).replace("~", "~0").replace("/", "~1")
            found |= leaves(inner, f"{path}/{token}")
        return found
    return {path: value}


@given(VALUES, st.booleans())
def test_spans_cover_exactly_the_scalars(value: Any, ascii_only: bool) -> None:
    """Each span, cut out of the text, is the scalar its pointer names."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=ascii_only)
    data = text.encode("utf-8", "surrogatepass")
    found = {p: json.loads(data[a:b]) for p, a, b in leaf_spans(data)}
    assert leaves(value) == found


def pieces(*parts: tuple[str, float]) -> list[tuple[bytes, float]]:
    """Return tokens as the decoder records them."""
    return [(text.encode(), chance) for text, chance in parts]


SCHEMA = {
    "type": "object",
    "properties": {
        "c": {"enum": ["ab", "cd"]},
        "n": {"anyOf": [{"$ref": "#/$defs/s"}, {"type": "null"}]},
        "s": {"$ref": "#/$defs/s"},
        "l": {"type": "array", "items": {"type": "boolean"}},
    },
    "$defs": {"s": {"type": "string"}},
}


def test_decisions_multiply_and_texts_average() -> None:
    """An enum has the product of its tokens, a text their geometric mean."""
    drawn = pieces(
        ('{"c":"', 1.0),
        ("a", 0.5),
        ("b", 0.5),
        ('","n":null,"s":"', 0.8),
        ("x", 0.1),
        ("y", 0.4),
        ('","l":[', 1.0),
        ("true", 0.9),
        ("]}", 1.0),
    )
    fields, decided = field_confidence(drawn, SCHEMA)
    assert {"/c", "/n", "/l/0"} == decided
    assert fields["/c"] == pytest.approx(0.25 * 0.8)
    assert fields["/n"] == pytest.approx(0.8)
    assert fields["/s"] == pytest.approx((0.8 * 0.1 * 0.4) ** (1 / 3))
    assert fields["/l/0"] == pytest.approx(0.9)
    assert overall(fields, decided) == pytest.approx(0.2)


def test_without_decisions_all_fields_count() -> None:
    """An answer of texts has the least of them; an empty one has none."""
    fields, decided = field_confidence(
        pieces(('"', 1.0), ('x"', 0.3)), {"type": "string"}
    )
    assert (frozenset(), pytest.approx(0.3)) == (decided, overall(fields, decided))
    assert overall(*field_confidence(pieces(("{}", 1.0)), {"type": "object"})) is None


LOGITS = np.array([0.0, math.log(3), math.log(6), 50.0], np.float32)
ALLOWED = np.array([0, 1, 2])


def test_the_likeliest_allowed_token_and_its_share() -> None:
    """What is not allowed has no share, whatever its logit."""
    token, chance = Sampler(Sampling()).pick(LOGITS, ALLOWED)
    assert (2, pytest.approx(0.6)) == (token, chance)
    assert 3 == Sampler(Sampling()).pick(LOGITS, None)[0]


def test_draws_follow_the_distribution() -> None:
    """At temperature 1 tokens come as often as their probability says."""
    sampler = Sampler(Sampling(temperature=1.0, seed=1))
    drawn = [sampler.pick(LOGITS, ALLOWED)[0] for _ in range(4000)]
    shares = np.bincount(drawn, minlength=3) / 4000
    assert shares == pytest.approx([0.1, 0.3, 0.6], abs=0.03)


def test_the_same_seed_draws_the_same() -> None:
    """A seed makes sampling repeatable."""
    runs = [Sampler(Sampling(temperature=2.0, seed=5)) for _ in range(2)]
    first, second = ([s.pick(LOGITS, ALLOWED) for _ in range(20)] for s in runs)
    assert first == second


def test_top_p_drops_the_tail() -> None:
    """With `top_p` at the share of the best token, only that one is left."""
    sampler = Sampler(Sampling(temperature=1.0, top_p=0.6))
    assert {2} == {sampler.pick(LOGITS, ALLOWED)[0] for _ in range(50)}
