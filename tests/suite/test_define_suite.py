"""A suite: what it refuses, what it works out late, what its digest covers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Literal

import pytest
from pydantic import BaseModel

import llmguard.suite
from llmguard import INJECTED, Model, contract, pinned
from llmguard.errors import ConfigError
from llmguard.suite import Case, Suite, expect
from llmguard.testing import fake_pin


class Answer(BaseModel):
    """What the function returns."""

    category: Literal["a", "b"]
    amount: float


@contract(Answer)
@pinned(fake_pin({"category": "a", "amount": 1.0}))
def answer(text: str, *, model: Model = INJECTED) -> Answer:
    return model.complete(text)


def plain(text: str) -> str:
    return text


CASES = [{"id": f"c{n}", "text": f"text {n}", "slice": "s"} for n in range(20)]


def make(**changes: Any) -> Suite:
    """Return a valid suite but for the changes."""
    given: dict[str, Any] = {"cases": CASES, "assertions": [expect.schema()]}
    return Suite("triage", answer, **{**given, **changes})


def test_defaults_are_those_of_the_design() -> None:
    """Error rates and limits unless given."""
    suite = make()
    suite.validate()
    assert (0.01, 0.05, "suite", 3, 10, 50) == (
        suite.alpha,
        suite.beta,
        suite.scope,
        suite.min_rounds,
        suite.n_min,
        suite.cap,
    )
    assert Case(id="c0", inputs={"text": "text 0"}, slice="s") == suite.cases[0]
    assert ("schema",) == tuple(each.name for each in suite.assertions)
    assert () == suite.notes


def test_nothing_is_read_when_it_is_made() -> None:
    """A suite may stand next to a function in production, without its files."""
    suite = make(cases="nowhere.jsonl", assertions=None)
    with pytest.raises(ConfigError, match=r"nowhere\.jsonl.* cannot be read"):
        suite.validate()


def test_the_function_must_be_guarded() -> None:
    """Only a guarded function can be asked with another version."""
    with pytest.raises(ConfigError, match="is not guarded"):
        Suite("x", plain, cases=CASES, assertions=[expect.schema()]).validate()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alpha": 0}, "`alpha` is 0"),
        ({"beta": 0.5}, "`beta` is 0.5"),
        ({"alpha": True}, "`alpha` is True"),
        ({"cap": 0}, "`cap` is 0"),
        ({"n_min": 1.5}, "`n_min` is 1.5"),
        ({"min_rounds": 9, "cap": 8}, "`min_rounds` 9 is above `cap` 8"),
        ({"max_calls": 0}, "`max_calls` is 0"),
        ({"budget": 0}, "`budget` is 0"),
        ({"scope": "trafic"}, "did you mean `traffic`"),
    ],
)
def test_settings_are_refused_at_once(changes: dict[str, Any], message: str) -> None:
    """What makes no sense in itself needs no cases."""
    with pytest.raises(ConfigError, match=message):
        make(**changes)


@pytest.mark.parametrize("name", ["", "two words", "../up", 3])
def test_names_fit_a_command_line(name: Any) -> None:
    """A name is typed and becomes part of file names."""
    with pytest.raises(ConfigError, match="cannot be called"):
        Suite(name, answer, cases=CASES)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cases": []}, "has no cases"),
        ({"assertions": []}, "has no assertions"),
        ({"cases": [*CASES, CASES[0]]}, "two cases are called 'c0'"),
        (
            {"assertions": [expect.schema(), expect.schema()]},
            "two assertions are called 'schema'",
        ),
        ({"cases": [{"id": "x", "txt": "?"}]}, "case 'x' do not fit"),
        ({"cases": [{"id": "x", "text": object()}]}, "written as JSON"),
        (
            {"assertions": [expect.schema(slices=["ss"])]},
            "no case is of slice 'ss'; did you mean `s`",
        ),
        ({"assertions": [expect.schema(tags=["t"])]}, "no case has the tag 't'"),
        (
            {"assertions": [expect.schema(boundary="refuse")]},
            "mark some with `boundary` 'refuse'",
        ),
        (
            {"cases": CASES[:1]},
            "can never be accepted: 149 calls .* above 5.82%",
        ),
    ],
)
def test_what_needs_the_cases_is_refused_before_a_call(
    changes: dict[str, Any], message: str
) -> None:
    """Calls are not spent on a suite that cannot be decided."""
    with pytest.raises(ConfigError, match=message):
        make(**changes).validate()


def test_the_digest_covers_what_a_verdict_rests_on() -> None:
    """Cases, rates, judges and error rates; not the owner or the name."""
    base = make()
    same = [
        make(),
        make(owner="me", budget=3.0, max_calls=7),
        Suite("other", answer, cases=CASES, assertions=[expect.schema()]),
        make(cases=[{**case, "meta": {"note": 1}} for case in CASES]),
    ]
    assert {base.digest} == {suite.digest for suite in same}
    others = [
        make(cases=CASES[:-1]),
        make(cases=CASES[::-1]),
        make(cases=[{**case, "expected": None} for case in CASES]),
        make(assertions=[expect.schema(unacceptable=0.03)]),
        make(assertions=[expect.schema(), expect.checks()]),
        make(assertions=[expect.schema(gating=False)]),
        make(alpha=0.02),
        make(cap=40),
        make(scope="traffic"),
        make(assertions=[expect.check(lambda v: True, name="schema")]),
        make(assertions=[expect.check(lambda v: v != 1, name="schema")]),
    ]
    assert len(others) + 1 == len({base.digest, *(suite.digest for suite in others)})


def test_the_order_of_assertions_does_not_count() -> None:
    """They are judged each by itself."""
    both = [expect.schema(), expect.checks()]
    assert make(assertions=both).digest == make(assertions=both[::-1]).digest


def test_it_never_changes_but_makes_another() -> None:
    """Verdicts and digests stay what they were."""
    suite = make()
    with pytest.raises(AttributeError, match="never changes"):
        suite.alpha = 0.2
    assert 0.2 == suite.replace(alpha=0.2).alpha
    assert 0.01 == suite.alpha


def test_traffic_is_the_scope_of_all_assertions() -> None:
    """One suite makes one kind of claim, and says what that means."""
    suite = make(scope="traffic")
    assert ["traffic"] == [each.scope for each in suite.assertions]
    assert "about traffic" in suite.notes[0]


def test_a_relative_suite_needs_an_incumbent() -> None:
    """Without a pin and a name there is nothing to compare with."""
    bare: Callable[..., Any] = contract(Answer)(plain)
    relative = [expect.schema(relative=True)]
    suite = Suite("x", bare, cases=CASES, assertions=relative)
    assert suite.needs_incumbent
    with pytest.raises(ConfigError, match="compare with the incumbent"):
        suite.validate()
    suite.replace(incumbent="triage").validate()
    pinned_one = make(assertions=relative)
    pinned_one.validate()
    assert pinned_one.incumbent_pin is pinned_one.guard.pin


def test_late_decorators_are_seen() -> None:
    """A suite made of an inner wrapper judges by the outer one."""
    inner = pinned(fake_pin("{}"))(_model_first)
    suite = Suite("x", inner, cases=CASES)
    outer = contract(Answer)(inner)
    assert suite.guard.contract is not None
    assert callable(outer)


def _model_first(text: str, *, model: Model = INJECTED) -> Any:
    return model.complete(text)


def test_methods_are_refused() -> None:
    """There is no object to call them on."""

    class Desk:
        @contract(str)
        def write(self, text: str) -> str:
            return text

    with pytest.raises(ConfigError, match="is a method"):
        Suite("x", Desk.write, cases=CASES).validate()


def test_a_missing_case_is_named() -> None:
    """Ids come from journals that may be older than the suite."""
    assert "c3" == make().case("c3").id
    with pytest.raises(ConfigError, match="has no case 'c99'"):
        make().case("c99")


def test_texts_are_read_where_there_are_some() -> None:
    """A detector of texts needs a field of an answer that is an object."""
    with pytest.raises(ConfigError, match="name the `field` that holds it"):
        make(assertions=[expect.tone(low=0)]).validate()
    make(assertions=[expect.tone("category", low=0)]).validate()


def test_fields_are_checked_against_the_schema() -> None:
    """A typing error would otherwise fail every call."""
    with pytest.raises(ConfigError, match="did you mean `amount`"):
        make(assertions=[expect.between("amout", low=0)]).validate()


def test_refusals_that_nobody_judges_are_noted() -> None:
    """Near the border, only the assertions on refusals speak of them."""
    cases = [*CASES, {"id": "x", "text": "?", "boundary": "answer"}]
    suite = make(cases=cases)
    assert any("no gating `refusal` is about them" in note for note in suite.notes)
    both = suite.replace(assertions=[expect.schema(), expect.refusal()])
    assert not any("gating `refusal`" in note for note in both.notes)


def test_defaults_fit_the_function_and_its_cases() -> None:
    """What is about no case is left out; the worst prompt only reports."""
    names = [(each.name, each.gating) for each in make(assertions=None).assertions]
    assert [("schema", True), ("refusal", True), ("worst-prompt:schema", False)] == (
        names
    )
    more = [
        *CASES,
        {"id": "x", "text": "?", "boundary": "refuse"},
        {"id": "z", "text": "!", "boundary": "refuse"},
        {"id": "y", "text": "?", "expected": {"amount": 2}},
    ]
    suite = make(assertions=None, cases=more)
    suite.validate()
    assert ["schema", "refusal", "compliance", "worst-prompt:schema", "correct"] == (
        [each.name for each in suite.assertions]
    )


def test_a_detector_that_cannot_tell_is_refused() -> None:
    """Calls would be spent on its errors."""
    from llmguard.detectors import Calibration

    blind = Calibration(
        detector="refusal-lexicon/1", family="x", tp=60, fn=40, tn=70, fp=30
    )
    with pytest.raises(ConfigError, match="cannot tell them apart"):
        make(assertions=[expect.refusal(calibration=blind)]).validate()


def test_rates_leave_something_between() -> None:
    """Without a gap there is nothing to decide; zero blocks at the first failure."""
    with pytest.raises(ConfigError, match="0 <= tolerate < unacceptable <= 1"):
        expect.schema(tolerate=0.1)
    with pytest.raises(ConfigError, match="would block on the first failure"):
        expect.schema(tolerate=0)


def test_a_suite_shows_itself() -> None:
    """Name and function."""
    assert "Suite('triage', tests.suite.test_define_suite.answer)" == repr(make())


def test_a_function_is_a_function() -> None:
    """Its name is not enough."""
    odd: Any = "myapp.llm:triage"
    with pytest.raises(ConfigError, match="is no function; give the guarded"):
        Suite("x", odd, cases=CASES)


def test_selectors_that_exclude_each_other() -> None:
    """Each fits some case, none fits them all."""
    cases = [*CASES, {"id": "t", "text": "x", "tags": "big"}]
    both = [expect.schema(slices=["s"], tags=["big"])]
    with pytest.raises(ConfigError, match="leave none together"):
        make(cases=cases, assertions=both).validate()
    with pytest.raises(ConfigError, match="none has an `expected` answer"):
        make(assertions=[expect.correct()]).validate()


def test_single_cases_need_their_calls() -> None:
    """More calls for each than the cap gives are never made."""
    worst = [expect.worst_prompt()]
    with pytest.raises(ConfigError, match="`n_min` 60 is above `cap` 50"):
        make(assertions=worst, n_min=60).validate()
    with pytest.raises(ConfigError, match="5 rounds give a case 5"):
        make(assertions=worst, cap=5, n_min=5).validate()


def test_idle_cases_are_noted() -> None:
    """They cost calls and decide nothing."""
    cases = [*CASES, {"id": "t", "text": "x", "slice": "other"}]
    suite = make(cases=cases, assertions=[expect.schema(slices=["s"])])
    assert ("no gating assertion is about 1 cases: `t`",) == suite.notes


def test_defaults_without_a_contract() -> None:
    """Of a bare text only refusals are known to be wrong."""
    bare = pinned(fake_pin("hi"))(_model_first)
    suite = Suite("x", bare, cases=CASES)
    assert ["refusal"] == [each.name for each in suite.assertions]
    checked = contract(Answer, checks=[lambda value: value.amount > 0])(bare)
    names = [each.name for each in suite.replace(function=checked).assertions]
    assert ["schema", "checks", "refusal", "worst-prompt:schema"] == names


def test_a_suite_in_production_code_is_light() -> None:
    """Writing one imports no store, no statistics, no event loop, nothing heavy."""
    code = (
        "from llmguard.suite import suite, expect\n"
        "@suite(cases='x.jsonl', assertions=[expect.schema(), expect.refusal(),"
        " expect.between('n', low=0), expect.correct(), expect.tone('t', low=0)])\n"
        "def answer(text): return text\n"
        "import sys, json; print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    heavy = {"asyncio", "pydantic", "jsonschema", "scipy", "numpy", "sqlite3"}
    heavy |= {"llmguard.store", "llmguard.suite._run", "llmguard.suite.stats"}
    assert set() == heavy & set(json.loads(done.stdout))


def test_every_public_name_exists() -> None:
    """Those that are imported late too."""
    for name in llmguard.suite.__all__:
        assert getattr(llmguard.suite, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'runn'"):
        _ = llmguard.suite.runn
