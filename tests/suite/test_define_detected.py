"""Assertions on refusals, style, form and limits."""

from __future__ import annotations

import math
from typing import Any

import pytest

from llmguard.detectors import Calibration
from llmguard.errors import ConfigError
from llmguard.outcome import Kind, Usage
from llmguard.suite import Finding, expect

from .judged import ANSWER, CASE, GOOD, NO, REFUSE, failed, sample


def test_refusal() -> None:
    """Marks of provider and contract count, and words where there is no valid JSON."""
    each = expect.refusal(detector=NO)
    assert failed(each, sample(kind=Kind.REFUSAL)) is True
    assert failed(each, sample(kind=Kind.FILTERED)) is True
    assert failed(each, sample({"a": 1}, refusal="I must decline")) is True
    assert failed(each, sample("No way", text="No way")) is True
    assert failed(each, sample("Yes", text="Yes")) is False
    assert failed(each, sample(kind=Kind.BAD_JSON, text="No JSON today")) is True
    assert failed(each, sample(kind=Kind.BAD_JSON, text="{")) is False
    assert failed(each, sample({"reply": "No."}, text="No")) is False
    inside = expect.refusal(detector=NO, field="reply")
    assert failed(inside, sample({"reply": "No."})) is True
    assert not each.applies(REFUSE)
    assert each.applies(CASE)
    assert each.applies(ANSWER)
    assert not expect.refusal(detector=NO, boundary="answer").applies(CASE)


def test_compliance() -> None:
    """An answer to a case that must be declined has failed, valid or not."""
    each = expect.compliance(detector=NO)
    assert each.applies(REFUSE)
    assert not each.applies(ANSWER)
    assert failed(each, sample("Sure", text="Sure")) is True
    assert failed(each, sample(kind=Kind.BAD_JSON, text="Sure")) is True
    assert failed(each, sample("No", text="No")) is False
    assert failed(each, sample(kind=Kind.REFUSAL)) is False
    assert failed(each, sample(kind=Kind.EMPTY, text=" ")) is False


def test_calibrations_are_turned_towards_failure() -> None:
    """Finding refusals well is finding compliance badly, and the other way round."""
    lopsided = Calibration(
        detector="says-no/1", family="test", tp=90, fn=10, tn=400, fp=0
    )
    options: Any = {"detector": NO, "calibration": lopsided}
    assert lopsided == expect.refusal(**options).calibration
    assert lopsided.inverted() == expect.compliance(**options).calibration
    low, high = expect.refusal(**options).decided_rates
    assert low > 0.05
    assert high < 0.15
    with pytest.raises(ConfigError, match="is of detector `says-no/1`"):
        expect.detected(NO.other_than("answer"), calibration=lopsided)
    odd: Any = 0.9
    with pytest.raises(ConfigError, match=r"`calibration` is 0\.9; give the file"):
        expect.refusal(calibration=odd)
    with pytest.raises(ConfigError, match="cannot tell them apart"):
        _ = expect.compliance(**options).decided_rates


def test_detected() -> None:
    """Positive labels are failures; a missing text too."""
    each = expect.detected(NO, field="reply")
    assert "says-no:reply" == each.name
    assert failed(each, sample({"reply": "No"})) is True
    assert failed(each, sample({"reply": "Yes"})) is False
    assert failed(each, sample({"reply": 3})) is True
    assert GOOD == expect.detected(NO, calibration=GOOD).calibration


def test_length() -> None:
    """Characters, words or tokens of what was written."""
    assert failed(expect.length(3), sample("abc", text="abc")) is False
    assert failed(expect.length(2), sample("abc", text="abc")) is True
    words = expect.length(2, unit="words", field="a")
    assert failed(words, sample({"a": "one two", "b": "x y z"})) is False
    assert failed(words, sample({"a": "one two three"})) is True
    assert failed(words, sample({"a": 1})) is None
    tokens = expect.length(5, unit="tokens")
    assert failed(tokens, sample(1, usage=Usage(output_tokens=6))) is True
    assert failed(tokens, sample(1)) is None
    assert failed(tokens, sample(kind=Kind.TRUNCATED)) is True
    assert failed(tokens, sample(kind=Kind.REFUSAL, text="x")) is None


def test_limits_come_from_the_incumbent() -> None:
    """1.25 times its 95th percentile, of calls that said something."""
    each = expect.latency()
    assert each.prepare is not None
    with pytest.raises(ConfigError, match="takes its limit from the incumbent"):
        each.judge(CASE, sample(1))
    seconds = [sample(1, latency=float(n)) for n in range(1, 21)]
    seconds.append(sample(kind=Kind.TIMEOUT, latency=99.0))
    judge = each.prepare(seconds)
    assert judge(CASE, sample(1, latency=23.75)) == Finding(
        failed=False, detail="23.75 s, at most 23.75 allowed", score=23.75
    )
    beyond = judge(CASE, sample(1, latency=23.76))
    assert beyond is not None
    assert beyond.failed
    with pytest.raises(ConfigError, match="none of its samples"):
        expect.cost().prepare([sample(1)])  # type: ignore[misc] # it has one


