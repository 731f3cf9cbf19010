"""Formats and regular expressions, beyond what the official suite asks."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard.contract import Contract
from llmguard.contract._ecma import python_regex, translated


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        (
            "email",
            ["a.b+c@x.org", '"a b"@x.org', "a@[127.0.0.1]", "a@[IPv6:::1]"],
            ["@"],
        ),
        ("email", [], ["a@", "a b@x.org", "a@x..org", "a@[IPv6:1]", "a@[300.0.0.1]"]),
        ("idn-email", ["\u00e9@\u00e9.org"], ["a@b c", "@x.org", "\u00e9@-x.org"]),
        (
            "hostname",
            ["a.example", "xn--bcher-kva.example"],
            ["-a", "ab--c", "xn--", "a."],
        ),
        ("hostname", [], ["xn--x\u00e9", "a" * 64, "xn--iny-zx5a"]),
        (
            "date-time",
            ["2024-02-29T23:59:60Z", "2024-01-01t00:00:00.5+05:30"],
            ["2024"],
        ),
        ("date-time", [], ["2023-02-29T00:00:00Z", "2024-01-01 00:00:00Z"]),
        (
            "time",
            ["23:59:60Z", "00:29:60+00:30"],
            ["24:00:00Z", "12:00:60Z", "12:00:00"],
        ),
        (
            "date",
            ["2024-02-29"],
            ["2023-02-29", "20240229", "2024-2-9", "2024-02-29\n"],
        ),
        (
            "duration",
            ["P1Y2M3DT4H5M6S", "P3W", "PT1S"],
            ["P", "PT", "P1YT", "P1D2M", "1D"],
        ),
        (
            "uuid",
            ["249903a5-4684-4caa-be9a-dfd245fb761b"],
            ["249903a546844caabe9adfd245fb"],
        ),
        ("regex", ["^a$", "(?<n>x)\\k<n>"], ["(", "(?P<n>x)", "(?i)x", "\\Z"]),
        ("uri-template", ["/a{?b,c:3,d*}"], ["/{a", "/{a,}", "a b"]),
        ("relative-json-pointer", ["1/a", "0#"], ["01", "a"]),
    ],
)
def test_a_format_follows_its_rfc(name: str, good: list[str], bad: list[str]) -> None:
    """Looser checkers let half of the bad ones pass."""
    contract = Contract({"format": name})
    assert [] == [text for text in good if not contract.judge_value(text).ok]
    assert [] == [text for text in bad if contract.judge_value(text).ok]
    assert contract.judge_value(3).ok


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (r"^\d+$", ["12"], ["12\n", "\u0967"]),
        (r"^[\d\s]+$", ["1 \u00a0\ufeff"], ["a"]),
        (r"^\w\s\S$", ["a\u2003b"], ["\u00e9 b", "a b\n"]),
        (r"^\cJ$", ["\n"], ["J"]),
        (r"^(?<a>x)\k<a>$", ["xx"], ["x"]),
        (r"^[^]$", ["\n", "a"], [""]),
        (r"^[]$", [], ["", "a"]),
        (r"^\ud83d\ude00$", ["\U0001f600"], ["x"]),
        (r"^[a$\]]+$", ["a$]"], ["b"]),
        (r"^(?=a)(?<=^)(?<!b)a$", ["a"], ["b"]),
        ("^\u00e9$", ["\u00e9"], ["e"]),
        (r"^[[a]$", ["[", "a"], ["b"]),
    ],
)
def test_a_pattern_means_what_ecma_262_says(
    pattern: str, good: list[str], bad: list[str]
) -> None:
    """Python's own reading differs on line ends, digits and spaces."""
    compiled = re.compile(python_regex(pattern))
    assert [] == [text for text in good if not compiled.search(text)]
    assert [] == [text for text in bad if compiled.search(text)]


@given(st.text())
def test_any_pattern_is_translated_without_an_error(pattern: str) -> None:
    """Whether it compiles is found when the schema is checked."""
    assert isinstance(python_regex(pattern), str)


def test_only_patterns_are_translated_and_not_data_or_names() -> None:
    """A property may be called `pattern`, and a constant may hold one."""
    schema = {
        "properties": {
            "pattern": {"const": {"pattern": "$"}},
            "const": {"pattern": "$"},
        },
        "patternProperties": {"^a$": False},
        "enum": [{"pattern": "$"}],
        "items": False,
        "anyOf": [False, True],
    }
    assert {
        "properties": {
            "pattern": {"const": {"pattern": "$"}},
            "const": {"pattern": "(?a:\\Z)", "x-ecma-pattern": "$"},
        },
        "patternProperties": {"(?a:^a\\Z)": {"not": {}}},
        "enum": [{"pattern": "$"}],
        "items": False,
        "anyOf": [{"not": {}}, True],
    } == translated(schema)
