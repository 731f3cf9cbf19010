"""A detector made of a plain function: found, outside a range, other than labels."""

from __future__ import annotations

import math

import pytest

from llmguard.detectors import Detection, Detector
from llmguard.errors import ConfigError


def loud(text: str) -> Detection:
    """Say how much of a text is upper case."""
    share = sum(c.isupper() for c in text) / len(text) if text else math.nan
    return Detection(
        label="loud" if share > 0.5 else "calm",
        score=share,
        why=f"{share:.0%} capitals",
    )


LOUD = Detector(
    id="loud/1", detect=loud, labels=("loud", "calm"), positive=frozenset({"loud"})
)


def test_a_plain_function_becomes_a_detector() -> None:
    """It answers with label, score and reason, and knows what counts as found."""
    assert Detection(label="loud", score=1.0, why="100% capitals") == LOUD("NO")
    assert [True, False] == [LOUD.found("NO"), LOUD.found("no")]


def test_a_range_makes_a_detector_of_its_own() -> None:
    """With both ends inside and an id that names them; a score of NaN is outside."""
    half = LOUD.outside(0.25, 0.5)
    assert "loud/1[0.25,0.5]" == half.id
    texts = ("no", "Noes", "No", "NO", "")
    assert ["below", "inside", "inside", "above", "above"] == [
        half(text).label for text in texts
    ]
    assert [True, False, False, True, True] == [half.found(text) for text in texts]
    assert "loud/1[-inf,0.5]" == LOUD.outside(-math.inf, 0.5).id


def test_allowed_labels_make_a_detector_of_every_other() -> None:
    """What was seen goes into the reason."""
    only = LOUD.other_than("calm")
    assert "loud/1{calm}" == only.id
    assert Detection(label="other", score=1.0, why="loud: 100% capitals") == only("NO")
    assert not only.found("no")


def test_nonsense_is_refused_where_it_is_written() -> None:
    """An id without version, labels that are not given, an empty range."""
    with pytest.raises(ConfigError, match="has no version"):
        Detector(id="loud", detect=loud, labels=(), positive=frozenset())
    with pytest.raises(ConfigError, match=r"`positive` holds \['lud'\]"):
        Detector(id="a/1", detect=loud, labels=("loud",), positive=frozenset({"lud"}))
    for low, high in ((1, 0), (math.nan, 1)):
        with pytest.raises(ConfigError, match="is empty"):
            LOUD.outside(low, high)
    for wrong in ((), ("lud",)):
        with pytest.raises(ConfigError, match="allowed labels"):
            LOUD.other_than(*wrong)
