"""The estimators: floors, net, excess, evidence, clusters, and what merges."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmguard import Kind
from llmguard.errors import ConfigError
from llmguard.shadow import (
    Draw,
    Ladder,
    Pair,
    Report,
    ShadowVerdict,
    Tally,
    Version,
    report,
)
from llmguard.shadow._estimate import log_wealth
from llmguard.shadow._power import needed, spread
from llmguard.suite.stats import PairedBetting

Simulate = Callable[..., Tally]
A, B = Version(name="incumbent"), Version(name="challenger")


def _report(tally: Tally, **options: Any) -> Report:
    return report(tally, incumbent=A, challenger=B, **options)


def _answer(choice: str) -> Draw:
    return Draw(text=f'{{"answer": "{choice}"}}')


def test_net_can_be_negative_where_behaviour_changed(simulated: Simulate) -> None:
    """A 60/40 incumbent against one that always says the first: net -0.08, excess 0.16.

    The net alone would call this an improvement; the excess raises the alarm.
    """
    tally = simulated(4000, [("x", 0.6), ("y", 0.4)], [("x", 1.0)])
    found = _report(tally)
    assert found.main.floor_a is not None
    assert found.main.net is not None
    assert found.main.excess is not None
    assert math.isclose(0.48, found.main.floor_a.value, abs_tol=0.02)
    assert math.isclose(-0.08, found.main.net.value, abs_tol=0.02)
    assert found.main.net.high < 0
    assert math.isclose(0.16, found.main.excess.value, abs_tol=0.02)
    assert ShadowVerdict.BLOCK is found.verdict
    assert "beyond the noise" in found.alarms[0]


def test_a_noisy_version_against_itself_is_promoted(simulated: Simulate) -> None:
    """A floor of 32 % is no divergence: net and excess are near 0, no alarm."""
    same = [("x", 0.8), ("y", 0.2)]
    found = _report(simulated(6000, same, same))
    assert found.main.raw is not None
    assert found.main.net is not None
    assert found.main.raw.value > 0.3
    assert found.main.net.low < 0 < found.main.net.high
    assert ShadowVerdict.PROMOTE is found.verdict
    assert () == found.alarms


def test_versions_against_themselves_raise_no_alarm(simulated: Simulate) -> None:
    """Of 30 A/A runs, each looked at eight times, at most two alarm."""
    same = [("x", 0.85), ("y", 0.15)]
    alarms = 0
    for seed in range(30):
        whole = Tally(Ladder())
        for look in range(8):
            whole.merge(simulated(60, same, same, seed=100 * seed + look))
            if _report(whole).alarm:
                alarms += 1
                break
    assert alarms <= 2


def test_a_rare_slice_that_inverts_is_found_in_its_stratum(simulated: Simulate) -> None:
    """One request in twelve inverts: the whole is quiet, the slice is not."""
    quiet = simulated(
        2400, [("x", 0.98), ("y", 0.02)], [("x", 0.98), ("y", 0.02)], seed=3
    )
    loud = simulated(
        60, [("x", 1.0)], [("y", 0.9), ("x", 0.1)], seed=4, stratum=lambda _: "legal"
    )
    quiet.merge(loud)
    found = _report(quiet)
    assert "legal" == found.strata[0].name
    assert any("'legal'" in alarm for alarm in found.alarms)
    assert ("/answer", "x", "y") == (
        found.transitions[0].path,
        found.transitions[0].before,
        found.transitions[0].after,
    )
    tail = [each for each in found.examples if each.after == "y" and each.stable]
    assert "legal" in {each.stratum for each in tail}


def test_a_direction_of_the_first_rung_alarms_by_itself() -> None:
    """Two in a hundred newly refused: below the excess, above the direction."""
    no = Draw(text="I cannot help with that request.")
    tally = Tally(Ladder())
    for i in range(1000):
        b = no if i % 60 == 0 else _answer("x")
        tally.add(Pair(request=str(i), a=_answer("x"), b=b, a2=_answer("x"), b2=b))
    found = _report(tally)
    assert ("the challenger newly refuses on 1.7 % of the requests",) == found.alarms
    rates = {row.name: row.rates.net for row in found.directions}
    refuses, complies = rates["newly refuses"], rates["newly complies"]
    assert refuses is not None
    assert complies is not None
    assert (0.017, 0.0) == (refuses.value, complies.value)


def test_a_critical_field_alarms_by_itself() -> None:
    """What was declared critical is not averaged away."""
    from llmguard.shadow import decision

    ladder = Ladder(fields={"escalate": decision(critical=True)})
    tally = Tally(ladder)
    for i in range(1000):
        a = Draw(text='{"escalate": true}')
        b = Draw(text='{"escalate": false}') if i % 60 == 0 else a
        tally.add(Pair(request=str(i), a=a, b=b, a2=a, b2=b))
    found = _report(tally)
    assert any("/escalate" in alarm for alarm in found.alarms)
    assert "critical" == found.transitions[0].severity


@pytest.mark.parametrize(
    ("n", "part"),
    [
        (0, "never drawn twice"),
        (100, "go on until 200 more"),
        (300, "drawn twice more would"),
    ],
)
def test_too_little_says_what_is_missing(
    simulated: Simulate, n: int, part: str
) -> None:
    """Silence of a small sample is no evidence of safety."""
    noisy = [("x", 0.7), ("y", 0.3)]
    tally = simulated(n or 500, noisy, noisy, doubled=1.0 if n else 0.0)
    found = _report(tally)
    assert ShadowVerdict.UNDECIDED is found.verdict
    assert part in found.reason
    if n:
        assert found.more is not None
        assert found.more > 0
        assert found.detectable is not None
        assert found.detectable > 0.05


def test_lost_draws_are_counted_apart_and_bar_promotion() -> None:
    """A challenger that hangs on one call in ten differs in nothing, and stays out."""
    tally = Tally(Ladder())
    x = _answer("x")
    for i in range(1000):
        b = Draw(kind=Kind.TIMEOUT) if i % 10 == 0 else x
        tally.add(Pair(request=str(i), a=x, b=b, a2=x))
    found = _report(tally)
    assert (900, 100, {"timeout": 100}) == (
        found.requests,
        found.unmatched,
        found.challenger.lost,
    )
    assert ShadowVerdict.UNDECIDED is found.verdict
    assert "timeout 100" in found.reason


def test_dependent_requests_widen_the_interval() -> None:
    """Ten requests of each user go wrong together: worth a tenth of them."""
    tallies = {flag: Tally(Ladder(), clustered=flag) for flag in (False, True)}
    rng = random.Random(7)
    x, y = _answer("x"), _answer("y")
    for user in range(400):
        b = y if rng.random() < 0.1 else x
        for i in range(10):
            pair = Pair(request=f"{user}/{i}", a=x, b=b, a2=x, cluster=str(user))
            for tally in tallies.values():
                tally.add(pair)
    loose, tight = _report(tallies[True]).main, _report(tallies[False]).main
    assert loose.net is not None
    assert tight.net is not None
    assert loose.net.value == tight.net.value
    ratio = (loose.net.high - loose.net.low) / (tight.net.high - tight.net.low)
    assert math.isclose(math.sqrt(10), ratio, rel_tol=0.15)
    assert loose.log_e < tight.log_e


def test_intervals_cover(simulated: Simulate) -> None:
    """Of 100 simulated runs, the true net lies inside the 95 % interval of most."""
    inside = 0
    for seed in range(100):
        tally = simulated(
            150, [("x", 0.9), ("y", 0.1)], [("x", 0.8), ("y", 0.2)], seed=seed
        )
        net = _report(tally).main.net
        assert net is not None
        inside += net.low <= 0.26 - 0.18 <= net.high
    assert inside >= 89


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 200), st.floats(0, 0.3))
def test_the_bet_is_that_of_paired_betting(
    worse: int, better: int, rest: int, edge: float
) -> None:
    """With one draw of each, quarters are whole: the same e-value as the suite's."""
    n = worse + better + rest
    known = PairedBetting(tolerate=edge, unacceptable=edge + 0.02)
    expected = known.log_block(n, worse, better)
    counts = {4: worse, -4: better}
    assert math.isclose(
        expected, log_wealth(counts, n, edge=edge), rel_tol=1e-9, abs_tol=1e-9
    )


