"""Rules from a file: the same tier, and errors that name the rule."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from llmguard.contract import Contract
from llmguard.errors import ConfigError
from llmguard.guard.tiers import TierContext
from llmguard_fallbacks import rules

Call: TypeAlias = Callable[..., TierContext]
FILE = r"""
mode = "merge"
default = { category = "other", priority = "low", order_id = "{null}" }

[[rule]]
name = "refund"
keyword = ["refund*", "money back"]
then = { category = "refund" }
confidence = 0.8

[[rule]]
name = "order"
regex = 'order (?P<id>[a-z]{2}\d{4})'
then = { order_id = "{id:upper}" }

[[rule]]
name = "big"
field = "amount"
threshold = { at_least = 100 }
then = { priority = "high" }

[[rule]]
name = "angry customer of a plan"
all_of = [
  { keyword = "angry", field = "text0" },
  { any_of = [{ lookup = { pro = 1 }, field = "plan" }, { regex = "pro plan" }] },
  { not = { keyword = "joke" } },
]
then = { priority = "high" }
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "triage-rules.toml"
    path.write_text(FILE, encoding="utf-8")
    return path


def test_a_file_makes_the_same_tier(file: Path, call: Call, triage: Contract) -> None:
    """Every condition, merged, completed with a null that TOML lacks."""
    tier = rules.from_file(file)
    tier.check(triage)
    found = [
        (tier.run(one).value, tier.run(one).rule)
        for one in (
            call("money back for order ab1234", amount=120),
            call("hello", amount=3),
            call("angry", plan="PRO"),
            call("angry about the pro plan"),
            call("angry, just a joke", plan="pro"),
        )
    ]
    other = {"category": "other", "priority": "low", "order_id": None}
    assert found == [
        (
            {"category": "refund", "priority": "high", "order_id": "AB1234"},
            "refund+order+big",
        ),
        (other, "default"),
        ({**other, "priority": "high"}, "angry customer of a plan"),
        ({**other, "priority": "high"}, "angry customer of a plan"),
        (other, "default"),
    ]
    assert (tier.name, tier.terminal, tier.inline) == ("triage-rules", True, True)


def test_several_conditions_of_one_rule_must_all_hold(
    tmp_path: Path, call: Call
) -> None:
    """A table is a conjunction."""
    path = tmp_path / "r.toml"
    text = "keyword = 'a'\nregex = 'b'\nthen = ['{null}', 'y']\n"
    path.write_text(f"[[rule]]\nname = 'r'\n{text}", encoding="utf-8")
    tier = rules.from_file(path, name="mine")
    assert tier.run(call("a b")).value == [None, "y"]
    assert (tier.name, tier.terminal) == ("mine", False)


RULE = "[[rule]]\nname = 'r'\nthen = 1\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = ", "cannot be read"),
        ("", "has no rules"),
        ("rule = 3", "has no rules"),
        ("rule = [3]", "3 is no rule"),
        ("defualt = 1\n" + RULE, "unknown key `defualt`; did you mean `default`"),
        ("[[rule]]\nthen = 1\n", "rule '\\?' has no `name`"),
        ("[[rule]]\nname = 'r'\n", "rule 'r' has no `then`"),
        (RULE, "rule 'r' has no condition"),
        (RULE + "zzz = 1", r"unknown key `zzz`; known: \['all_of'"),
        (RULE + "regex = '('", "r.toml: the pattern|is not valid"),
        (RULE + "lookup = { a = 1 }", "`lookup` is a table, and needs `field`"),
        (RULE + "field = 'x'\nlookup = 3", "`lookup` is a table"),
        (RULE + "threshold = { above = 1 }", "`threshold` is a table"),
        (RULE + "field = 'x'\nthreshold = 3", "`threshold` is a table"),
        (RULE + "field = 'x'\nthreshold = { least = 1 }", "unknown key `least`"),
        (RULE + "any_of = 3", "3 is no list of conditions"),
        (RULE + "any_of = [{ keywrd = 'x' }]", "did you mean `keyword`"),
        ("mode = 'last'\n" + RULE + "keyword = 'x'", "'first' or 'merge'"),
    ],
)
def test_wrong_files_are_explained(tmp_path: Path, text: str, message: str) -> None:
    """The message names what is wrong, and where."""
    path = tmp_path / "r.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        rules.from_file(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """With its path."""
    with pytest.raises(ConfigError, match=r"rules file .*none\.toml cannot be read"):
        rules.from_file(tmp_path / "none.toml")