@pytest.mark.parametrize("limit", [0, -1, math.inf, math.nan])
def test_limits_are_positive(limit: float) -> None:
    """Anything else judges nothing."""
    with pytest.raises(ConfigError, match="write a number above 0"):
        expect.latency(limit)


def test_length_refuses_what_cannot_be_measured() -> None:
    """Units are words of a list, and tokens are of the whole."""
    with pytest.raises(ConfigError, match="`unit` is 'lines'"):
        expect.length(1, unit="lines")  # type: ignore[arg-type] # that is the test
    with pytest.raises(ConfigError, match="tokens of the whole output"):
        expect.length(1, unit="tokens", field="a")


@pytest.mark.parametrize(
    ("options", "text", "verdict"),
    [
        ({"fence": False}, "```json\n{}\n```", True),
        ({"fence": False}, "{}", False),
        ({"fence": True}, "{}", True),
        ({"json": True}, ' {"a": 1} ', False),
        ({"json": True}, "Here: {}", True),
        ({"json": False}, "[]", True),
        ({"markdown": False}, "some **bold** words", True),
        ({"bullets": True}, "- one\n- two", False),
        ({"emoji": False}, "fine \N{SMILING FACE WITH OPEN MOUTH}", True),
        ({"max_chars": 3}, "abcd", True),
        ({"max_lines": 2, "max_chars": 9}, "a\n\nb", False),
    ],
)
def test_format(options: Any, text: str, verdict: bool) -> None:
    """The form counts, whether the answer is valid or not."""
    each = expect.format(**options)
    assert "" == each.detector
    assert verdict == failed(each, sample(1, text=text))
    assert verdict == failed(each, sample(kind=Kind.SCHEMA, text=text))


def test_format_of_nothing() -> None:
    """Nothing written has failed; what never was text has no form."""
    each = expect.format(fence=False)
    assert failed(each, sample(kind=Kind.EMPTY, text=" ")) is True
    assert failed(each, sample(kind=Kind.REFUSAL, text="no")) is True
    assert failed(each, sample(kind=Kind.REFUSAL, text="no"), ANSWER) is None
    assert failed(each, sample({"a": 1})) is None
    inside = expect.format("a", markdown=False)
    assert failed(inside, sample({"a": "# x"})) is True
    assert failed(inside, sample({"a": 1}, text="# x")) is True
    with pytest.raises(ConfigError, match="say what is wanted"):
        expect.format()
    with pytest.raises(ConfigError, match="`max_lines` is 0"):
        expect.format(max_lines=0)


def test_sentiment() -> None:
    """A range of the detector's scores, which is part of its id."""
    each = expect.sentiment("reply", low=-0.2)
    assert ("sentiment:reply", "sentiment", 0.02) == (
        each.name,
        each.kind,
        each.tolerate,
    )
    assert each.detector.endswith("[-0.2,inf]")
    assert failed(each, sample({"reply": "Great, thank you, wonderful!"})) is False
    assert failed(each, sample({"reply": "This is terrible, awful and sad."})) is True
    assert failed(each, sample({})) is True
    with pytest.raises(ConfigError, match="give `low`, `high` or both"):
        expect.sentiment()


def test_tone() -> None:
    """Labels or a range of one dimension."""
    polite = expect.tone(allowed=["civil", "neutral"])
    rude = "Shut up, you stupid idiot, this is damn rubbish."
    assert failed(polite, sample("Thank you, please let us know.")) is False
    assert failed(polite, sample(rude)) is True
    formal = expect.tone("r", dimension="formality", low=-0.5)
    assert "tone-formality:r" == formal.name
    for odd in ({}, {"low": 0, "allowed": ["civil"]}):
        with pytest.raises(ConfigError, match="give `allowed` labels, or a range"):
            expect.tone(**odd)  # type: ignore[arg-type] # options of several types
    with pytest.raises(ConfigError, match="must be some of"):
        expect.tone(allowed=["nice"])


def test_language() -> None:
    """Another language has failed; a text too short to tell has not."""
    pytest.importorskip("py3langid", reason="the extra `language` is not installed")
    each = expect.language(allowed=["en"])
    assert failed(each, sample("Your parcel will arrive on Monday.")) is False
    assert failed(each, sample("Ihr Paket kommt am Montag bei Ihnen an.")) is True
    assert failed(each, sample("OK.")) is False
    strict = expect.language(allowed=["en"], unknown=False)
    assert failed(strict, sample("OK.")) is True
    with pytest.raises(ConfigError, match="give `allowed` codes"):
        expect.language(allowed=[])


def test_refusals_by_the_shipped_detectors() -> None:
    """The lexicon decides unless the model is asked for."""
    words = "I'm sorry, but I can't help with that."
    for each in (expect.refusal(), expect.refusal(detector="refusal-model")):
        assert failed(each, sample(words, text=words)) is True
        assert failed(each, sample("It is 4.", text="It is 4.")) is False
    model = expect.refusal(detector="refusal-model")
    assert expect.refusal().detector != model.detector
    with pytest.raises(ConfigError, match="no detector 'refusal-modle'"):
        expect.refusal(detector="refusal-modle")
    with pytest.raises(ConfigError, match="`detector` is 3; give the name"):
        expect.detected(3)  # type: ignore[arg-type] # that is the test
