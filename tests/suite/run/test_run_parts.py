"""The parts of a run by themselves: order, pace, budget, prices, lines, repeats."""

from __future__ import annotations

import asyncio
import itertools
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmguard.errors import ConfigError
from llmguard.outcome import Kind, Usage, Violation
from llmguard.pins import Pin
from llmguard.suite import Finding, Price, Prices, Sample, read_prices
from llmguard.suite._budget import Budget, check_budget
from llmguard.suite._lines import Entry, entry_of, line_of, plain_value
from llmguard.suite._pace import Pace
from llmguard.suite._repeats import Repeats
from llmguard.suite._schedule import Schedule, order_digest
from llmguard.suite._tally import Pair
from llmguard.testing import VirtualClock, run_virtual

NAMES = [f"c{n}" for n in range(12)]


def sample(case: str = "c0", **changes: Any) -> Sample:
    """Return a sample that says something."""
    fields: dict[str, Any] = {
        "case": case,
        "arm": "candidate",
        "round": 1,
        "order": 0,
        "kind": Kind.OK,
        "text": "yes",
    }
    return Sample(**(fields | changes))


# Order


@given(st.integers(), st.integers(1, 4), st.booleans())
def test_every_case_is_asked_once_a_round(seed: int, cap: int, paired: bool) -> None:
    """Whatever the seed: each round is a permutation, and numbers are never reused."""
    schedule = Schedule(NAMES, seed=seed, cap=cap, paired=paired)
    orders: list[int] = []
    for turn, cases in schedule.rounds():
        assert sorted(NAMES) == sorted(cases)
        for dealt in schedule.deal(turn, [(case, True) for case in cases]):
            assert (1 + paired) == len(dealt.arms)
            orders += [order for _, order in dealt.arms]
    assert list(range(len(orders))) == orders


def test_the_order_hangs_on_the_seed_and_the_round_alone() -> None:
    """Leaving a case out moves no other."""
    first, second, other = (
        dict(Schedule(NAMES, seed=seed, cap=3).rounds()) for seed in (1, 1, 2)
    )
    assert first == second
    assert first != other
    assert first[1] != first[2]


def test_neither_version_is_always_asked_first() -> None:
    """Time of day must not fall on one of them."""
    schedule = Schedule(NAMES, seed=0, cap=1, paired=True)
    dealt = schedule.deal(1, [(case, True) for case in NAMES])
    assert {"candidate", "incumbent"} == {turn.arms[0][0] for turn in dealt}


def test_a_digest_stands_for_an_order() -> None:
    """Another order of the same calls has another digest."""
    calls = [("candidate", case, 1) for case in NAMES]
    assert order_digest(calls) == order_digest(iter(calls))
    assert order_digest(calls) != order_digest(reversed(calls))


# Pace


class LoopClock(VirtualClock):
    """The time of the running loop, which `run_virtual` lets jump."""

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def asleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def test_a_429_stops_everybody_and_halves_the_window() -> None:
    """Nobody begins before `Retry-After` is over; the window grows back slowly."""
    clock = LoopClock()
    pace, begun = Pace(8, clock=clock), []

    async def call(number: int) -> None:
        async with pace:
            ticket = pace.ticket()
            begun.append(clock.monotonic())
            if number == 0:
                await clock.asleep(0.5)
                pace.slow(ticket, 7.0)
            else:
                await clock.asleep(1.0)
                pace.good()

    async def main() -> None:
        start = clock.monotonic()
        await asyncio.gather(*(call(number) for number in range(20)))
        assert 8 == sum(at < start + 7.0 for at in begun)
        assert 20 == len(begun)

    run_virtual(main())
    assert 1 == pace.throttled
    assert 4.0 < pace.window < 8.0


def test_a_burst_of_429_counts_once() -> None:
    """Calls that were under way when the window was cut cut it no further."""
    pace = Pace(8, clock=VirtualClock())
    tickets = [pace.ticket() for _ in range(8)]
    for ticket in tickets:
        pace.slow(ticket, 1.0)
    assert 4.0 == pace.window
    pace.slow(pace.ticket(), 1.0)
    assert 2.0 == pace.window


