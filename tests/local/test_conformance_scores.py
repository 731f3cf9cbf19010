"""Every engine draws the tokens it says it does, as sure as it says it was."""

from __future__ import annotations

import codecs
import json
import math
import pathlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from llmguard_fallbacks.local._job import Job, Result

pytestmark = pytest.mark.gguf

Answer = Callable[..., Result]


def greedy(engine: Any, text: str, constraint: Any, count: int) -> str:
    """Return the likeliest answer, token by token and without fast-forward."""
    context = engine._context
    messages = [{"role": "user", "content": text}]
    prompt = context.tokenize(engine._chat.render(messages), special=True)
    context.rewind([0])
    logits = context.evaluate(prompt, stop=lambda: False)
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    found = ""
    for _ in range(count):
        allowed = constraint.allowed() if constraint else np.arange(context.n_vocab)
        token = int(allowed[np.argmax(logits[allowed])])
        if context.ends(token):
            break
        found += decoder.decode(context.piece(token))
        if constraint:
            constraint.accept(token)
            if constraint.done:
                break
        logits = context.evaluate([token], stop=lambda: False)
    return found + decoder.decode(b"", final=True)


@pytest.mark.parametrize("text", ["one", "another prompt", "größe 価格 🙂"])
def test_greedy_free_text_is_the_argmax(engine: Any, answer: Answer, text: str) -> None:
    """At temperature 0 each token is the likeliest of the whole vocabulary."""
    found = answer(engine, text, max_tokens=20)
    assert greedy(engine, text, None, 20) == found.text


SCHEMAS: dict[str, Any] = {
    "enum": {"enum": ["refund", "return", "billing", "bug", "other"]},
    "fields": {
        "type": "object",
        "properties": {
            "urgent": {"type": "boolean"},
            "text": {"type": "string", "maxLength": 12},
            "many": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 3},
        },
        "required": ["urgent", "text", "many"],
        "additionalProperties": False,
    },
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_greedy_answers_are_the_argmax_of_what_is_allowed(
    open_engine: Any, answer: Answer, mini_gguf: pathlib.Path, name: str
) -> None:
    """Forced tokens and the cache change nothing of what is drawn.

    With a token per byte there is one way to write a text, so both ways agree.
    """
    from llmguard_fallbacks.local._grammar import compile_first

    with open_engine(mini_gguf) as engine:
        found = answer(engine, "pick", schema=SCHEMAS[name])
        constraint = engine._constraint(compile_first(SCHEMAS[name])[1])
        assert greedy(engine, "pick", constraint, 200) == found.text


def test_both_runtimes_read_the_same_logits(mini_gguf: pathlib.Path) -> None:
    """Two builds of llama.cpp differ in rounding only."""
    from llmguard.errors import ConfigError
    from llmguard_fallbacks.local._llama import LlamaContext, LlamaOptions
    from llmguard_fallbacks.local._runtime import RUNTIMES

    rows: list[Any] = []
    for name in RUNTIMES:
        try:
            context = LlamaContext(LlamaOptions(path=str(mini_gguf), runtime=name))
        except ConfigError as error:
            pytest.skip(str(error))
        prompt = context.tokenize("a ticket about a parcel 🙂", special=False)
        rows.append(context.evaluate(prompt, stop=lambda: False).copy())
        context.close()
    assert rows[0].std() > 0.1
    assert rows[0] == pytest.approx(rows[1], abs=1e-3)


@pytest.fixture(scope="module")
def flat(open_engine: Any, flat_gguf: pathlib.Path) -> Any:
    """Return an engine that gives `n`, `t`, `g` six, three and two times the rest."""
    with open_engine(flat_gguf) as engine:
        yield engine


def fields(**properties: Any) -> dict[str, Any]:
    """Return the schema of an object with all of these."""
    return {
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }


