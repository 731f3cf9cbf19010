"""PROVEN means: answered well within a day. Shares carry their exact intervals."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from llmguard import (
    INJECTED,
    Model,
    contract,
    fallback_chain,
    on_pin,
    pinned,
    static,
)
from llmguard.cli import cli
from llmguard.contract import Contract
from llmguard.errors import Deferred
from llmguard.guard import fitness, guard_of
from llmguard.guard._drill import Share, drill, drilled_steps, plain, spread
from llmguard.guard._fitness import fitness_of, split_source
from llmguard.guard._lone import drill_target
from llmguard.promotion.overview import gather, tier_lines
from llmguard.store import open_store
from llmguard.telemetry.activity import DRILL, EXERCISE
from llmguard.testing import FakeModel, HttpError

NOW = 1_000_000.0
Row = dict[str, object]


def _row(tier: str, kind: str, n: int = 1, *, ago: float = 60.0) -> Row:
    return {
        "process": "test",
        "function": "m.f",
        "tier": tier,
        "pin": "p-1",
        "kind": kind,
        "n": n,
        "last_at": NOW - ago,
        "total_elapsed": 0.5 * n,
    }


def test_any_good_answer_of_the_last_day_proves() -> None:
    """Live ones, exercises and drills count together; the last one is named."""
    rows = [
        _row("low", "ok", 2, ago=500),
        _row(f"low{EXERCISE}", "ok", 97, ago=50),
        _row(f"low{DRILL}", "timeout", 1, ago=5),
        _row(f"low{DRILL}", "skipped", 9, ago=5),
        _row("", "ok", 2),
    ]
    (found,) = fitness_of(rows, now=NOW)
    assert ("low", True, "exercise", NOW - 50) == (
        *(found.tier, found.proven, found.source, found.last_proof),
    )
    assert (99, 1) == (found.clean, found.failed)


def test_a_day_without_a_good_answer_proves_nothing() -> None:
    """Failures do not either, and skips are no tries."""
    old, failing, skipped = fitness_of(
        [
            _row("a", "ok", ago=86_401),
            _row("b", "timeout"),
            _row("c", "skipped"),
        ],
        now=NOW,
    )
    assert [False] * 3 == [old.proven, failing.proven, skipped.proven]
    assert (1.0, None) == (failing.bound, skipped.bound)


@given(st.integers(30, 3000))
def test_clean_tries_bound_the_rate_by_the_rule_of_three(n: int) -> None:
    """No failure among n tries: at most 3 / n fail, at 95 %, and not much less."""
    (found,) = fitness_of([_row("low", "ok", n)], now=NOW)
    assert found.bound is not None
    assert 2.8 / n < found.bound < 3 / n


def test_names_are_split_where_they_were_joined() -> None:
    """A tier's own parentheses are its own."""
    assert ("low (old)", "drill") == split_source(f"low (old){DRILL}")
    assert ("low (old)", "live") == split_source("low (old)")


def test_fitness_reads_the_configured_store(store_path: Path) -> None:
    """Or the one it is given, at the time it is given."""
    assert [] == fitness()
    open_store().add_activity([_row("low", "ok")])
    assert store_path.exists()
    (found,) = fitness(store=open_store(), now=NOW)
    assert found.proven
    assert [] == fitness(now=NOW + 2 * 86_400)


def test_a_model_without_a_key_is_to_do(store_path: Path) -> None:
    """Also while too few calls were made for its breaker to open; not once it works."""
    store = open_store(str(store_path))
    store.add_activity([_row("low", "auth", 2)])
    (line,) = gather(store, window=3600, now=NOW).todo
    assert "tier `low` of m.f" in line
    assert "`llmguard pin show p-1`" in line
    store.add_activity([_row("low", "ok")])
    assert [] == gather(store, window=3600, now=NOW).todo


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_intervals_hold_the_share_and_mirror(pair: tuple[int, int]) -> None:
    """Clopper and Pearson's interval of k of n is that of n - k, turned round."""
    good, n = pair
    low, high = Share(good, n).interval
    assert 0 <= low <= good / n <= high <= 1
    mirrored = Share(n - good, n).interval
    assert math.isclose(low, 1 - mirrored[1], abs_tol=1e-9)
    assert math.isclose(high, 1 - mirrored[0], abs_tol=1e-9)


def test_the_interval_is_the_published_one() -> None:
    """Clopper and Pearson for 10 of 20, and for nothing at all."""
    low, high = Share(10, 20).interval
    assert (0.272, 0.728) == (round(low, 3), round(high, 3))
    assert (0.0, 1.0) == Share(0, 0).interval
    assert Share(0, 0).rate is None


@given(st.lists(st.integers()), st.integers(1, 50))
def test_a_spread_is_a_part_in_order(items: list[int], n: int) -> None:
    """It has the asked length where it can, and begins at the beginning."""
    found = spread(items, n)
    assert min(n, len(items)) == len(found)
    assert items[:1] == found[:1]
    places = iter(items)
    assert all(item in places for item in found)


def _no_branch(text: str) -> str:
    raise Deferred("t-1", queue="q") if text == "defer" else ValueError(text)


