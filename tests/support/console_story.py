"""The story that `console_scene` is told through: two upgrades, one outage."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

from console_scene import DAY, EPOCH, HOUR, SCHEMA, Scene

from llmguard import (
    INJECTED,
    Model,
    config,
    contract,
    fallback_chain,
    on_pin,
    pinned,
    pins,
    slo,
    static,
)
from llmguard.errors import LLMGuardWarning
from llmguard.pins import Pin
from llmguard.promotion import rollback
from llmguard.shadow.live import (
    ShadowOptions,
    report_of,
    start_shadow,
    stop_shadow,
)
from llmguard.shadow.live._exchange import exchange
from llmguard.store import Action, BreakerRow, NewEntry
from llmguard.telemetry import (
    add_answer_hook,
    add_hook,
    remove_answer_hook,
    remove_hook,
)
from llmguard.telemetry.objectives import declared
from llmguard.testing import isolated

__all__ = ["scene"]


@contextmanager
def scene(
    folder: Path, url: str, *, days: int = 3, calls: int = 6, baseline: bool = False
) -> Iterator[Scene]:
    """Tell the story in a folder, with a store at `url`, and give what came of it.

    Args:
        folder: Becomes the working directory meanwhile.
        url: Path or URL of an empty store.
        days: How many days it lasts, 3 at least.
        calls: Calls an hour.
        baseline: Freeze how the last version answers: takes seconds, and 200 answers.
    """
    before, env = Path.cwd(), dict(os.environ)
    os.chdir(folder)
    for name in ("LLMGUARD_LOCK", "LLMGUARD_ENV"):
        os.environ.pop(name, None)
    os.environ["LLMGUARD_STORE"] = url
    config.reset()
    pins.forget()
    made = Scene(folder, url, days=days)
    add_hook(made.activity)
    add_hook(made.tally)
    add_hook(made.recent)
    add_answer_hook(made.recent.answered)
    add_answer_hook(made.hear)
    try:
        with isolated(clock=made.clock, seed=3) as runtime, catch_warnings():
            simplefilter("ignore", LLMGuardWarning)  # a shutdown, which is meant
            runtime.watch, made.runtime = made.shadows.watch, runtime
            _tell(made, calls, baseline=baseline)
        yield made
    finally:
        for hook in (made.activity, made.tally, made.recent):
            remove_hook(hook)
        remove_answer_hook(made.recent.answered)
        remove_answer_hook(made.hear)
        made.shadows.close()
        made.store.close()
        os.chdir(before)
        os.environ.clear()
        os.environ.update(env)
        config.reset()
        pins.forget()


def _function(made: Scene) -> Any:
    def triage(ticket: str, *, model: Model = INJECTED) -> Any:
        return model.complete(ticket)

    triage.__module__, triage.__qualname__ = "app.llm", "triage"
    owed = [
        slo.schema_valid(0.97, owner="support desk"),
        slo.degraded(0.05),
        slo.answered(0.999),
    ]
    last = static({"category": "account", "needs_human": True})
    guarded: Any = pinned("triage")(triage)
    guarded = contract(SCHEMA, slos=owed)(guarded)
    guarded = fallback_chain(on_pin("triage-local"), last)(guarded)
    made.function = guarded.__llmguard__.name
    return guarded


def _tell(made: Scene, calls: int, *, baseline: bool) -> None:
    """Tell what happens, hour by hour."""
    triage = _function(made)
    made.store.counts.put_objectives(
        "prod",
        {
            (function, one.name): json.dumps(one.document())
            for function, owed in declared().items()
            if function == made.function
            for one in owed
        },
        at=made.now,
    )
    made.move(made.old, "active", reason="the first version")
    hours, shadow = made.days * 24, ""
    for hour in range(hours):
        made.outage = hours - 30 <= hour < hours - 26
        if hour == 6:
            shadow = _start(made, made.new)
        if hour == hours // 3:
            _found(made, shadow)
            made.suite(triage, made.new)
            made.move(made.new, "canary", force="too few requests to decide")
        if hour == hours // 3 + 6:
            _promoted(made)
        if hour == hours - 18:
            made.suite(triage, made.bad)
            shadow = _start(made, made.bad)
        if hour == hours - 10:
            _found(made, shadow)
            made.move(made.bad, "canary", weight=3_000, force="better on the benchmark")
        if hour == hours - 6:
            _wrong(made)
        made.call(triage, calls)
        made.clock.advance((hour + 1) * HOUR + EPOCH - made.days * DAY - made.now)
        made.flush()
    _end(made, baseline=baseline)


def _start(made: Scene, pin: Pin) -> str:
    found = start_shadow(
        made.store,
        "triage",
        pin.id,
        ShadowOptions(share=1, double=0.3, by=("intent",), content=True, hours=400),
        actor="ann@example.com",
        env="prod",
        clock=made.clock,
    )
    exchange(made.shadows, made.store)
    made.runs.append(found.id)
    return found.id


def _found(made: Scene, shadow: str) -> None:
    """Keep what a shadow found, and end it."""
    made.shadows.join()
    exchange(made.shadows, made.store)
    found = made.store.shadow.get(shadow)
    assert found is not None
    report_of(made.store, found, now=made.now).stored(made.store)
    stop_shadow(made.store, "triage", actor="ann@example.com", env="prod")
    exchange(made.shadows, made.store)


def _promoted(made: Scene) -> None:
    """Two people have signed it: what the gates would write, without their keys."""
    state = made.store.ledger.route_state("prod", "triage")
    signed = [
        {
            "approval": {"approver": f"{name}@example.com", "at": made.now - ago},
            "signature": "-----BEGIN SSH SIGNATURE-----",
        }
        for name, ago in (("carol", 900.0), ("dan", 300.0))
    ]
    made.store.ledger.append(
        NewEntry(
            env="prod",
            route="triage",
            pin=made.new.id,
            action=Action.PROMOTE,
            base_rev=state.rev,
            actor="bob@example.com",
            reason="the canary is fine",
            evidence=tuple(row.digest for row in made.store.list_evidence()),
            approvals=tuple(signed),
        )
    )


def _wrong(made: Scene) -> None:
    """The canary is seen to be wrong, and goes."""
    shifts = [{"name": "needs_human=true", "before": 0.31, "now": 0.1}]
    made.event(
        "alarm.drift",
        made.bad,
        function=made.function,
        family="patterns",
        statistic=9.1,
        threshold=7.0,
        output=41,
        shifts=shifts,
    )
    made.event(
        "alert.page",
        made.bad,
        function=made.function,
        signal="drift.patterns",
        evidence="needs_human=true 0.31 -> 0.1",
        severity="page",
        command=f"llmguard monitor status {made.function}",
    )
    rollback(
        store=made.store,
        route="triage",
        pin=made.bad.id,
        env="prod",
        actor="llmguard",
        reason="worse than the version before on the same inputs: 9 against 0",
        now=made.now,
    )
    made.store.put_breaker(
        BreakerRow(
            key=f"{made.function}|{made.bad.id}",
            state="quarantined",
            reason="contract failures: 12 of 74 first answers, normal is at most 2 %",
            since=made.now,
        )
    )


def _end(made: Scene, *, baseline: bool) -> None:
    if baseline:
        made.baseline(made.new)
    made.store.put_breaker(
        BreakerRow(
            key=f"{made.function}|{made.small.id}",
            state="open",
            reason="5 transport failures in a row",
            since=made.now - 40.0,
            until=made.now + 20.0,
        )
    )
    made.beat()