KNOWN = {
    # `t` has weight 3, `f` weight 1.
    "boolean": ({"type": "boolean"}, True, {"": 3 / 4}),
    "enum": ({"enum": ["f1", "t1", "n1"]}, "n1", {"": 6 / 10}),
    # A decision has the product of its tokens: `n` of n, a; then `g` of g, b, c.
    "product": ({"enum": ["ng", "nb", "nc", "ax"]}, "ng", {"": 6 / 7 * 2 / 4}),
    # Free text has their geometric mean: `n` of n, a; then `t` of t, b.
    "text": (
        {"type": "string", "pattern": "^[na][tb]$"},
        "nt",
        {"": math.sqrt(6 / 7 * 3 / 4)},
    ),
    "forced": ({"const": "xyz"}, "xyz", {"": 1.0}),
    "null or not": ({"enum": [None, False]}, None, {"": 6 / 7}),
    "several": (
        fields(a={"type": "boolean"}, b={"enum": ["t", "n"]}, c={"const": 7}),
        {"a": True, "b": "n", "c": 7},
        {"/a": 3 / 4, "/b": 6 / 9, "/c": 1.0},
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_confidence_is_right_on_a_known_distribution(
    flat: Any, answer: Answer, name: str
) -> None:
    """Each field's confidence is the probability that can be worked out by hand."""
    schema, value, confidence = KNOWN[name]
    found = answer(flat, schema=schema)
    assert value == json.loads(found.text)
    assert dict(found.field_confidence) == pytest.approx(confidence, abs=1e-4)
    assert found.confidence == pytest.approx(min(confidence.values()), abs=1e-4)


def test_confidence_does_not_depend_on_the_sampling(flat: Any, answer: Answer) -> None:
    """An unlikely value has its own probability, at any temperature."""
    drawn = [
        answer(flat, schema={"type": "boolean"}, seed=s, temperature=5.0)
        for s in range(20)
    ]
    scores = {f.text: f.confidence for f in drawn}
    assert scores == pytest.approx({"true": 3 / 4, "false": 1 / 4}, abs=1e-4)


def test_samples_come_as_often_as_the_model_says(flat: Any, answer: Answer) -> None:
    """At temperature 1 each value has its share of the draws."""
    schema = KNOWN["enum"][0]
    drawn = Counter(
        answer(flat, schema=schema, seed=s, temperature=1.0).text for s in range(400)
    )
    shares = {text: count / 400 for text, count in drawn.items()}
    assert shares == pytest.approx({'"n1"': 0.6, '"t1"': 0.3, '"f1"': 0.1}, abs=0.06)


def test_every_confidence_is_a_probability(
    engine: Any, answer: Answer, ticket: Any
) -> None:
    """Random weights at a high temperature give no other numbers."""
    for seed in range(6):
        found = answer(engine, schema=ticket, temperature=3.0, seed=seed)
        assert all(0 < c <= 1 for c in found.field_confidence.values())
        assert found.confidence is not None
        assert 0 < found.confidence <= 1


def test_a_character_is_never_cut_in_a_stream(engine: Any) -> None:
    """Pieces of text are whole characters, also where tokens are single bytes."""
    words = ["größe", "価格", "🙂🙂", "naïve"]
    given = Job(
        messages=[{"role": "user", "content": "価格 🙂"}],
        schema={"type": "array", "items": {"enum": words}, "minItems": 4},
        stream=True,
        temperature=1.5,
        seed=2,
    )
    *deltas, result = engine.generate(given, halt=lambda: "")
    assert "".join(d.text for d in deltas) == result.text
    assert "\ufffd" not in result.text
    assert {*json.loads(result.text)} <= {*words}


def test_a_grammar_is_compiled_once_and_each_answer_starts_anew(
    engine: Any, ticket: Any, answer: Answer
) -> None:
    """What one answer consumed is not missing in the next."""
    compiled = engine._compiled.cache_info().misses
    first = answer(engine, schema=ticket, temperature=1.0, seed=5)
    other = answer(engine, schema=ticket, temperature=1.0, seed=6)
    again = answer(engine, schema=ticket, temperature=1.0, seed=5)
    assert first.text == again.text
    assert first.text != other.text
    assert engine._compiled.cache_info().misses - compiled <= 1