@contract(str)
@pinned(FakeModel([HttpError(500), "good"]).pin("top"))
def pinned_alone(text: str, *, model: Model = INJECTED) -> str:
    """Fail once, then answer."""
    return model.complete(text)


def test_drills_retry_as_the_tier_would_and_open_no_breaker() -> None:
    """Ten bad answers in a row are ten tries, not five and a refusal."""
    guard = guard_of(pinned_alone)
    (found,) = drill(guard, [{"text": "a"}], guard.steps)
    assert (["transport", "ok"], 1) == (
        [str(a.kind) for a, _ in found.attempts()],
        found.valid.good,
    )
    dead = FakeModel(HttpError(401))

    @fallback_chain(on_pin(dead.pin("dead")), _no_branch, static("none"))
    @contract(str)
    @pinned(FakeModel("top").pin("top"))
    def talk(text: str, *, model: Model = INJECTED) -> str:
        return model.complete(text)

    guard = guard_of(talk)
    steps = drilled_steps(guard, reference=False)
    dead_one, raising = drill(guard, [{"text": "defer"}, *[{"text": "a"}] * 9], steps)
    assert {"auth": 10} == dead_one.kinds
    assert {"error": 9, "skipped": 1} == raising.kinds
    assert (9, 0.0) == (raising.valid.n, raising.valid.rate)
    assert (10, None) == (len(dead.calls), dead_one.agrees)


def test_drills_run_streams_and_functions_without_a_contract() -> None:
    """Agreement is on the whole; answers that are no objects have no fields."""
    top, low = FakeModel("same"), FakeModel(["same", "else"])

    @fallback_chain(on_pin(low.pin("low")), static("none"))
    @contract(str)
    @pinned(top.pin("top"))
    async def stream(text: str, *, model: Model = INJECTED) -> AsyncIterator[str]:
        async for chunk in model.astream(text):
            yield chunk

    @fallback_chain(on_pin(FakeModel("x").pin("low")), static("none"))
    @pinned(top.pin("top"))
    def bare(text: str, *, model: Model = INJECTED) -> Iterator[str]:
        yield from model.stream(text)

    guard = guard_of(stream)
    told: list[tuple[str, int, int]] = []

    def tell(tier: str, done: int, of: int) -> None:
        told.append((tier, done, of))

    _, found = drill(
        guard,
        [{"text": "a"}] * 2,
        drilled_steps(guard),
        progress=tell,
    )
    assert [("top", 1, 2), ("top", 2, 2), ("low", 1, 2), ("low", 2, 2)] == told
    assert found.agrees is not None
    assert (1, 2, {}) == (found.agrees.good, found.agrees.n, found.fields)
    guard = guard_of(bare)
    _, found = drill(guard, [{"text": "a"}], drilled_steps(guard))
    assert found.agrees is not None
    assert (0, 1) == (found.agrees.good, found.agrees.n)


def test_answers_that_are_no_json_are_compared_as_they_are() -> None:
    """A value that its contract cannot write is kept."""
    odd = object()
    assert odd is plain(Contract(str), odd)


def test_only_what_can_be_imported_can_be_drilled() -> None:
    """Functions in functions have no name to call them by."""

    @fallback_chain(static("none"))
    @contract(str)
    def inner(text: str) -> str:
        return text

    assert "" == drill_target(guard_of(inner))
    assert drill_target(guard_of(pinned_alone)).endswith(":pinned_alone")


def _process(*, alive: bool, proof: str) -> dict[str, object]:
    place = {"tier": "low", "pin": "p-1", "proof": proof, "drill": "m:f"}
    return {"alive": alive, "info": {"functions": {"m.f": [place]}}}


@pytest.mark.parametrize(
    ("alive", "proof", "expected"),
    [(True, "drill", [False]), (False, "drill", []), (True, "", [])],
)
def test_tiers_that_nobody_tried_are_listed_while_a_process_relies_on_them(
    alive: bool, proof: str, expected: list[bool]
) -> None:
    """People and constants are not; nor the tiers of processes that are gone."""
    lines = tier_lines([], [], [_process(alive=alive, proof=proof)], now=NOW)
    assert expected == [line.proven for line in lines]


def test_people_are_neither_proven_nor_unproven() -> None:
    """A ticket is no answer, and no fault."""
    rows = [_row("low", "skipped")]
    (line,) = tier_lines(rows, rows, [_process(alive=True, proof="")], now=NOW)
    assert (None, {"skipped": 1}) == (line.proven, line.failed)


def test_status_tells_old_heartbeats_and_slow_tiers(store_path: Path) -> None:
    """Rows of a version that sent no `proof` are shown all the same."""
    info: dict[str, object] = {"functions": {"m.f": [{"tier": "low", "pin": ""}]}}
    store = open_store()
    store.beat("host:1", info)
    shown = CliRunner().invoke(cli, ["status", "--json", "--store", str(store_path)])
    (line,) = json.loads(shown.output)["tiers"]
    assert ("low", False, "") == (line["tier"], line["proven"], line["drill"])
