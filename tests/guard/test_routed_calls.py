"""Guarded calls go where the routing table says: canary, arm, slice, or nowhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from llmguard import (
    INJECTED,
    Kind,
    Model,
    Outcome,
    call_context,
    capture,
    config,
    contract,
    fallback_chain,
    on_pin,
    pinned,
    pins,
    static,
)
from llmguard.guard import Runtime
from llmguard.guard._guard import guard_of
from llmguard.pins.routing import Routed, bucket, canary_salt, unit_hash
from llmguard.store import Stage

from .routed import Project

Ask = Callable[[str], str]


def _ask() -> Ask:
    @fallback_chain(on_pin("local"), static("nobody"), attempts=1)
    @contract(str)
    @pinned("triage")
    def ask(text: str, *, model: Model = INJECTED) -> str:
        return model.complete(text).text or ""

    return ask


def _outcome(ask: Ask, key: str = "") -> Outcome:
    with capture() as outcomes, call_context(key=key):
        ask("hello")
    return outcomes[-1]


def _key(project: Project, *, inside: bool, weight: int = 1_000) -> str:
    """Return a key inside or outside of a canary's share of v2."""
    salt = canary_salt(project.id("v2"))
    keys = (f"user-{number}" for number in range(10_000))
    return next(k for k in keys if (bucket("triage", salt, k) < weight) is inside)


def test_without_entries_the_lock_decides(project: Project, routed: Routed) -> None:
    """An empty table changes nothing, whatever its revision."""
    ask = _ask()
    assert "v1" == ask("hello")
    routed.table = project.table(rev=3)
    outcome = _outcome(ask, "user-1")
    assert (project.id("v1"), 3, "", "", "") == (
        outcome.pin,
        outcome.revision,
        outcome.experiment,
        outcome.arm,
        outcome.unit,
    )


def test_the_ledger_moves_every_call(project: Project, routed: Routed) -> None:
    """The next call after a new table goes by it; no call goes by two."""
    ask = _ask()
    routed.table = project.table(project.state("v2"), rev=8)
    assert "v2" == ask("hello")
    routed.table = project.table(project.state("v1"), rev=9)
    outcome = _outcome(ask)
    assert (project.id("v1"), 9) == (outcome.pin, outcome.revision)


def test_one_table_for_the_whole_chain(
    project: Project, routed: Routed, runtime: Runtime
) -> None:
    """A table that comes while the first tier runs is not for this call."""
    local_2 = project.models["v3"].pin("local")
    project.write(project.lock.with_pin(local_2))
    old = project.table(project.state("v1"), project.state("local", route="local"))
    state = project.state(None, route="local")
    moved = project.table(
        project.state("v2"),
        type(state)(env="prod", route="local", rev=9, active=local_2.id),
        rev=9,
    )

    @fallback_chain(on_pin("local"), static("nobody"), attempts=1)
    @contract(str)
    @pinned("triage")
    def ask(text: str, *, model: Model = INJECTED) -> str:
        if model.id != "local":
            routed.table = moved
            raise RuntimeError(text)
        return model.id

    routed.table = old
    with capture() as outcomes:
        assert "local" == ask("hello")
    assert (7, project.id("local")) == (outcomes[-1].revision, outcomes[-1].pin)
    assert runtime.routing.table is moved


def test_a_canary_takes_its_share_and_keeps_it(
    project: Project, routed: Routed
) -> None:
    """The same key meets the same version; the outcome tells which, and hides whom."""
    ask = _ask()
    routed.table = project.table(project.state("v1", canary=("v2", 1_000)))
    inside, outside = _key(project, inside=True), _key(project, inside=False)
    about = f"canary:{project.id('v2')}"
    for _ in range(3):
        met, rest = _outcome(ask, inside), _outcome(ask, outside)
        assert ("canary", about, unit_hash(inside)) == (
            met.arm,
            met.experiment,
            met.unit,
        )
        assert ("active", about) == (rest.arm, rest.experiment)
        assert [project.id("v2"), project.id("v1")] == [met.pin, rest.pin]
    routed.table = project.table(project.state("v1", canary=("v2", 2_000)), rev=8)
    assert "canary" == _outcome(ask, inside).arm


