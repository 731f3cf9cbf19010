"""The rules tier: who answers, what is refused at decoration, what never fails."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import pytest
from pydantic import BaseModel

from llmguard.contract import Contract
from llmguard.errors import ConfigError, TierUnavailableError
from llmguard.guard.tiers import Tier, TierContext
from llmguard.outcome import Kind
from llmguard.reply import Reply
from llmguard_fallbacks import rules
from llmguard_fallbacks.rules import Rule, keyword, lookup, regex

Call: TypeAlias = Callable[..., TierContext]
OTHER = {"category": "other", "priority": "low", "order_id": None}
REFUND = Rule("refund", keyword("refund*"), then={"category": "refund"})
ORDER = Rule("order", regex(r"order (?P<id>\w+)"), then={"order_id": "{id:upper}"})
URGENT = Rule("urgent", keyword("now"), then={"priority": "high", "category": "other"})


def answer(reply: Reply) -> tuple[object, str]:
    assert reply.has_value
    return reply.value, reply.rule


def test_the_first_rule_that_fits_answers(call: Call) -> None:
    """Its partial answer is completed from the default."""
    tier = rules(REFUND, URGENT, default=OTHER)
    expected = {"category": "refund", "priority": "low", "order_id": None}
    assert answer(tier.run(call("refund me now"))) == (expected, "refund")


def test_merging_fills_each_field_from_its_first_rule(call: Call) -> None:
    """The rules that had a say are named in order."""
    tier = rules(REFUND, ORDER, URGENT, default=OTHER, mode="merge")
    expected = {"category": "refund", "priority": "high", "order_id": "AB1234"}
    found = tier.run(call("refund order ab1234 now"))
    assert answer(found) == (expected, "refund+order+urgent")


def test_without_a_fitting_rule_the_default_answers(call: Call) -> None:
    """A fresh copy each time, under its own name."""
    tier = rules(REFUND, default=OTHER)
    first, second = tier.run(call("hello")), tier.run(call("hello"))
    assert answer(first) == (OTHER, "default")
    assert first.value is not second.value


def test_without_rule_and_default_the_tier_gives_up(call: Call) -> None:
    """The next tier is tried."""
    with pytest.raises(TierUnavailableError, match="no rule of tier 'rules'") as caught:
        rules(REFUND).run(call("hello"))
    assert (caught.value.kind, caught.value.tier) == (Kind.SKIPPED, "rules")


def test_only_a_default_makes_the_tier_terminal() -> None:
    """None is a default too."""
    found = [rules(REFUND), rules(REFUND, default=OTHER), rules(REFUND, default=None)]
    assert [tier.terminal for tier in found] == [False, True, True]


def test_functions_make_the_tier_leave_the_callers_thread() -> None:
    """Declared rules take microseconds; what a function does is its own matter."""
    assert (rules(REFUND).inline, rules(lambda ticket: None).inline) == (True, False)


def test_it_is_a_tier_with_options() -> None:
    """The guard's own protocol and conditions."""

    def never(_call: TierContext) -> bool:
        return False

    tier = rules(REFUND, name="kw", when=never, min_confidence=0.5, reserve=0.1)
    assert isinstance(tier, Tier)
    assert (tier.name, tier.options.when, tier.options.min_confidence) == (
        "kw",
        never,
        0.5,
    )
    assert tier.options.reserve == 0.1


def test_plain_functions_get_what_they_name(call: Call) -> None:
    """The same signature, part of it, all inputs as a mapping, or keywords."""

    def same(ticket: str, user: str = "?") -> str:
        return f"{ticket}/{user}"

    def part(ticket: str) -> str:
        return ticket

    def whole(inputs: Mapping[str, object]) -> int:
        return len(inputs)

    def keywords(**given: object) -> list[str]:
        return sorted(given)

    one = call(ticket="t", user="u", contract=None)
    found = [answer(rules(each).run(one)) for each in (same, part, whole, keywords)]
    assert found == [
        ("t/u", "same"),
        ("t", "part"),
        (2, "whole"),
        (["ticket", "user"], "keywords"),
    ]


def test_an_input_that_is_called_inputs_is_passed_as_itself(call: Call) -> None:
    """The guarded function's own parameter wins."""

    def first(inputs: list[int]) -> int:
        return inputs[0]

    assert rules(first).run(call(inputs=[7], contract=None)).value == 7


def test_a_function_gives_up_with_none_and_can_answer_none(call: Call) -> None:
    """A `Reply` tells the two apart."""

    def gives_up(ticket: str) -> None: ...

    def answers(ticket: str) -> Reply:
        return Reply(value=None, has_value=True, confidence=0.9)

    found = rules(gives_up, answers).run(call(ticket="t", contract=None))
    assert (answer(found), found.confidence) == ((None, "answers"), 0.9)


