"""Which patterns are taken from Python's engine, and what the other one is told."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from llmguard._linear import (
    _linear,
    _UnreadableError,
    _written,
    may_explode,
    repeats_a_repeat,
    searcher,
    with_linear_patterns,
)
from llmguard.contract._ecma import python_regex


@pytest.mark.parametrize(
    ("pattern", "explodes", "repeats"),
    [
        ("ab", False, False),
        ("a+b*c{2,}", False, False),
        ("a|b", False, False),
        ("(a|b)", False, False),
        ("(ab+)c", False, False),
        ("(a+)+", True, True),
        ("((x)a+)*", True, True),
        ("(ab|cd)+", True, False),
        ("(a|b)+", False, False),
        ("(a{1,3})+", True, False),
        ("(a?)+", True, False),
        ("(a+){1,100}", False, False),
        ("(a+){1,101}", True, True),
        ("(a{1,100})+", True, False),
        ("(a{1,101})+", True, True),
        ("(?:(?:a++)b)+", False, False),
        ("(?>a+)+", False, False),
        ("(?>(a+)+)", True, True),
        ("(?:b(?>a|b))+", False, False),
        ("(x)?(?(1)a+|b)", False, False),
    ],
)
def test_which_repeats_hold_repeats(
    pattern: str, *, explodes: bool, repeats: bool
) -> None:
    """A choice or a bounded repeat within an open one explodes, and is no repeat."""
    assert (explodes, repeats) == (may_explode(pattern), repeats_a_repeat(pattern))


def test_what_python_cannot_read_does_not_explode() -> None:
    """It is refused when it is compiled."""
    assert not may_explode("(")
    with pytest.raises(re.error):
        searcher("(", "(")


@pytest.mark.parametrize(
    ("pattern", "written"),
    [
        (r"^\d\D\w\W$", r"^[0-9][^0-9][0-9A-Za-z_][^0-9A-Za-z_]\z"),
        (r"\bx\B", r"(?-u:\b)x(?-u:\B)"),
        (r"[$[\d\D\w\W\b]$", r"[\$\[0-9[^0-9]0-9A-Za-z_[^0-9A-Za-z_]\x08]\z"),
        ("[^$a]$", r"[^\$a]\z"),
        (r"[\]$]$", r"[\]\$]\z"),
        ("[[]$", r"[\[]\z"),
        ("[a[^]$", r"[a\[^]\z"),
        ("[][^]$", r"[^\s\S][\s\S]\z"),
        ("a&&b~~[a&&b~~]", r"a&&b~~[a\&\&b\~\~]"),
        ("a]$", r"a]\z"),
    ],
)
def test_how_the_other_engine_is_told(pattern: str, written: str) -> None:
    """Its words for the same: `$` is the very end, classes are ASCII."""
    assert written == _written(pattern)
    assert _linear(pattern) is not None


@pytest.mark.filterwarnings("ignore:Possible set difference:FutureWarning")
def test_what_the_other_engine_has_no_words_for() -> None:
    """Ranges from or to `-` are a difference of sets over there."""
    with pytest.raises(_UnreadableError):
        _written("[+--]")
    assert _linear("^([+--]+)+$") is None
    assert searcher("^([+--]+)+$", "^([+--]+)+$")("+,-")


SIGNS = "ab[]&~-^ \x85\xa0\ufeff\u2003\n"


@settings(max_examples=300)
@given(
    st.sampled_from(
        [
            *(r"^([[]b|a)+$", r"^([^[]+)+$", r"^(b[[^]+)*$", r"^([a&&b]+)+$"),
            *(r"^([a~~b]+)+$", r"^(a\s*)+$", r"^(a[\s&]*)+$", r"^(\S+a?)+$"),
            *(r"^(\[]|a[]?b)+$", r"^([^\[\]]+[\]]?)+$"),
        ]
    ),
    st.text(alphabet=SIGNS, max_size=6),
)
def test_brackets_and_blanks_are_the_same_to_both(pattern: str, text: str) -> None:
    """A bracket in a class is one, and what is blank does not depend on the engine."""
    python = python_regex(pattern)
    assert may_explode(python)
    assert _linear(pattern) is not None
    found = re.search(python, text) is not None
    assert found == searcher(python, pattern)(text)


@pytest.mark.parametrize(("pattern", "text"), [("^[[]$", "["), ("^[a[^]$", "^")])
def test_a_bracket_in_a_class_does_not_hide_the_end(pattern: str, text: str) -> None:
    """`$` behind it is still the very end: no line break may follow."""
    python = re.compile(python_regex(pattern))
    assert [True, False] == [bool(python.search(one)) for one in (text, f"{text}\n")]


def test_the_sentence_of_a_pattern() -> None:
    """It quotes the value and the pattern."""
    checked = with_linear_patterns(Draft202012Validator, "")({"pattern": "^(a+)+$"})
    (error,) = checked.iter_errors("ab")
    assert ("'ab' does not match '^(a+)+$'", "pattern") == (
        error.message,
        error.validator,
    )
    assert [] == list(checked.iter_errors(7))