@pytest.mark.parametrize("limit", [1, 3])
def test_no_more_than_the_limit_are_under_way(limit: int) -> None:
    """Also where some callers are cancelled while they wait."""
    clock = LoopClock()
    pace, active, most = Pace(limit, clock=clock), 0, 0

    async def call() -> None:
        nonlocal active, most
        async with pace:
            active += 1
            most = max(most, active)
            await clock.asleep(1.0)
            active -= 1

    async def main() -> None:
        tasks = [asyncio.create_task(call()) for _ in range(10)]
        await asyncio.sleep(0)
        for task in tasks[4:6]:
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert 2 == sum(isinstance(one, asyncio.CancelledError) for one in done)

    run_virtual(main())
    assert limit == most


# Prices and budget

PIN = Pin(route="triage", provider="openai", model="new-1")
PRICES = Prices(models={"new-1": Price(input=2.0, output=10.0, call=0.001)})


def test_a_call_costs_its_tokens() -> None:
    """Dollars per million tokens, and per call."""
    usage = Usage(input_tokens=1000, output_tokens=500)
    assert pytest.approx(0.002 + 0.005 + 0.001) == PRICES.cost(PIN, usage)


def test_what_is_not_known_is_not_guessed() -> None:
    """Neither a missing price nor missing tokens count as zero."""
    assert Prices().cost(PIN, Usage(input_tokens=1, output_tokens=1)) is None
    assert PRICES.cost(PIN, None) is None
    assert PRICES.cost(PIN, Usage(input_tokens=5)) is None


def test_a_recording_costs_nothing() -> None:
    """Nor does a model on this machine."""
    pin = Pin(route="triage", provider="replay", model="x.jsonl")
    assert 0.0 == Prices().cost(pin, None)


def test_one_provider_may_be_dearer() -> None:
    """`provider:model` wins over the model alone."""
    prices = Prices(models={"new-1": Price(call=1.0), "openai:new-1": Price(call=2.0)})
    assert 2.0 == prices.cost(PIN, None)


def test_prices_are_read_from_toml(tmp_path: Path) -> None:
    """One table per model."""
    path = tmp_path / "prices.toml"
    path.write_text('["new-1"]\ninput = 2.0\noutput = 10\ncall = 0.001\n')
    assert PRICES.models == read_prices(path).models


@pytest.mark.parametrize(
    "text",
    ["[m]\ninput = -1", "[m]\nin = 2", "[m]\n", "m = 3", "[m]\ninput = true", "["],
)
def test_a_price_that_cannot_be_is_refused(text: str, tmp_path: Path) -> None:
    """The message shows the form."""
    path = tmp_path / "prices.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"`input`|`input = 2\.5`"):
        read_prices(path)


def test_a_limit_in_dollars_needs_prices() -> None:
    """Without them it could not be kept."""
    check_budget(PRICES, 5.0, PIN)
    check_budget(Prices(), None, PIN)
    with pytest.raises(ConfigError, match=r'\["new-1"\].*--prices FILE'):
        check_budget(Prices(), 5.0, PIN)
    with pytest.raises(ConfigError, match="above 0"):
        check_budget(PRICES, 0.0, PIN)


@given(
    st.lists(st.floats(0, 2), min_size=1, max_size=40),
    st.floats(0.1, 10),
    st.randoms(use_true_random=False),
)
@settings(max_examples=60)
def test_a_budget_is_kept_up_to_one_dearer_call(
    costs: list[float], limit: float, rng: random.Random
) -> None:
    """It is exceeded by no more than calls dearer than any before them."""
    budget, under_way = Budget(max_cost=limit), list[float]()
    for cost in costs:
        if not budget.allows():
            break
        budget.begin()
        under_way.append(cost)
        if rng.random() < 0.7:
            budget.end(sample(cost=under_way.pop()))
    for cost in under_way:
        budget.end(sample(cost=cost))
    assert budget.spent <= limit + max(costs) * (1 + len(under_way))


def test_calls_are_limited_before_they_begin() -> None:
    """What is under way counts."""
    budget = Budget(max_calls=3)
    for _ in range(3):
        assert budget.allows()
        budget.begin()
    assert not budget.allows()