def test_labels_name_the_unit(project: Project, routed: Routed) -> None:
    """`user` before `tenant`; a key before both; a route may name another label."""
    ask = _ask()
    routed.table = project.table(project.state("v1", canary=("v2", 1_000)))

    def unit(**labels: str) -> str:
        with call_context(**labels):
            return _outcome(ask).unit

    assert unit_hash("u") == unit(user="u", tenant="t")
    assert unit_hash("t") == unit(tenant="t")
    assert "" == unit(account="a")
    with call_context(user="u"):
        assert unit_hash("k") == _outcome(ask, "k").unit
    Path("pyproject.toml").write_text("[tool.llmguard.routes.triage]\nunit='account'")
    config.reset()
    routed.table = project.table(project.state("v1", canary=("v2", 1_000)))
    assert unit_hash("a") == unit(account="a", user="u")


def test_a_call_without_a_unit_is_its_own(project: Project, routed: Routed) -> None:
    """Calls nobody put a name to are shared one by one."""
    ask = _ask()
    routed.table = project.table(project.state("v1", canary=("v2", 5_000)))
    arms = Counter(_outcome(ask).arm for _ in range(60))
    assert {"canary", "active"} == set(arms)


def test_a_failing_canary_falls_down_the_chain(
    project: Project, routed: Routed
) -> None:
    """It is a version as any other: the next tier answers its calls."""
    routed.table = project.table(project.state("v1", canary=("v2", 10_000)))

    @fallback_chain(on_pin("local"), static("nobody"), attempts=1)
    @contract(str)
    @pinned("triage")
    def fails(text: str, *, model: Model = INJECTED) -> str:
        if model.id == "v2":
            raise RuntimeError(text)
        return model.id

    outcome = _outcome(fails)
    assert (project.id("local"), "canary") == (outcome.pin, outcome.arm)


def test_an_open_breaker_gives_the_calls_back(
    project: Project, routed: Routed, runtime: Runtime
) -> None:
    """The active version answers while the canary's breaker admits nobody."""
    ask = _ask()
    name = guard_of(ask).name
    routed.table = project.table(project.state("v1", canary=("v2", 10_000)))
    runtime.breakers.get(name, project.id("v2")).quarantine("it was rude")
    outcome = _outcome(ask)
    assert (project.id("v1"), "canary", "triage") == (
        outcome.pin,
        outcome.arm,
        outcome.tier,
    )
    assert [Kind.OPEN, Kind.OK] == [attempt.kind for attempt in outcome.attempts]
    runtime.breakers.get(name, project.id("v1")).quarantine("so was this one")
    assert "local" == _outcome(ask).tier


def test_arms_share_the_traffic(project: Project, routed: Routed) -> None:
    """Each arm's pin answers its units; what is left over is active."""
    ask = _ask()
    arms = project.experiment(("control", 4_000, ""), ("short", 4_000, "v3"))
    routed.table = project.table(experiments={"triage": arms})
    seen = {
        (o.experiment, o.arm, o.pin)
        for o in (_outcome(ask, f"user-{n}") for n in range(60))
    }
    assert {
        ("tone", "control", project.id("v1")),
        ("tone", "short", project.id("v3")),
        ("", "", project.id("v1")),
    } == seen


def test_a_quarantined_arm_is_never_served(project: Project, routed: Routed) -> None:
    """Its units go to the active version and leave the comparison."""
    ask = _ask()
    arms = project.experiment(("control", 5_000, ""), ("short", 5_000, "v3"))
    state = project.state("v1", v3=Stage.QUARANTINED)
    routed.table = project.table(state, experiments={"triage": arms})
    seen = {(o.arm, o.pin) for o in (_outcome(ask, f"user-{n}") for n in range(40))}
    assert {("control", project.id("v1")), ("", project.id("v1"))} == seen