def test_confidence_is_that_of_the_least_sure_rule(call: Call) -> None:
    """For `min_confidence`; rules that give none do not count."""
    sure = Rule("sure", keyword("a"), then={"category": "refund"}, confidence=0.9)
    unsure = Rule("unsure", keyword("b"), then={"priority": "high"}, confidence=0.4)
    tier = rules(sure, unsure, REFUND, default=OTHER, mode="merge")
    found = [tier.run(call(text)).confidence for text in ("a b", "a", "refund")]
    assert found == [0.4, 0.9, None]


def test_lookup_rows_can_be_the_answer(call: Call) -> None:
    """A whole capture keeps its type."""
    table = {"pro": {"category": "billing", "order_id": None}}
    tier = rules(Rule("plan", lookup(table, field="plan"), then="{value}"))
    assert tier.run(call(plan="Pro")).value == table["pro"]


def test_templates(call: Call) -> None:
    """Conversions, braces, missing groups, nested values."""
    when = regex(r"(?P<n>\d+) (?P<word>\w+)(?P<gone>!)?")
    then = {
        "n": "{n:int}",
        "half": "{n:float}",
        "text": "{{{word:lower}}} x{gone}",
        "gone": "{gone}",
        "list": ["{word:strip}", 3],
    }
    tier = rules(Rule("r", when, then=then))
    assert tier.run(call("7 Days", contract=None)).value == {
        "n": 7,
        "half": 7.0,
        "text": "{days} x",
        "gone": None,
        "list": ["Days", 3],
    }


def test_a_capture_that_cannot_be_converted_does_not_fit(call: Call) -> None:
    """The next rule is tried."""
    bad = Rule("bad", regex(r"n=(?P<n>\S+)"), then={"n": "{n:int}"})
    good = Rule("good", keyword("n"), then={"n": 0})
    assert answer(rules(bad, good).run(call("n=many", contract=None))) == (
        {"n": 0},
        "good",
    )


@pytest.mark.parametrize("mode", ["first", "merge"])
def test_an_answer_that_breaks_the_contract_becomes_the_default(
    call: Call, mode: Any
) -> None:
    """What was captured may be anything; a tier with a default cannot fail."""
    tier = rules(ORDER, default=OTHER, mode=mode)
    found = answer(tier.run(call("order nonsense")))
    assert found == (OTHER, "default (order broke the contract)")


