"""Shadow runs in every backend: one start, an exact budget, counts that add up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from llmguard.store import (
    ShadowCount,
    ShadowPair,
    ShadowRun,
    ShadowTally,
    Store,
)
from llmguard.testing import VirtualClock

RUN = ShadowRun(
    id="s-1",
    env="prod",
    subject="triage",
    pin="p-2",
    origin="ledger",
    options="{}",
    started_at=1.0,
    actor="ann",
)


def _count(name: str, n: int, total: float = 0.0) -> ShadowCount:
    return ShadowCount(
        run="s-1",
        function="f",
        incumbent="p-1",
        stratum="",
        name=name,
        n=n,
        total=total,
    )


def _pair(key: str, rung: int, at: float) -> ShadowPair:
    return ShadowPair(
        id=key,
        run="s-1",
        function="f",
        incumbent="p-1",
        stratum="",
        at=at,
        rung=rung,
        direction="a -> b" if rung else "",
        content=False,
        body="{}",
    )


def test_a_run_starts_once_and_stops_once(store: Store, clock: VirtualClock) -> None:
    """Whoever comes second is told so; nothing is written twice."""
    assert store.shadow.start(RUN)
    assert not store.shadow.start(replace(RUN, actor="bob"))
    assert RUN == store.shadow.get("s-1")
    assert [RUN] == list(store.shadow.runs(env="prod", running=True))
    assert [] == list(store.shadow.runs(env="stage"))
    assert store.shadow.stop("s-1", reason="enough", actor="bob")
    assert not store.shadow.stop("s-1", reason="again", actor="ann")
    stopped = replace(
        RUN, state="stopped", reason="enough", actor="bob", stopped_at=clock.time()
    )
    assert [stopped] == list(store.shadow.runs())
    assert [] == list(store.shadow.runs(running=True))
    assert not stopped.running
    assert store.shadow.get("s-2") is None


def test_every_run_is_found_by_who_deletes(store: Store) -> None:
    """What is kept too long is kept by an old run as well as by a new one."""
    for number in range(105):
        store.shadow.start(replace(RUN, id=f"s-{number}", started_at=float(number)))
    assert 100 == len(store.shadow.runs(env="prod"))
    every = store.shadow.runs(env="prod", running=True, limit=None)
    assert 105 == len({run.id for run in every})
    assert "s-104" == every[0].id


def test_a_budget_of_calls_is_exact(store: Store) -> None:
    """What was granted never exceeds the limit; what is given back may be taken."""
    store.shadow.start(replace(RUN, calls_limit=10))
    assert (7, 3, 0) == tuple(store.shadow.reserve("s-1", n) for n in (7, 7, 7))
    assert -2 == store.shadow.reserve("s-1", -2)
    assert 2 == store.shadow.reserve("s-1", 7)
    assert -10 == store.shadow.reserve("s-1", -99)
    store.shadow.stop("s-1", reason="", actor="")
    assert 0 == store.shadow.reserve("s-1", 1)
    assert 0 == store.shadow.reserve("s-9", 1)


def test_a_budget_without_limit_grants_all_until_the_cost_is_reached(
    store: Store,
) -> None:
    """Costs are known after the calls only, so the last ones may exceed them."""
    store.shadow.start(replace(RUN, cost_limit=1.0))
    assert 99 == store.shadow.reserve("s-1", 99)
    store.shadow.add("s-1", cost=0.6)
    assert 1 == store.shadow.reserve("s-1", 1)
    store.shadow.add("s-1", cost=0.6)
    assert 0 == store.shadow.reserve("s-1", 1)
    run = store.shadow.get("s-1")
    assert run is not None
    assert (100, 1.2) == (run.calls, run.cost)


def test_processes_share_one_budget(open_again: Callable[[], Store]) -> None:
    """Many that ask at once get no more than there is."""
    stores = [open_again() for _ in range(3)]
    stores[0].shadow.start(replace(RUN, calls_limit=50))
    got: list[int] = []

    def take(store: Store) -> None:
        got.extend(store.shadow.reserve("s-1", 4) for _ in range(10))

    threads = [threading.Thread(target=take, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 50 == sum(got)


def test_counts_of_processes_add_up(open_again: Callable[[], Store]) -> None:
    """Increments merge by name; tallies replace a process's own only."""
    one, two = open_again(), open_again()
    tally = ShadowTally(
        run="s-1", function="f", incumbent="p-1", process="a:1", body="1", at=1.0
    )
    one.shadow.add(
        "s-1", counts=[_count("sampled", 2), _count("seconds", 1, 0.5)], tallies=[tally]
    )
    two.shadow.add(
        "s-1",
        counts=[_count("sampled", 3)],
        tallies=[replace(tally, process="b:2", body="2")],
    )
    one.shadow.add("s-1", tallies=[replace(tally, body="3", at=2.0)])
    assert [_count("sampled", 5), _count("seconds", 1, 0.5)] == list(
        two.shadow.counts("s-1")
    )
    assert ["3", "2"] == [each.body for each in two.shadow.tallies("s-1")]
    assert [] == list(two.shadow.counts("s-2"))


def test_pairs_are_bounded_and_those_that_part_stay(store: Store) -> None:
    """Of too many, pairs that do not part go first, then the oldest."""
    for number in range(6):
        store.shadow.add("s-1", pairs=[_pair(f"same-{number}", 0, number)], keep=4)
    store.shadow.add(
        "s-1", pairs=[_pair("act", 1, 0.0), _pair("field", 3, 9.0)], keep=4
    )
    assert ["act", "field", "same-5", "same-4"] == [
        each.id for each in store.shadow.pairs("s-1")
    ]
    store.shadow.add("s-1", pairs=[_pair("act", 1, 0.0)], keep=4)  # seen already
    many = [_pair(f"new-{number}", 3, 10.0 + number) for number in range(3)]
    store.shadow.add("s-1", pairs=many, keep=4)
    assert ["new-2", "new-1", "new-0", "field"] == [
        each.id for each in store.shadow.pairs("s-1", parted=True)
    ]
    assert ["new-1"] == [e.id for e in store.shadow.pairs("s-1", limit=1, offset=1)]
    assert 1 == store.shadow.purge("s-1", before=10.0)
    assert 3 == len(store.shadow.pairs("s-1"))


def test_tallies_of_gone_processes_fold_into_one(store: Store) -> None:
    """All of them or none: one that has changed meanwhile undoes it."""
    rows = [
        ShadowTally(
            run="s-1", function="f", incumbent="p-1", process=name, body=name, at=1.0
        )
        for name in "abc"
    ]
    store.shadow.add("s-1", tallies=rows)
    whole = replace(rows[0], process="folded", body="abc")
    changed = replace(rows[2], at=2.0)
    assert not store.shadow.fold_tallies([rows[0], rows[1], changed], whole)
    assert rows == list(store.shadow.tallies("s-1"))
    assert store.shadow.fold_tallies(rows[:2], whole)
    assert [rows[2], whole] == list(store.shadow.tallies("s-1"))
    assert not store.shadow.fold_tallies(rows[:2], whole)