def test_an_unknown_cost_makes_the_sum_unknown() -> None:
    """A failed call has no known cost, and takes none away."""
    budget = Budget()
    budget.end(sample(cost=1.0))
    budget.end(sample(kind=Kind.TRANSPORT, cost=None))
    assert 1.0 == budget.known_cost
    budget.end(sample(cost=None))
    assert budget.known_cost is None


# Lines

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
SAMPLES = st.builds(
    Sample,
    case=st.text(min_size=1),
    arm=st.sampled_from(["candidate", "incumbent"]),
    round=st.integers(1, 99),
    order=st.integers(0, 9999),
    kind=st.sampled_from(list(Kind)),
    value=JSON,
    has_value=st.booleans(),
    text=st.none() | st.text(),
    refusal=st.none() | st.text(),
    violations=st.lists(
        st.builds(Violation, path=st.text(), message=st.text(), check=st.text())
    ).map(tuple),
    tool_calls=st.lists(
        st.fixed_dictionaries({"name": st.text(), "arguments": st.text()})
    ).map(tuple),
    latency=st.floats(0, 1e6),
    usage=st.none()
    | st.builds(
        Usage,
        input_tokens=st.none() | st.integers(0),
        output_tokens=st.none() | st.integers(0),
    ),
    cost=st.none() | st.floats(0, 10),
    served_model=st.none() | st.text(),
    attempts=st.integers(1, 9),
)


@given(
    st.builds(
        Entry,
        sample=SAMPLES,
        recorded=st.booleans(),
        findings=st.dictionaries(
            st.text(),
            st.none()
            | st.builds(
                Finding,
                failed=st.booleans(),
                detail=st.text(),
                score=st.none() | st.floats(-1, 1),
            ),
        ),
    )
)
def test_a_line_is_one_line_and_reads_back(entry: Entry) -> None:
    """Whatever a model says: quotes, newlines, other scripts."""
    import json

    line = line_of(entry)
    assert "\n" not in line
    assert entry == entry_of(json.loads(line.encode()))


def test_answers_become_plain_data() -> None:
    """Journals hold JSON alone, whatever the contract's type."""
    import datetime as dt

    from pydantic import BaseModel

    class Answer(BaseModel):
        day: dt.date

    day = dt.date(2026, 1, 2)
    assert {"day": "2026-01-02"} == plain_value(Answer(day=day))
    assert ["2026-01-02"] == plain_value([day])
    assert {"a": [1, None]} == plain_value({"a": [1, None]})
    assert isinstance(plain_value(object()), str)


# Repeats


def pairs(*texts: str) -> list[Pair]:
    """Return a case's answers, one per round."""
    return [
        Pair("c0", turn, Entry(sample=sample(text=text, round=turn)))
        for turn, text in enumerate(texts, 1)
    ]


def test_five_equal_answers_are_noticed() -> None:
    """Not four, and not five after another one."""
    for texts, found in [
        (("a",) * 4, ()),
        (("a",) * 5, ("c0",)),
        (("b", *"aaaaa"), ()),
        ((*"aaaaa", "b"), ()),
    ]:
        repeats, seen = Repeats(), pairs(*texts)
        for turn in range(1, len(seen) + 1):
            repeats.read(seen[:turn], turn)
        assert found == repeats.same


def test_a_failed_call_is_no_answer() -> None:
    """Neither equal nor another one."""
    seen = pairs(*"aaaaa")
    lost = Pair("c0", 9, Entry(sample=sample(kind=Kind.TRANSPORT, text=None)))
    repeats = Repeats()
    repeats.read([*seen[:2], lost, *seen[2:]], 6)
    assert ("c0",) == repeats.same
    assert ("c0",) == repeats.found_in(6)


def test_orders_of_arrival_do_not_matter() -> None:
    """Every interleaving of two cases' rounds finds the same."""
    base = [("c0", turn) for turn in range(1, 6)] + [
        ("c1", turn) for turn in range(1, 6)
    ]
    for picked in itertools.islice(itertools.permutations(base), 0, 3000, 300):
        repeats = Repeats()
        seen = [
            Pair(case, turn, Entry(sample=sample(case, round=turn)))
            for case, turn in picked
        ]
        repeats.read(seen, 5)
        assert {"c0", "c1"} == set(repeats.same)