@pytest.mark.parametrize(("floor", "net"), [(0.1, 0.05), (0.05, 0.03)])
def test_the_planned_number_of_requests_has_its_power(floor: float, net: float) -> None:
    """Simulated: the e-process declares the net in about four runs of five."""
    overlap = 0.7
    n = needed(net, spread(floor, net, overlap=overlap), evidence=20)
    both = overlap * floor
    weights = [floor + net - both, floor - both, 1 - 2 * floor - net + 2 * both]
    rng = random.Random(5)
    declared = 0
    for _ in range(200):
        drawn = rng.choices((4, -4, 0), weights, k=n)
        counts = {step: drawn.count(step) for step in (4, -4)}
        declared += log_wealth(counts, n) >= math.log(20)
    assert 0.70 <= declared / 200 <= 0.97


_DRAWS = st.sampled_from(
    [
        _answer("x"),
        _answer("y"),
        Draw(text="I cannot help with that request."),
        Draw(text="**Bold** prose of some length, which is an answer."),
        Draw(kind=Kind.TIMEOUT),
        Draw(text='{"other": 1}'),
    ]
)
_PAIRS = st.lists(
    st.builds(
        Pair.of,
        st.integers(0, 10**6).map(str),
        st.lists(_DRAWS, min_size=1, max_size=3).map(tuple),
        st.lists(_DRAWS, min_size=1, max_size=3).map(tuple),
        stratum=st.sampled_from(["", "s", "t"]),
        cluster=st.sampled_from(["u", "v"]),
    ),
    max_size=25,
    unique_by=lambda pair: pair.request,
)


