"""Other inputs are not another behaviour: what prompts explain raises no alarm."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmguard.monitor.drift import (
    Alarm,
    Baseline,
    Calibration,
    Extractor,
    Fields,
    Follower,
    Row,
    Rows,
    first_alarms,
    freeze,
)
from llmguard.monitor.drift._context import Learnt, _predict, _same
from llmguard.monitor.drift._embed import WORDS, hash_words
from llmguard.monitor.drift._families import MarkFit
from llmguard.monitor.drift._mix import Mix, Mixing

TOPICS: Mapping[str, Sequence[str]] = {
    "billing": ("invoice", "charged", "twice", "card", "fee", "refund", "bank"),
    "shipping": ("parcel", "courier", "late", "tracking", "address", "lost", "depot"),
    "bug": ("crash", "error", "screen", "login", "update", "freeze", "button"),
}
COMMON = ("please", "help", "my", "the", "is", "since", "today", "again", "was", "and")
EXTRACTOR = Extractor(
    fields=Fields(marks=tuple((".category", topic) for topic in TOPICS))
)
QUICK = Calibration(block=1, replicates=30, outputs=2_000)
EVEN = dict.fromkeys(TOPICS, 1.0)


def _row(
    rng: random.Random,
    mix: Mapping[str, float],
    *,
    blind: float = 0.0,
    told: bool = True,
    words: Mapping[str, Sequence[str]] = TOPICS,
) -> Row:
    """One answer: its category follows the ticket, but for a share that is `bug`."""
    topic = rng.choices(list(mix), list(mix.values()))[0]
    said = [*rng.choices(words[topic], k=3), *rng.choices(COMMON, k=4)]
    prompt = " ".join(said if told else rng.choices(COMMON, k=7))
    category = "bug" if rng.random() < blind else topic
    return EXTRACTOR.read(f"It is about {category}.", {"category": category}, prompt)


def _seen(
    baseline: Baseline, n: int, seed: int, mix: Mapping[str, float], **how: float
) -> tuple[list[Alarm], Follower]:
    rng, follower = random.Random(seed), Follower(baseline)
    alarms = [a for _ in range(n) for a in follower.see(_row(rng, mix, **how))]
    return alarms, follower


@pytest.fixture(scope="module")
def baseline() -> Baseline:
    rng = random.Random(1)
    rows = [_row(rng, EVEN) for _ in range(400)]
    return freeze(rows, EXTRACTOR, function="f", pin="p", calibration=QUICK)


def test_another_mix_of_known_inputs_is_silent(baseline: Baseline) -> None:
    """Four times as many bills as before: the prompts say so, and are believed."""
    mix = {**EVEN, "billing": 8.0}
    alarms, follower = _seen(baseline, 1_500, 2, mix)
    assert [] == [str(alarm) for alarm in alarms if not alarm.confounded]
    assert follower.explained > 1 or follower.scores["input"] > 1
    assert {} == follower.alarmed


def test_the_same_inputs_answered_otherwise_are_an_alarm(baseline: Baseline) -> None:
    """A third of all tickets becomes a bug; the prompts are what they were."""
    alarms, follower = _seen(baseline, 300, 3, EVEN, blind=0.33)
    raised = [alarm for alarm in alarms if not alarm.confounded]
    assert raised
    assert raised[0].output < 100
    assert any("category=" in shift.name for shift in follower.shifts())
    assert follower.explained < 0


def test_a_change_cannot_hide_behind_other_inputs_for_ever(
    baseline: Baseline,
) -> None:
    """First another mix, then the old one with another behaviour."""
    rng, follower = random.Random(4), Follower(baseline)
    first = [
        a for _ in range(600) for a in follower.see(_row(rng, {**EVEN, "bug": 8.0}))
    ]
    assert [] == [alarm for alarm in first if not alarm.confounded]
    later = [a for _ in range(2_000) for a in follower.see(_row(rng, EVEN, blind=0.6))]
    assert [alarm for alarm in later if not alarm.confounded]


def test_prompts_of_another_kind_are_named_as_that(baseline: Baseline) -> None:
    """A queue in another language: new words, so nothing is said of the version."""
    words = {topic: [f"{word}x" for word in TOPICS[topic]] for topic in TOPICS}
    rng, follower = random.Random(5), Follower(baseline)
    alarms = [
        a
        for _ in range(600)
        for a in follower.see(_row(rng, {**EVEN, "billing": 8.0}, words=words))
    ]
    assert follower.strange > 1
    assert [] == [str(alarm) for alarm in alarms if not alarm.confounded]


def test_prompts_that_say_nothing_hold_nothing_back() -> None:
    """Where prompts never predicted the answers, a change is an alarm as ever."""
    rng = random.Random(6)
    rows = [_row(rng, EVEN, told=False) for _ in range(400)]
    made = freeze(rows, EXTRACTOR, function="f", pin="p", calibration=QUICK)
    alarms, _ = _seen(made, 300, 7, EVEN, blind=0.33, told=False)
    assert [alarm for alarm in alarms if not alarm.confounded]


def test_streams_alarm_where_a_follower_does(baseline: Baseline) -> None:
    """One walk over arrays, one over single answers: the same outputs."""
    rng = random.Random(8)
    rows = [_row(rng, EVEN, blind=0.4) for _ in range(400)]
    follower = Follower(baseline)
    alarms = [alarm for row in rows for alarm in follower.see(row)]
    raised, held = first_alarms(baseline, Rows.of(rows), np.arange(400)[None, :])
    for family, first in raised.items():
        own = [a.output for a in alarms if a.family == family and not a.confounded]
        assert (own or [401])[0] == first[0]
    for family, first in held.items():
        own = [a.output for a in alarms if a.family == family and a.confounded]
        assert (own or [401])[0] == first[0]


def test_predictions_are_of_models_that_never_saw_the_row() -> None:
    """The closed form against fitting anew without each row."""
    rng = np.random.default_rng(9)
    bags = rng.normal(size=(60, 5)) * 0.6
    bags -= bags.mean(axis=0)
    values = bags @ rng.normal(size=(5, 3)) + 0.1 * rng.normal(size=(60, 3))
    values -= values.mean(axis=0)
    unseen, weights = _predict(bags, values, np.arange(60))
    for i in range(60):
        rest = np.arange(60) != i
        gram = bags[rest].T @ bags[rest] + np.eye(5)
        anew = bags[i] @ np.linalg.solve(gram, bags[rest].T @ values[rest])
        assert np.allclose(anew, unseen[i], rtol=0.03, atol=0.01)
    whole = np.linalg.solve(bags.T @ bags + np.eye(5), bags.T @ values)
    assert np.allclose(whole, bags.T @ weights)


def test_a_prompt_that_came_thrice_is_left_out_thrice() -> None:
    """The closed form against fitting anew without all rows of the same prompt."""
    rng = np.random.default_rng(13)
    distinct = rng.normal(size=(40, 5)) * 0.6
    prompt = np.concatenate([np.arange(40), np.repeat(np.arange(8), 2)])
    bags = distinct[prompt]
    bags -= bags.mean(axis=0)
    values = bags @ rng.normal(size=(5, 3)) + 0.3 * rng.normal(size=(56, 3))
    values -= values.mean(axis=0)
    same = _same(bags)
    unseen, _ = _predict(bags, values, same)
    for i in range(56):
        rest = same != same[i]
        assert rest.sum() in {53, 55}
        gram = bags[rest].T @ bags[rest] + np.eye(5)
        anew = bags[i] @ np.linalg.solve(gram, bags[rest].T @ values[rest])
        assert np.allclose(anew, unseen[i], rtol=0.1, atol=0.05)


def test_answers_to_prompts_that_come_again_are_not_known_by_heart() -> None:
    """Each ticket thrice in the baseline: new tickets scatter as these did."""
    rng = random.Random(14)
    ends = ["".join(pair) for pair in itertools.product("bcdfghjklm", repeat=2)]
    # Hardly two tickets are alike.
    words = {topic: [topic + end for end in ends] for topic in TOPICS}
    thrice = [row for _ in range(134) for row in [_row(rng, EVEN, words=words)] * 3]
    rng.shuffle(thrice)
    made = freeze(thrice, EXTRACTOR, function="f", pin="p", calibration=QUICK)
    fresh = Rows.of([_row(rng, EVEN, words=words) for _ in range(600)])
    left = made.fits["style"].project(fresh, made.context.read(fresh))
    own = Learnt.of(Rows.of(thrice)).seen
    inside = made.fits["style"].project(Rows.of(thrice), own)
    assert np.square(left).sum() / 600 < 1.5 * np.square(inside).sum() / len(thrice)
    assert made.mix is not None
    new = made.context.strangeness(fresh).mean()
    assert 0.8 < new / made.mix.strange[0] < 1.2


def test_what_prompts_do_not_predict_is_not_predicted() -> None:
    """Noise gets no prediction at all, so nothing is explained away by it."""
    rng = np.random.default_rng(10)
    bags = rng.normal(size=(400, 20)) * 0.2
    unseen, weights = _predict(bags, rng.normal(size=(400, 2)), np.arange(400))
    assert 0 == np.abs(unseen).sum() == np.abs(weights).sum()


def test_expected_shares_average_to_the_rates() -> None:
    """Cutting impossible shares off must not make a normal stream look rare."""
    rng = random.Random(11)
    mix = {"billing": 1.0, "shipping": 0.05, "bug": 0.2}
    rows = Rows.of([_row(rng, mix) for _ in range(400)])
    learnt = Learnt.of(rows)
    fit = MarkFit.fit(rows, learnt, np.arange(400))
    cut = np.clip(
        learnt.seen @ fit.coefficients, fit.rates / 4, 1 - (1 - fit.rates) / 4
    )
    assert np.allclose(rows.marks.mean(axis=0), cut.mean(axis=0), atol=0.01)
    # And they do follow the prompt.
    assert cut[:, -3:].std(axis=0).max() > 0.1


def test_the_evidence_has_the_sign_of_the_cause() -> None:
    """Prompts that move with the answers, and prompts that stay."""
    rng = np.random.default_rng(12)
    topic = rng.random(600) < 0.4
    style = topic[:, None].astype(float)
    context = np.column_stack([np.ones(600), topic - 0.4 + rng.normal(0, 0.4, 600)])
    learnt = Learnt.of(Rows.of([EXTRACTOR.read("x", prompt="x")] * 600))
    object.__setattr__(learnt, "seen", context)
    mix = Mix.learn(style, learnt)
    moved, changed = Mixing(mix), Mixing(mix)
    for _ in range(300):
        more = rng.random() < 0.8
        words = more - 0.4 + rng.normal(0, 0.4)
        one = moved.step(
            np.array([[float(more)]]), np.array([[1.0, words]]), np.zeros(1)
        )
        still = (rng.random() < 0.4) - 0.4 + rng.normal(0, 0.4)
        other = changed.step(
            np.array([[float(more)]]), np.array([[1.0, still]]), np.zeros(1)
        )
    assert one[0] > 5
    assert other[0] < -5


@settings(max_examples=50)
@given(st.text(max_size=200))
def test_words_are_hashed_whatever_the_text(text: str) -> None:
    """Below 2,048, the same in any case, and through a row's JSON."""
    words = hash_words(text)
    assert all(0 <= word < WORDS for word in words)
    assert words == hash_words(f"{text[:1000]}\n{text[:1000]}") or len(text) > 1000
    row = EXTRACTOR.read("x", prompt=text)
    assert words == Row.from_json(row.to_json()).prompt
