"""Sentiment, tone, language and format: examples, bounds, independence of length."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard.detectors import (
    Detector,
    ToneFeatures,
    format_features,
    language,
    read_format,
    read_tone,
    sentiment,
    tone,
)
from llmguard.detectors import _language as languages
from llmguard.detectors import _sentiment as sentiments
from llmguard.errors import ConfigError

ANGRY = "You are useless. This is the worst service ever!! I demand a refund."
LETTER = (
    "Dear Ms Smith, thank you for your patience. Kindly find the invoice enclosed. "
    "Yours sincerely"
)
CHAT = "hey dude, that's super cool lol"
PLAIN = "Your parcel arrives on Tuesday."


@pytest.fixture(scope="module")
def detectors() -> list[Detector]:
    """Give one of each kind, those of the extras included where they are."""
    pytest.importorskip("vaderSentiment")
    pytest.importorskip("py3langid")
    return [
        sentiment(),
        language(),
        format_features(),
        tone(),
        tone("formality"),
        tone("politeness"),
        tone("anger"),
        tone("certainty"),
    ]


@given(text=st.text(max_size=400))
def test_any_text_gets_a_label_and_the_same_one_again(
    text: str, detectors: list[Detector]
) -> None:
    """Whatever the characters; only the language has more labels than are listed."""
    for detector in detectors:
        seen = detector(text)
        assert seen == detector(text)
        assert not detector.labels or seen.label in detector.labels


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("I love it. It works very well!", "positive"),
        ("This is terrible and I hate it.", "negative"),
        ("The parcel weighs two kilos.", "neutral"),
        ("", "neutral"),
        ("```\nterrible, awful, bad\n```", "neutral"),
    ],
)
def test_sentiment_of_plain_sentences(text: str, label: str) -> None:
    """Code is not read, and no words say nothing."""
    pytest.importorskip("vaderSentiment")
    assert label == sentiment()(text).label


def test_sentiment_does_not_grow_with_length() -> None:
    """VADER's own score of the whole text does: 0.44 becomes 0.99."""
    pytest.importorskip("vaderSentiment")
    once = "The room was nice. It has two beds. "
    detector = sentiment()
    assert pytest.approx(detector(once).score) == detector(once * 20).score
    whole = sentiments._analyzer()
    assert whole(once * 20)["compound"] > 0.95 > 2 * whole(once)["compound"]
    assert detector(once).why.endswith("for 'The room was nice.'")


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        (ANGRY, ("uncivil", "casual", "rude", "angry")),
        (LETTER, ("civil", "formal", "polite", "calm")),
        (CHAT, ("neutral", "casual", "neutral", "calm")),
        (PLAIN, ("neutral", "neutral", "neutral", "calm")),
        ("", ("neutral", "neutral", "neutral", "calm")),
    ],
)
def test_tone_in_four_dimensions(text: str, labels: tuple[str, ...]) -> None:
    """By words that a reader can check."""
    seen = (tone()(text), tone("formality")(text))
    rest = (tone("politeness")(text), tone("anger")(text))
    assert labels == tuple(each.label for each in (*seen, *rest))


def test_certainty_hears_hedges_and_claims() -> None:
    """Maybe against definitely."""
    detector = tone("certainty")
    assert (
        "hedging" == detector("Maybe. It could be that he might come, perhaps.").label
    )
    assert "certain" == detector("That is definitely and undoubtedly true.").label


def test_tone_says_what_it_found() -> None:
    """The markers, by list, then the marks."""
    assert "rude: useless; angry: i demand, worst; exclamations 1" == tone()(ANGRY).why
    seen = read_tone(LETTER)
    assert ("dear", "enclosed", "yours", "sincerely") == seen.found["formal"]
    assert 1 == read_tone("PLEASE ANSWER MY MAIL").counts["shouting"]
    assert ToneFeatures(words=0) == read_tone("```\nyou idiot\n```")


def test_long_runs_count_once() -> None:
    """`your own fault` is one marker, not that and `your fault`; words are whole."""
    assert ("your own fault",) == read_tone("It is your own fault.").found["rude"]
    assert () == read_tone("Shell, coolness, thanksgiving.").found["polite"]