@settings(max_examples=60, deadline=None)
@given(_PAIRS, st.integers(1, 4), st.booleans(), st.randoms(use_true_random=False))
def test_parts_merge_to_the_whole(
    pairs: list[Pair], parts: int, clustered: bool, rng: random.Random
) -> None:
    """Whatever the order and the parts, also through JSON: the same counts."""
    ladder = Ladder()
    whole = Tally(ladder, clustered=clustered)
    split = [Tally(ladder, clustered=clustered) for _ in range(parts)]
    for pair in pairs:
        whole.add(pair)
    for pair in rng.sample(pairs, len(pairs)):
        split[rng.randrange(parts)].add(pair)
    merged = Tally(ladder, clustered=clustered)
    for part in split:
        document = json.loads(json.dumps(part.document()))
        merged.merge(Tally.load(document, ladder))
    assert whole.document() == merged.document()
    assert whole.digest == merged.digest
    assert _report(whole) == _report(merged)


def test_bounded_tables_merge_to_the_whole() -> None:
    """More transitions than are kept: what is kept is complete, in any order."""
    ladder = Ladder()
    whole, parts = Tally(ladder), [Tally(ladder), Tally(ladder)]
    for i in range(4000):
        pair = Pair(
            request=str(i),
            a=Draw(text=f'{{"user_id": "a{i}"}}'),
            b=Draw(text=f'{{"user_id": "b{i}"}}'),
        )
        whole.add(pair)
        parts[i % 2].add(pair)
    parts[1].merge(parts[0])
    assert whole.document() == parts[1].document()
    assert whole.transitions.dropped
    assert 3000 == len(whole.transitions)


def test_tallies_of_other_ladders_do_not_add_up() -> None:
    """Counts that mean different things are refused, also from a file."""
    one, other = Tally(Ladder()), Tally(Ladder(output="text"))
    with pytest.raises(ConfigError, match="do not add up"):
        one.merge(other)
    with pytest.raises(ConfigError, match="is not of this one"):
        Tally.load(one.document(), Ladder(output="text"))
    with pytest.raises(ConfigError, match="no tally"):
        Tally.load({"content": True}, Ladder())


def test_without_content_nothing_of_an_answer_is_kept() -> None:
    """Metadata only: directions and declared choices, no text and no open value."""
    tally = Tally(Ladder(), content=False)
    secret = Pair(
        request="r",
        a=Draw(text='{"order_id": "hunter2"}'),
        b=Draw(text='{"order_id": "hunter3"}'),
        input="hunter4",
    )
    tally.add(secret)
    assert "hunter" not in json.dumps(tally.document())
    assert "value -> other value" == " -> ".join(next(iter(tally.transitions))[1:])


def test_texts_are_redacted_before_they_are_kept() -> None:
    """The hook sees every text of an example."""
    tally = Tally(Ladder(), redact=lambda text: text.replace("Oslo", "***"))
    a, b = Draw(text="Oslo is fine."), Draw(text="I cannot help with Oslo requests.")
    tally.add(Pair(request="r", a=a, b=b, input="Oslo?", a2=a))
    kept = json.dumps(tally.examples.document())
    assert "***" in kept
    assert "Oslo" not in kept
    ids = [Draw(text=f'{{"city_id": "{city}"}}') for city in ("Oslo", "Rome")]
    tally.add(Pair(request="s", a=ids[0], b=ids[1]))
    assert "Oslo" not in json.dumps(tally.document())