def test_what_the_lock_does_not_allow_is_not_served(
    project: Project, routed: Routed
) -> None:
    """The last good version stays, and the problem is told."""
    ask = _ask()
    source = guard_of(ask).steps[0].pins
    assert source is not None
    routed.table = project.table(project.state("v2"))
    assert "v2" == ask("hello")
    stranger = project.models["v3"].pin("triage", owner="x", params={"seed": 1})
    state = project.state("v2", canary=("v3", 10_000))
    routed.table = project.table(
        type(state)(env="prod", route="triage", active=stranger.id, canary=None)
    )
    assert "v2" == ask("hello")
    assert "does not allow: deploy the lock that has it" in source.problems[0]
    routed.table = project.table(
        type(state)(
            env="prod",
            route="triage",
            active=stranger.id,
            stages={project.id("v2"): Stage.QUARANTINED},
        )
    )
    assert "v1" == ask("hello")


def test_a_quarantined_version_is_not_served_for_want_of_another(
    project: Project, routed: Routed
) -> None:
    """The lock's own pin may be the quarantined one: then the chain goes on."""
    ask = _ask()
    routed.table = project.table(project.state(None, v1=Stage.QUARANTINED))
    outcome = _outcome(ask)
    assert [Kind.SKIPPED, Kind.OK] == [attempt.kind for attempt in outcome.attempts]
    assert "is quarantined and no other one is active" in outcome.attempts[0].detail
    assert "local" == outcome.tier
    assert 0 == len(project.models["v1"].calls)


def test_a_closed_table_fails_to_the_next_tier(
    project: Project, routed: Routed
) -> None:
    """Routes with entries wait for the store; those of the lock alone go on."""
    ask = _ask()
    routed.table = project.table(
        project.state("v2"),
        read_at=1.0,
        stale=True,
        closed=True,
        problem="disk on fire",
    )
    outcome = _outcome(ask)
    assert ("local", Kind.SKIPPED) == (outcome.tier, outcome.attempts[0].kind)
    assert "max_stale" in outcome.attempts[0].detail
    assert "disk on fire" in outcome.attempts[0].detail


def test_a_closed_table_that_knows_nothing_serves_nothing(
    project: Project, routed: Routed
) -> None:
    """Nobody knows what is quarantined: where `max_stale` says so, models wait."""
    ask = _ask()
    routed.table = project.table(stale=True, closed=True, problem="disk on fire")
    assert "nobody" == ask("hello")
    assert [0, 0] == [len(project.models[name].calls) for name in ("v1", "local")]


def test_a_canary_of_another_lock_waits(project: Project, routed: Routed) -> None:
    """Its calls go to the active version until the lock that has it is deployed."""
    ask = _ask()
    project.write(project.lock.without(project.id("v2")))
    pins.forget()
    routed.table = project.table(project.state("v1", canary=("v2", 10_000)))
    assert "v1" == ask("hello")
    source = guard_of(ask).steps[0].pins
    assert source is not None
    assert project.id("v2") in source.problems[0]


def test_a_lost_lock_keeps_the_last_good_plan(
    project: Project, routed: Routed, runtime: Runtime
) -> None:
    """Not even a new table unpins: it is planned with the lock that was good."""
    ask = _ask()
    assert "v1" == ask("hello")
    source = guard_of(ask).steps[0].pins
    assert source is not None
    plan = source.plan(runtime.clock.monotonic() + 5, routed.table)
    project.write(project.lock.without(project.id("local")))
    local = guard_of(ask).steps[1].pins
    assert local is not None
    kept = local.plan(runtime.clock.monotonic() + 10, routed.table)
    assert project.id("local") == kept.active.pin.id
    assert "unknown route 'local'" in local.problems[0]
    assert plan is source.plan(runtime.clock.monotonic() + 5.5, routed.table)
    moved = project.table(project.state("v2"))
    assert project.id("v2") == source.plan(0.0, moved).active.pin.id
