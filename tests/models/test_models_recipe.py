"""The recipe: labels, splits, the gap between corpus and apart sets, the figures."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from types import ModuleType

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import llmguard_models

Import = Callable[[str], ModuleType]


def _tickets(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_corpus_shares_no_five_words_with_the_apart_tickets(
    recipe_module: Import,
) -> None:
    """No five-word sequence of a test, dev or demo ticket is in a training fragment."""
    overlap = recipe_module("overlap")
    assert overlap.shared(overlap.APART) == []


def test_overlap_check_sees_an_overlap(recipe_module: Import, tmp_path: Path) -> None:
    """The check is able to fail: a fragment used as a ticket is found."""
    overlap = recipe_module("overlap")
    intents = recipe_module("fragments").load_intents()
    plain = next(
        f.text
        for intent in intents
        for f in intent.fragments
        if len(f.text.split()) > 8 and not set(f.text) & set("[{")
    )
    copied = tmp_path / "copied.jsonl"
    copied.write_text(json.dumps({"id": "copy", "text": plain}) + "\n")
    assert {ticket for ticket, _, _ in overlap.shared([copied])} == {"copy"}


def test_apart_sets_are_large_enough_and_fit_the_schema(recipe: Path) -> None:
    """At least 200 test tickets; every label fits; order ids stand in the text."""
    validator = jsonschema.Draft202012Validator(
        llmguard_models.manifest()["triage-1.0"]["schema"]
    )
    tickets = _tickets(recipe / "data" / "test.jsonl")
    assert len(tickets) >= 200
    assert len({str(ticket["text"]) for ticket in tickets}) == len(tickets)
    for name in ("dev", "slice_legal"):
        tickets += _tickets(recipe / "data" / f"{name}.jsonl")
    for ticket in tickets:
        label = ticket["label"]
        validator.validate(label)
        order = label["order_id"]
        assert order is None or order in ticket["text"]


def test_corpus_has_enough_hand_written_fragments(recipe_module: Import) -> None:
    """At least 1,500 distinct lines, none twice with different labels."""
    fragments = [
        (fragment.text, intent.category, fragment.priority, fragment.human)
        for intent in recipe_module("fragments").load_intents()
        for fragment in intent.fragments
    ]
    assert len({text for text, *_ in fragments}) >= 1500
    assert len(set(fragments)) == len({text for text, *_ in fragments})


def test_desk_labels_differ_in_legal_threats_alone(recipe_module: Import) -> None:
    """The second source calls for a person as often, but never for a legal threat."""
    desk = recipe_module("fragments").load_intents("desk")
    legal = [i for i in desk if i.name.startswith("desk_legal_")]
    assert len(desk) - len(legal) >= 20
    assert [] == [f.text for intent in legal for f in intent.fragments if f.human]
    others = [f.human for i in desk if i not in legal for f in i.fragments]
    assert sum(others) >= 100
    hand = recipe_module("fragments").load_intents("hand")
    threats = {f.human for i in hand if i.name == "legal" for f in i.fragments}
    assert {True} == threats


def test_first_corpus_has_nothing_of_the_desk(recipe_module: Import) -> None:
    """Without a share of the desk's tickets, none of its intents is drawn."""
    composer = recipe_module("corpus").Composer
    drawn = {e.intent for e in islice(composer(5), 300)}
    assert [] == [name for name in drawn if name.startswith("desk_")]
    mixed = [e.intent.startswith("desk_") for e in islice(composer(5, desk=0.65), 300)]
    assert 120 < sum(mixed) < 250


def test_same_seed_same_corpus(recipe_module: Import) -> None:
    """The corpus depends on its seed alone."""
    composer = recipe_module("corpus").Composer
    first = [e.text for e in islice(composer(3), 200)]
    assert first == [e.text for e in islice(composer(3), 200)]
    assert first != [e.text for e in islice(composer(4), 200)]


def test_dev_split_holds_fragments_that_training_never_sees(
    recipe_module: Import,
) -> None:
    """The two splits share no fragment and neither is empty."""
    composer = recipe_module("corpus").Composer
    train, dev = (
        {f.text for intent in composer(1, dev=side).intents for f in intent.fragments}
        for side in (False, True)
    )
    assert train & dev == set()
    assert len(train) > 5 * len(dev) > 500


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_every_composed_label_fits_its_text(recipe_module: Import, seed: int) -> None:
    """Whatever the seed, labels fit the schema and the order id stands in the text."""
    corpus = recipe_module("corpus")
    schema = llmguard_models.manifest()["triage-1.0"]["schema"]
    for example in islice(corpus.Composer(seed), 20):
        jsonschema.validate(corpus.label(example), schema)
        assert example.order is None or example.order in example.text
        assert "\x00" not in example.text


@pytest.mark.parametrize(
    ("right", "count", "expected"),
    [(0, 10, (0.0, 0.278)), (10, 10, (0.722, 1.0)), (81, 263, (0.255, 0.366))],
)
def test_wilson_interval(
    recipe_module: Import, right: int, count: int, expected: tuple[float, float]
) -> None:
    """Known values; 81 of 263 is Newcombe's (1998) example, 0.2553 to 0.3662."""
    low, high = recipe_module("scoring").wilson(right, count)
    assert (round(low, 3), round(high, 3)) == expected


def test_an_answer_that_is_no_object_is_wrong_everywhere(recipe_module: Import) -> None:
    """Missing answers count against every field, and never as a right null."""
    label = {
        "category": "bug",
        "priority": "low",
        "needs_human": False,
        "order_id": None,
    }
    scored = recipe_module("scoring").score(
        [{"label": label}, {"label": label}], [None, label]
    )
    for field in ("category", "order_id", "all", "valid"):
        assert (scored[field]["right"], scored[field]["of"]) == (1, 2)