@given(st.integers(1, 40))
def test_tone_scores_are_bounded_and_do_not_grow_with_length(times: int) -> None:
    """Net markers per 100 words; only below 40 words is a text too short to tell."""
    long = f"{LETTER} {PLAIN} {PLAIN} {PLAIN} {PLAIN} {PLAIN} "
    assert pytest.approx(read_tone(long).formality, abs=0.15) == (
        read_tone(long * times).formality
    )
    for text in (ANGRY * times, LETTER * times, CHAT * times):
        seen = read_tone(text)
        for score in (seen.civility, seen.formality, seen.politeness):
            assert -1 <= score <= 1
        assert 0 <= seen.anger <= 1


def test_another_dimension_is_refused() -> None:
    """With those that there are."""
    with pytest.raises(ConfigError, match="`civility`, `formality`"):
        tone("mood")  # type: ignore[arg-type] # what is tested


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Your order has shipped.", "en"),
        ("Ihre Bestellung kommt am Dienstag an.", "de"),
        ("Bonjour, comment puis-je vous aider ?", "fr"),
        ("您好，请问有什么可以帮您？", "zh"),  # noqa: RUF001 - full-width in Chinese
        ("はい、承知しました。", "ja"),
        ("Ok.", "und"),
        ("", "und"),
        ("```\nfor (i = 0; i < n; i++) { total += i; }\n```", "und"),
    ],
)
def test_languages_of_short_answers(text: str, code: str) -> None:
    """And none where there is too little text to tell."""
    pytest.importorskip("py3langid")
    assert code == language()(text).label


def test_an_answer_in_another_language_is_found() -> None:
    """By the labels that are allowed."""
    pytest.importorskip("py3langid")
    other = language().other_than("en", "und")
    assert [False, False, True] == [
        other.found(text)
        for text in ("Your order has shipped.", "Ok.", "Ihre Bestellung ist da.")
    ]


def test_a_missing_extra_names_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """When the detector is made, not when the first text comes."""
    monkeypatch.setitem(sys.modules, "vaderSentiment.vaderSentiment", None)
    monkeypatch.setitem(sys.modules, "py3langid.langid", None)
    sentiments._analyzer.cache_clear()
    languages._classifier.cache_clear()
    with pytest.raises(ConfigError, match=r"llmguard-toolkit\[sentiment\]"):
        sentiment()
    with pytest.raises(ConfigError, match=r"llmguard-toolkit\[language\]"):
        language()


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ('{"a": 1}', "json"),
        ("[1, 2]", "json"),
        ("{not json}", "prose"),
        ('```json\n{"a": 1}\n```', "fenced"),
        ("Here it is:\n```\nx = 1\n```", "fenced"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "table"),
        ("- one\n- two", "list"),
        ("1. one\n2. two", "list"),
        ("- one only", "markdown"),
        ("# Title\ntext", "markdown"),
        ("This is **bold**.", "markdown"),
        ("def f(x):\n    return x", "code"),
        ("Your parcel arrives on Tuesday.", "prose"),
        ("It costs 5 - 3 = 2 euros.", "prose"),
    ],
)
def test_the_outer_form_of_answers(text: str, label: str) -> None:
    """The first label that fits."""
    assert label == format_features()(text).label


def test_every_mark_is_counted() -> None:
    """Outside of fences, so that code does not count as Markdown."""
    text = "# T\n\n- a\n- b\n\n1. c\n\n**d** [e](f) 🎉\n\n```python\n# no\n- x\n```"
    seen = read_format(text)
    assert (1, 2, 1, 1, 1, 1) == (
        seen.headings,
        seen.bullets,
        seen.numbered,
        seen.bold,
        seen.links,
        seen.emoji,
    )
    assert (1, "python", False, False) == (
        seen.fences,
        seen.fence_language,
        seen.unclosed,
        seen.fenced,
    )
    assert "fences 1, headings 1, bullets 2, numbered 1, bold 1, links 1" == (
        format_features()(text).why
    )


def test_a_truncated_fence_is_seen() -> None:
    """As a model leaves one when its tokens end."""
    text = '```json\n{"a": '
    assert read_format(text).unclosed
    assert format_features()(text).why.endswith("a fence is not closed")
    assert read_format("```json\n{}\n```").fenced
