"""Conditions: when they hold, what they capture, what they refuse."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard.errors import ConfigError
from llmguard_fallbacks._rules_text import LIMIT, fold
from llmguard_fallbacks.rules import (
    Condition,
    all_of,
    any_of,
    keyword,
    lookup,
    not_,
    regex,
    threshold,
)


def holds(condition: Condition, text: str) -> bool:
    return condition.match({"ticket": text}) is not None


@pytest.mark.parametrize(
    ("words", "text", "expected"),
    [
        (("refund",), "I want a REFUND!", True),
        (("refund",), "refunded", False),
        (("refund*",), "refunded", True),
        (("refund*",), "prerefund", False),
        (("money back",), "my money \n back", True),
        (("money back",), "moneyback", False),
        (("café",), "CAFE au lait", True),
        (("cafe",), "le café", True),
        (("STRASSE",), "die straße", True),
        (("can't",), "I can\u2019t", True),
        (("a+b",), "is a+b ok", True),
        (("x", "refund"), "refund", True),
        (("ﬁle",), "a file", True),
    ],
)
def test_keywords_are_whole_words(
    words: tuple[str, ...], text: str, expected: bool
) -> None:
    """Case, accents and white space do not matter; boundaries do."""
    assert holds(keyword(*words), text) is expected


@given(st.text(st.characters(categories=["L"]), min_size=1, max_size=8))
def test_a_word_is_found_in_any_case_and_normalisation(word: str) -> None:
    """Whatever the writer's keyboard made of it."""
    condition = keyword(word)
    for form in ("NFC", "NFD"):
        text = unicodedata.normalize(form, word)
        assert holds(condition, f"- {text}.") or not fold(text).strip()


@given(st.text(max_size=30))
def test_folding_twice_changes_nothing(text: str) -> None:
    """Tables and texts are folded at different times, once each."""
    once = fold(text)
    assert fold(once) == once


def test_keyword_captures_what_was_found() -> None:
    """In folded form, for templates and logs."""
    assert keyword("refund*").match({"t": "Refunded!"}) == {"keyword": "refunded"}


def test_all_text_inputs_are_looked_at_unless_one_is_named() -> None:
    """Other types are no text; a path reaches into mappings and objects."""
    inputs = {
        "subject": "hello",
        "body": "refund",
        "n": 3,
        "ticket": {"user": SimpleNamespace(name="Ana")},
    }
    assert keyword("refund").match(inputs) is not None
    assert keyword("refund", field="subject").match(inputs) is None
    assert keyword("3").match(inputs) is None
    assert keyword("3", field="n").match(inputs) is not None
    assert keyword("ana", field="ticket.user.name").match(inputs) is not None
    assert keyword("ana", field="ticket.owner.name").match(inputs) is None


def test_only_the_first_part_of_a_long_text_is_looked_at() -> None:
    """One call's cost is bounded."""
    assert holds(keyword("end"), "x" * (LIMIT - 4) + " end")
    assert not holds(keyword("end"), "x" * LIMIT + " end")


def test_regex_captures_named_groups() -> None:
    """An optional group that took no part is None."""
    condition = regex(r"order (?P<id>\w+)(?: of (?P<day>\w+))?")
    assert condition.match({"t": "ORDER Ab1"}) == {"id": "Ab1", "day": None}
    assert condition.names == {"id", "day"}
    assert regex("ORDER", ignore_case=False).match({"t": "order"}) is None


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a+)+b",
        r"(\w*\s*)*x",
        r"(?:a|b+)*c",
        r"((a{1,200})*)",
        r"(?=(a+)*)b",
        r"(a+?)+",
    ],
)
def test_patterns_that_repeat_a_repeat_are_refused(pattern: str) -> None:
    """They can take exponential time on text that an attacker wrote."""
    with pytest.raises(ConfigError, match="exponential"):
        regex(pattern)


@pytest.mark.parametrize(
    "pattern",
    [r"(?:a++b)+", r"(?>a+)+", r"(?:\d{1,3},)+", r"a+b+", r"(?P<x>\w+)-(?P=x)"],
)
def test_patterns_that_cannot_explode_are_taken(pattern: str) -> None:
    """Possessive repeats, atomic groups and small bounds are fine."""
    assert regex(pattern).match({"t": ""}) is None


def test_lookup_finds_rows() -> None:
    """Keys without case and accents; a row's own keys are captured too."""
    plans = lookup({"Pro": {"sla": 4}, "Café": {"sla": 24}}, field="plan")
    assert plans.match({"plan": " PRO "}) == {"sla": 4, "value": {"sla": 4}}
    assert plans.match({"plan": "cafe"}) == {"sla": 24, "value": {"sla": 24}}
    assert plans.match({"plan": "basic"}) is None
    assert plans.match({}) is None
    assert plans.names == {"sla", "value"}
    assert lookup({"a": {"x": 1}, "b": 2}, field="p").names == {"value"}


@pytest.mark.parametrize(
    ("limits", "number", "expected"),
    [
        ({"at_least": 5}, 5, True),
        ({"above": 5}, 5, False),
        ({"at_most": 5}, 5.0, True),
        ({"below": 5}, 5, False),
        ({"at_least": 1, "below": 5}, 3, True),
        ({"at_least": 1, "below": 5}, 0, False),
        ({"above": 0}, True, False),
        ({"above": 0}, "7", False),
        ({"above": 0}, None, False),
        ({"above": 0}, float("nan"), False),
    ],
)
def test_thresholds(
    limits: Mapping[str, float], number: object, expected: bool
) -> None:
    """Inclusive and exclusive limits; what is no number never holds."""
    found = threshold("amount", **limits).match({"amount": number})
    assert (found is not None) is expected


def test_combinations() -> None:
    """All, any and not; the first capture of a name wins."""
    refund, order = keyword("refund"), regex(r"order (?P<id>\d+)")
    both = all_of(refund, order)
    assert both.match({"t": "refund order 7"}) == {"keyword": "refund", "id": "7"}
    assert both.match({"t": "refund"}) is None
    assert both.names == {"keyword", "id"}
    either = any_of(refund, order)
    assert either.match({"t": "order 7"}) == {"id": "7"}
    assert either.match({"t": "hello"}) is None
    assert either.names == frozenset()
    neither = not_(either)
    assert (neither.match({"t": "hello"}), neither.match({"t": "refund"})) == ({}, None)
    again = all_of(regex(r"(?P<id>\d)"), regex(r"\d(?P<id>\d)"))
    assert again.match({"t": "12"}) == {"id": "1"}


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (keyword, (), "give words or phrases"),
        (keyword, ("*",), "give words or phrases"),
        (keyword, ("ok", " "), "give words or phrases"),
        (regex, ("(",), re.escape("'(' is not valid")),
        (threshold, ("n",), "has no limit"),
        (all_of, (), "give conditions"),
        (any_of, ("refund",), "give conditions"),
        (not_, (lambda inputs: True,), "give conditions"),
    ],
)
def test_wrong_conditions_are_explained(
    make: Any, arguments: tuple[Any, ...], message: str
) -> None:
    """At the line that wrote them."""
    with pytest.raises(ConfigError, match=message):
        make(*arguments)


@pytest.mark.parametrize("table", [{}, {"a": 1, "A": 2}])
def test_ambiguous_tables_are_refused(table: dict[str, int]) -> None:
    """Two keys that fold alike would hide one another."""
    with pytest.raises(ConfigError, match="differ in more than case"):
        lookup(table, field="x")
