"""Figures that add up."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from llmguard.monitor.sketch import Histogram, Sketch

VALUES = st.lists(st.floats(0.001, 1e6), max_size=60)


def _histogram(values: list[float]) -> Histogram:
    made = Histogram()
    for value in values:
        made.add(value)
    return made


@given(VALUES, VALUES)
def test_merging_is_adding(one: list[float], two: list[float]) -> None:
    """Two processes' histograms are that of both together."""
    merged = _histogram(one)
    merged.merge(_histogram(two))
    whole = _histogram(one + two)
    assert whole.counts == merged.counts
    assert whole.n == merged.n
    assert math.isclose(whole.total, merged.total, abs_tol=1e-6)
    assert (
        whole.document()["counts"]
        == Histogram.of(whole.document()).document()["counts"]
    )


@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=80), st.floats(0.01, 1))
def test_quantiles_are_within_a_bucket(values: list[float], share: float) -> None:
    """2.5 % off the exact order statistic at most."""
    exact = sorted(values)[max(math.ceil(share * len(values)) - 1, 0)]
    assert abs(math.log(_histogram(values).quantile(share) / exact)) <= math.log(1.05)


def test_odd_values_break_nothing() -> None:
    """Zero and below share a bucket; what is not finite is left out."""
    made = _histogram([0.0, -5.0, math.nan, math.inf, 1e300, 1e-300])
    assert 4 == made.n
    assert 0.0 == made.quantile(0.5)
    assert 0.0 == Histogram().quantile(0.5)
    assert 0.0 == Histogram().mean
    assert len(_histogram([10.0**k for k in range(-30, 30)]).counts) <= 601


def test_sketches_add_up_and_survive_the_store() -> None:
    """Kinds, marks, sizes and labels."""
    one, two = Sketch(), Sketch()
    one.told("ok")
    one.told("schema", 2)
    one.read(("fence", "bold"), (True, False))
    one.sizes["chars"].add(100)
    two.told("ok")
    two.read(("fence", "bold"), (True, True))
    two.sizes["chars"].add(200)
    two.label("language", "en")
    one.merge(Sketch.from_json(two.to_json()))
    assert (4, 2, {"ok": 2, "schema": 2}) == (one.answers, one.outputs, dict(one.kinds))
    assert (1.0, 0.5, 0.0) == (one.rate("fence"), one.rate("bold"), one.rate("none"))
    assert 150 == one.sizes["chars"].mean
    assert {"language": {"en": 1}} == one.labels
    assert 0.0 == Sketch().rate("fence")


def test_labels_are_bounded() -> None:
    """A detector that invents labels does not fill the memory."""
    made = Sketch()
    for i in range(200):
        made.label("odd", str(i))
    assert 65 == len(made.labels["odd"])
    assert 136 == made.labels["odd"]["_other"]