def test_a_rule_that_raises_becomes_the_default(
    call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    """The log names the error's type and holds none of the caller's data."""

    def broken(text0: str) -> str:
        raise ValueError(text0)

    with caplog.at_level(logging.WARNING, "llmguard.rules"):
        found = rules(broken, default=OTHER).run(call("secret"))
    assert answer(found) == (OTHER, "default (ValueError)")
    assert ["secret" in record.getMessage() for record in caplog.records] == [False]


def test_without_a_default_errors_and_answers_pass_through(call: Call) -> None:
    """The guard judges and classifies them, as for any other tier."""

    def broken(text0: str) -> str:
        raise ValueError(text0)

    with pytest.raises(ValueError, match="secret"):
        rules(broken).run(call("secret"))
    assert rules(ORDER).run(call("order x")).value == {"order_id": "X"}


@pytest.mark.parametrize(
    ("tier", "message"),
    [
        (
            rules(Rule("r", keyword("x"), then={"categry": "refund"}), default=OTHER),
            "rule 'r' sets `categry`.*did you mean `category`",
        ),
        (
            rules(Rule("r", keyword("x"), then={"zzz": 1}), default=OTHER),
            r"sets `zzz`.*it has \['category', 'order_id', 'priority'\]",
        ),
        (rules(REFUND), "leaves out `order_id`.*`mode='merge'`"),
        (
            rules(Rule("r", keyword("x"), then={"category": "no"}), default=OTHER),
            "rule 'r' answers .* breaks the contract",
        ),
        (rules(Rule("r", keyword("x"), then="refund")), "rule 'r' answers 'refund'"),
        (
            rules(REFUND, default={"category": "no", "order_id": None}),
            "the default of 'rules' answers",
        ),
        (rules(REFUND, default=None), "the default of 'rules' answers None"),
        (
            rules(
                Rule("r", keyword("x"), then={"category": "no", "order_id": None}),
                mode="merge",
            ),
            "rule 'r' answers",
        ),
    ],
)
def test_rules_that_can_never_satisfy_the_contract_are_refused(
    triage: Contract, tier: Any, message: str
) -> None:
    """At decoration, naming the rule and the field."""
    with pytest.raises(ConfigError, match=message):
        tier.check(triage)


@pytest.mark.parametrize(
    "tier",
    [
        rules(REFUND, default=OTHER),
        rules(REFUND, ORDER, mode="merge"),
        rules(ORDER, default=OTHER, mode="merge"),
        rules(lambda ticket: None, default=OTHER),
        rules(Rule("r", keyword("x"), then={"category": "refund", "order_id": None})),
    ],
)
def test_rules_that_can_satisfy_it_pass(triage: Contract, tier: Any) -> None:
    """Partial answers with a default or in merge mode; captures are judged later."""
    tier.check(triage)
    tier.check(None)


def test_checks_that_need_the_inputs_are_left_for_the_call(call: Call) -> None:
    """Before a call there are no inputs to compare with."""

    class Quote(BaseModel):
        text: str

    def quoted(value: Quote, inputs: Mapping[str, object]) -> bool:
        return value.text in str(inputs["text0"])

    contract = Contract(Quote, checks=[quoted])
    tier = rules(Rule("r", keyword("x"), then={"text": "x"}), default={"text": ""})
    tier.check(contract)
    assert tier.run(call("an x", contract=contract)).rule == "r"


def test_plain_answers_satisfy_plain_contracts() -> None:
    """Not every contract has fields."""
    schema = {"enum": ["yes", "no"]}
    tier = rules(Rule("r", keyword("x"), then="yes"), default="no")
    tier.check(Contract(schema))


def test_fields_are_found_through_references_and_unions() -> None:
    """`$ref`, `allOf`, `anyOf`: all of them may declare fields."""
    schema = {
        "$ref": "#/$defs/both",
        "$defs": {
            "both": {
                "allOf": [
                    {"properties": {"a": {"type": "integer"}}},
                    {"anyOf": [{"properties": {"b": {}}}, True]},
                ],
                "required": ["a"],
            }
        },
    }
    contract = Contract(schema)
    rule = Rule("r", keyword("x"), then={"b": "{keyword}"})
    with pytest.raises(ConfigError, match="leaves out `a`"):
        rules(rule).check(contract)
    wrong = Rule("r", keyword("x"), then={"c": 1})
    with pytest.raises(ConfigError, match=r"it has \['a', 'b'\]"):
        rules(wrong).check(contract)


def test_fields_of_another_document_are_left_for_the_call() -> None:
    """What cannot be seen here is not refused here."""
    elsewhere = {"https://example.org/e": {"properties": {"c": {"type": "integer"}}}}
    schema = {"properties": {"a": {}}, "allOf": [{"$ref": "https://example.org/e"}]}
    contract = Contract(schema, schemas=elsewhere)
    rules(Rule("r", keyword("x"), then={"c": 1})).check(contract)


def test_a_guarded_function_without_a_contract(call: Call) -> None:
    """There is nothing to judge by."""
    tier = rules(ORDER, default=OTHER)
    assert tier.run(call("order x", contract=None)).rule == "order"


def test_a_function_may_answer_whole_where_others_decide_fields(call: Call) -> None:
    """First come, first served: a whole answer after a part does not count."""

    def whole(text0: str) -> str:
        return text0

    parts, first = (
        rules(REFUND, whole, mode="merge"),
        rules(whole, REFUND, mode="merge"),
    )
    one = call("refund", contract=None)
    assert answer(parts.run(one)) == ({"category": "refund"}, "refund")
    assert answer(first.run(one)) == ("refund", "whole")


def test_no_default_is_shown_as_such() -> None:
    """In the tier's repr, where people look for it."""
    assert "default=no default" in repr(rules(REFUND))


async def _async_rule(ticket: str) -> None: ...


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ((), {}, "`rules` got no rule"),
        ((REFUND, REFUND), {}, r"two rules called \['refund'\]"),
        ((REFUND,), {"mode": "last"}, "'first' or 'merge'"),
        (("refund",), {}, "`rules` got 'refund'"),
        ((dict,), {}, "`rules` got <class 'dict'>"),
        ((_async_rule,), {}, "async function `_async_rule`"),
        ((Rule("r", keyword("x"), then="y"),), {"mode": "merge"}, "no fields to merge"),
        ((REFUND,), {"mode": "merge", "default": 3}, "'default' answers 3"),
    ],
)
def test_wrong_declarations_are_explained(
    given: tuple[Any, ...], options: dict[str, Any], message: str
) -> None:
    """At the line that wrote them."""
    with pytest.raises(ConfigError, match=message):
        rules(*given, **options)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rule("r", "refund", then=1), "give a condition"),  # type: ignore[arg-type] - the point
        (lambda: Rule("r", keyword("x"), then="{id}"), r"`\{id\}`.*captures: keyword"),
        (lambda: Rule("r", regex("x"), then="{id}"), "captures: none"),
        (lambda: Rule("r", keyword("x"), then=["{keyword:money}"]), "conversions are"),
        (lambda: Rule("r", keyword("x"), then=1, confidence=2), "from 0 to 1"),
    ],
)
def test_wrong_rules_are_explained(make: Callable[[], Rule], message: str) -> None:
    """A capture that is not always there, an unknown conversion, no condition."""
    with pytest.raises(ConfigError, match=message):
        make()
