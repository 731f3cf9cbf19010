"""The ladder: which difference wins, what a field's rule is, what is left alone."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from llmguard import Contract, Kind
from llmguard.errors import ConfigError
from llmguard.reply import Reply, ToolCall
from llmguard.shadow import (
    Draw,
    Ladder,
    Rung,
    Severity,
    decision,
    free_text,
    ignored,
    number,
    unordered,
)


class Triage(BaseModel):
    category: Literal["billing", "bug"]
    priority: int = Field(ge=1, le=5)
    needs_human: bool
    order_id: str | None
    refund: float
    score: float
    note: str


GOOD: dict[str, Any] = {
    "category": "bug",
    "priority": 3,
    "needs_human": False,
    "order_id": "A-17",
    "refund": 10.0,
    "score": 0.5,
    "note": "The app crashes at start.",
}


def _json(**changes: object) -> Draw:
    return Draw(text=json.dumps(GOOD | changes))


def _call(name: str, **arguments: object) -> ToolCall:
    return ToolCall(id="1", name=name, arguments=json.dumps(arguments))


TRIAGE = Ladder(output="structured", contract=Contract(Triage))


@pytest.mark.parametrize(
    ("changes", "path", "direction"),
    [
        ({"category": "billing"}, "/category", "bug -> billing"),
        ({"priority": 4}, "/priority", "3 -> 4"),
        ({"needs_human": True}, "/needs_human", "false -> true"),
        ({"order_id": "A-18"}, "/order_id", "A-17 -> A-18"),
        ({"order_id": None}, "/order_id", "value -> null"),
        ({"refund": 10.01}, "/refund", "number -> higher"),
        ({"score": 0.4}, "/score", "number -> lower"),
        ({"note": " "}, "/note", "text -> (empty)"),
    ],
)
def test_a_decision_field_is_named_with_both_ends(
    changes: dict[str, object], path: str, direction: str
) -> None:
    """The schema alone says what is a decision, a sum of money, a measure, prose."""
    found = TRIAGE.compare(_json(), _json(**changes))
    assert found is not None
    assert (Rung.DECISION, path, direction) == (
        found.rung,
        found.path,
        found.direction,
    )


def test_prose_and_numbers_within_tolerance_are_not_differences() -> None:
    """Free text is never compared by its bytes; a measure has 1 % of tolerance."""
    other = _json(note="It does not start, it crashes.", score=0.504)
    assert None is TRIAGE.compare(_json(), other)


@pytest.mark.parametrize(
    ("a", "b", "rung", "path", "direction"),
    [
        (
            _json(),
            Draw(text="I cannot help with that request."),
            Rung.ACT,
            "@act",
            "answer -> refusal",
        ),
        (_json(), Draw(text=""), Rung.ACT, "@act", "answer -> empty"),
        (
            _json(),
            Draw(text=json.dumps(GOOD)[:20], finish_reason="length"),
            Rung.ACT,
            "@act",
            "answer -> truncated",
        ),
        (
            _json(),
            _json(category="joke"),
            Rung.STRUCTURE,
            "@valid",
            "valid -> breaks the contract (schema)",
        ),
    ],
)
def test_the_act_wins_over_structure_and_structure_over_fields(
    a: Draw, b: Draw, rung: Rung, path: str, direction: str
) -> None:
    """The first, most severe rung decides; each direction has its own name."""
    found = TRIAGE.compare(a, b)
    assert found is not None
    assert (rung, path, direction) == (found.rung, found.path, found.direction)
    back = TRIAGE.compare(b, a)
    assert back is not None
    assert (found.after, found.before) == (back.before, back.after)


def test_the_form_of_json_is_structure() -> None:
    """A parser that needs the fence breaks although every value stayed the same."""
    fenced = Draw(text=f"```json\n{json.dumps(GOOD)}\n```")
    ladder = Ladder(output="structured")
    found = ladder.compare(fenced, _json())
    assert found is not None
    assert ("@form", "fenced -> raw") == (found.path, found.direction)
    lax = Ladder(output="structured", fields={"@form": ignored()})
    assert None is lax.compare(fenced, _json())


def test_fields_may_be_declared() -> None:
    """Declared rules win over the schema: ignored, critical, another tolerance."""
    ladder = Ladder(
        contract=Contract(Triage),
        fields={
            "category": ignored(),
            "score": number(absolute=0.2),
            "note": decision(critical=True),
        },
    )
    assert None is ladder.compare(_json(), _json(category="billing", score=0.6))
    found = ladder.compare(_json(), _json(note="Crashes."))
    assert found is not None
    assert Severity.CRITICAL is found.severity
    assert ("/note",) == ladder.rules.critical


def test_arrays_by_position_by_set_and_by_length() -> None:
    """The order of an array counts unless it is declared not to."""
    a, b = Draw(text='{"tags": ["x", "y"]}'), Draw(text='{"tags": ["y", "x"]}')
    found = Ladder().compare(a, b)
    assert found is not None
    assert "/tags/*" == found.path
    assert None is Ladder(fields={"tags": unordered()}).compare(a, b)
    longer = Ladder().compare(a, Draw(text='{"tags": ["x"]}'))
    assert longer is not None
    assert (Rung.STRUCTURE, "2 items -> 1 item") == (longer.rung, longer.direction)


def test_wildcards_ignore_all_below() -> None:
    """`items.*.meta` names the field of every item; ignoring takes what is below."""
    a = Draw(text='{"items": [{"meta": {"at": "x"}, "n": 1}]}')
    b = Draw(text='{"items": [{"meta": {"at": "y", "by": 2}, "n": 1}]}')
    assert None is not Ladder().compare(a, b)
    assert None is Ladder(fields={"items.*.meta": ignored()}).compare(a, b)


@pytest.mark.parametrize(
    ("a", "b", "path", "direction"),
    [
        (["f"], ["f", "g"], "@calls", "1 call -> 2 calls"),
        (["f"], ["g"], "@calls", "f -> g"),
    ],
)
def test_number_and_names_of_tool_calls_are_structure(
    a: list[str], b: list[str], path: str, direction: str
) -> None:
    """Which tools are called, and how many, comes before their arguments."""
    found = Ladder(output="calls").compare(
        Draw(calls=tuple(_call(name) for name in a)),
        Draw(calls=tuple(_call(name) for name in b)),
    )
    assert found is not None
    assert (Rung.STRUCTURE, path, direction) == (
        found.rung,
        found.path,
        found.direction,
    )


def test_arguments_of_tool_calls_are_decisions() -> None:
    """They are executed: strings count, numbers have no tolerance, prose does not."""
    ladder = Ladder(output="calls")
    a = Draw(calls=(_call("book", city="Oslo", seats=100),))
    for changed in ({"city": "Bergen", "seats": 100}, {"city": "Oslo", "seats": 100.5}):
        assert None is not ladder.compare(a, Draw(calls=(_call("book", **changed),)))
    mail = "Dear guest, we are glad to confirm your stay with us from Monday to Friday."
    again = mail.replace("glad", "happy") + " See you soon, then."
    one, two = (Draw(calls=(_call("mail", body=text),)) for text in (mail, again))
    assert None is ladder.compare(one, two)
    declared = Ladder(fields={"calls.mail.body": decision()})
    assert None is not declared.compare(one, two)


def test_text_that_starts_to_call_tools_is_another_act() -> None:
    """Answering and calling a tool are told apart, also from asking back."""
    talks = Draw(text="The weather in Oslo is fine.")
    asks = Draw(text="Which city do you mean? Please specify it.")
    calls = Draw(calls=(_call("weather", city="Oslo"),))
    ladder = Ladder()
    directions = [
        found.direction
        for one, two in ((talks, calls), (talks, asks), (asks, calls))
        if (found := ladder.compare(one, two))
    ]
    assert [
        "answer -> tool call",
        "answer -> clarification",
        "clarification -> tool call",
    ] == directions


def test_register_is_the_last_rung_and_counts_in_no_rate() -> None:
    """Markdown and a text five times as long are told, and told apart."""
    ladder = Ladder(output="text")
    plain, marked = (
        Draw(text="A plain reply. " * 3),
        Draw(text="**A bold reply.** " * 16),
    )
    found = ladder.differences(ladder.read(plain), ladder.read(marked))
    assert {"@markdown", "@length"} == {each.path for each in found}
    assert {Rung.REGISTER} == {each.rung for each in found}
    assert not any(each.counts for each in found)


def test_a_text_in_another_script_is_structure() -> None:
    """An answer in Cyrillic to a reader of Latin letters is of no use."""
    found = Ladder().compare(
        Draw(text="Good day to you."), Draw(text="Добрый день вам.")
    )
    assert found is not None
    assert ("@script", "LATIN -> CYRILLIC") == (found.path, found.direction)


def test_numbers_are_read_out_of_text() -> None:
    """`$1,200.00` is 1200; the tolerance is declared or 1 %."""
    ladder = Ladder(output="number")
    assert None is ladder.compare(Draw(text="It is $1,200.00"), Draw(text="1205"))
    found = ladder.compare(Draw(text="18"), Draw(text="2 * 10 = 20 eggs"))
    assert found is not None
    assert ("@number", "number -> higher") == (found.path, found.direction)
    exact = Ladder(output="number", fields={"@number": number(relative=0)})
    assert None is not exact.compare(Draw(text="1200"), Draw(text="1205"))


def test_code_is_parsed_and_never_compared_by_its_bytes() -> None:
    """What it defines and whether it parses count; a recorded verdict counts more."""
    ladder = Ladder(output="code")
    one = Draw(text="```python\ndef f(x):\n    return x\n```")
    two = Draw(text="def f(number):\n    return number + 0")
    assert None is ladder.compare(one, two)
    broken = ladder.compare(one, Draw(text="def f(x) return x"))
    assert broken is not None
    assert Rung.EXECUTION is broken.rung
    failed = ladder.compare(
        Draw(text="def f(): pass", executed="pass"),
        Draw(text="def f(): pass", executed="fail"),
    )
    assert failed is not None
    assert ("@executed", "pass -> fail") == (failed.path, failed.direction)


def test_lost_draws_are_compared_with_nothing() -> None:
    """A time-out says nothing about how a version behaves."""
    lost = Draw(kind=Kind.TIMEOUT)
    assert lost.lost
    assert None is Ladder().compare(_json(), lost)


def test_what_the_guard_judged_is_not_judged_again() -> None:
    """A draw made of a verdict carries its kind; the value needs no parsing."""
    contract = Contract(Triage)
    verdict = contract.judge(Reply(text=json.dumps(GOOD)))
    a = Draw(value=verdict.value, has_value=True, kind=verdict.kind)
    assert None is Ladder(contract=contract).compare(a, _json())
    bad = contract.judge(Reply(text="{}"))
    b = Draw.of(Reply(text="{}"), bad)
    found = Ladder(contract=contract).compare(a, b)
    assert found is not None
    assert "@valid" == found.path


def test_what_holds_content_can_be_sealed() -> None:
    """Open values are content; declared choices and directions are not."""
    ids = Ladder().compare(
        Draw(text='{"order_id": "A"}'), Draw(text='{"order_id": "B"}')
    )
    assert ids is not None
    assert ("value -> other value", "value -> other value") == (
        ids.sealed().direction,
        ids.sealed().detail,
    )
    choice = TRIAGE.compare(_json(), _json(category="billing"))
    assert choice is not None
    assert "bug -> billing" == choice.sealed().direction


def test_digests_tell_ladders_apart() -> None:
    """Tallies of different ladders must not be added up."""
    assert Ladder().digest == Ladder().digest
    others = [
        Ladder(output="text"),
        Ladder(fields={"a": free_text()}),
        Ladder(length_ratio=5),
        Ladder(clarification=False),
    ]
    assert len(others) + 1 == len({Ladder().digest, *(x.digest for x in others)})


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"output": "prose"}, "'prose'"),
        ({"register": ["mood"]}, "'mood'"),
        ({"length_ratio": 1.5}, "1.5"),
        ({"fields": {"a..b": decision()}}, "'a..b'"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], part: str) -> None:
    """Everything wrong is refused where the ladder is made."""
    with pytest.raises(ConfigError, match=part):
        Ladder(**arguments)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(_JSON, _JSON)
def test_comparing_is_reflexive_and_symmetric(a: object, b: object) -> None:
    """A draw never differs from itself; turning a pair around turns directions."""
    ladder = Ladder()
    one, two = (ladder.read(Draw(value=v, has_value=True)) for v in (a, b))
    assert [] == ladder.differences(one, one)
    there, back = ladder.differences(one, two), ladder.differences(two, one)
    assert sorted((d.rung, d.path) for d in there) == sorted(
        (d.rung, d.path) for d in back
    )


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_two_texts_can_be_compared(a: str, b: str) -> None:
    """Whatever a model writes, the comparison ends with an answer."""
    for output in ("auto", "structured", "text", "number", "code"):
        Ladder(output=output).compare(Draw(text=a), Draw(text=b))
