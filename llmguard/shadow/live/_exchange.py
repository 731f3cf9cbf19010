"""Once a second, on the keeper's thread: results to the store, commands from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ... import config
from ...errors import ConfigError, LLMGuardError, StoreError
from ...guard import guarded_functions
from ...pins import load_lock
from ...store import Event, ShadowCount, ShadowRun, Stage
from ...telemetry.activity import process_name
from ._fold import fold
from ._options import ShadowOptions
from ._run import LiveRun, time_over
from ._shadows import run_key
from ._spec import spec_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...guard import Guard
    from ...store import RouteState, ShadowTally, Store
    from ._shadows import Shadows

__all__ = ["exchange", "flush", "new_row", "tell"]

_GRACE: Final = 30.0
"""Seconds between a run's row and its ledger entry, whichever comes first."""
_LONGEST: Final = 200
_SAMPLED: Final = "sampled"
_DAY: Final = 86_400.0
_TIDY_EVERY: Final = 3_600.0
_BUDGET: Final = ("its budget of", "hours are over")


def exchange(shadows: Shadows, store: Store) -> None:
    """Write what this process has gathered, and take part in what runs now.

    Raises:
        StoreError: The store cannot be used; nothing else stops the keeper.
    """
    try:
        _exchange(shadows, store)
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001 - one odd run must not stop breakers
        shadows.problem("", f"the exchange broke: {error!r}")


def _exchange(shadows: Shadows, store: Store) -> None:
    shadows.store = store
    for run in (*shadows.runs.values(), *shadows.ending):
        idle = run.lane is None or run.lane.idle
        flush(run, store, last=idle and run in shadows.ending)
        if idle and run in shadows.ending:
            shadows.ending.remove(run)
    env = config.load().env
    states = store.ledger.route_states(env)
    _start_from_ledger(store, env, states)
    _start_from_decorators(shadows, store, env)
    _follow_rows(shadows, store, env, states)
    _tidy(shadows, store, env)


def tell(store: Store, kind: str, row: ShadowRun, **detail: object) -> None:
    """Write an event about a run; what was told before is not told again."""
    store.events.add(
        Event(
            env=row.env,
            kind=kind,
            route=row.subject if row.origin == "ledger" else "",
            pin=row.pin,
            process=process_name(),
            detail={"run": row.id, "subject": row.subject, **detail},
        ),
        once=f"{kind}/{row.id}",
    )


def new_row(
    key: str,
    *,
    env: str,
    subject: str,
    pin: str,
    origin: str,
    options: ShadowOptions,
    at: float,
    actor: str = "",
) -> ShadowRun:
    """Return the row of a run that begins."""
    return ShadowRun(
        id=key,
        env=env,
        subject=subject,
        pin=pin,
        origin=origin,
        options=options.text(),
        started_at=at,
        calls_limit=options.max_calls,
        cost_limit=options.max_cost,
        actor=actor or process_name(),
    )


def flush(run: LiveRun, store: Store, *, last: bool = False) -> None:
    """Write what a run has gathered since the last time.

    Args:
        run: The run.
        store: Where to.
        last: Nobody will write again: tallies too, however lately they were written.

    Raises:
        StoreError: The store could not; it is kept for the next time.
    """
    counts, pairs, spent = run.counts.drain(run.key)
    tallies: Sequence[ShadowTally] = ()
    if run.comparing is not None:
        tallies = run.comparing.rows(last=last)
    if not (counts or pairs or spent or tallies):
        return
    options = run.options
    try:
        store.shadow.add(
            run.key,
            counts=counts,
            tallies=tallies,
            pairs=pairs,
            cost=spent,
            keep=options.keep_pairs,
        )
    except StoreError as error:
        if run.comparing is not None:
            run.comparing.put_back(tallies)
        if getattr(error, "written", False) is not None:
            run.counts.put_back(counts, pairs, spent)
        raise


def _tidy(shadows: Shadows, store: Store, env: str) -> None:
    """Delete what is too old, of runs that have stopped too; once an hour."""
    now = shadows.clock.time()
    if now - shadows.tidied_at < _TIDY_EVERY:
        return
    shadows.tidied_at = now
    for row in store.shadow.runs(env=env, limit=None):
        days = ShadowOptions.read(row.options).keep_days
        store.shadow.purge(row.id, before=now - days * _DAY)
        if row.running:
            fold(store, row.id, now=now)


def _start_from_ledger(
    store: Store, env: str, states: Mapping[str, RouteState]
) -> None:
    """Give every pin at stage shadow a run, unless somebody gave it one."""
    rows = None
    for route, state in states.items():
        for pin in state.shadows:
            if rows is None:
                rows = store.shadow.runs(env=env, limit=None)
            entered = _entered(store, env, route, pin)
            mine = [
                row
                for row in rows
                if (row.subject, row.pin, row.origin) == (route, pin, "ledger")
                and row.started_at >= entered - _GRACE
            ]
            if not mine:
                row = new_row(
                    run_key(env, route, pin, str(entered)),
                    env=env,
                    subject=route,
                    pin=pin,
                    origin="ledger",
                    options=ShadowOptions(),
                    at=entered,
                )
                _begin(store, row)


def _entered(store: Store, env: str, route: str, pin: str) -> float:
    """Return when a pin last came to stage shadow."""
    entries = store.ledger.entries(env=env, route=route, newest_first=True, limit=200)
    return next(
        (e.at for e in entries if e.pin == pin and e.to_stage is Stage.SHADOW), 0.0
    )


def _start_from_decorators(shadows: Shadows, store: Store, env: str) -> None:
    for guard in guarded_functions():
        spec = spec_of(guard)
        if spec is None or spec.pin is None or not guard.managed:
            continue
        key = run_key(env, guard.name, spec.pin.id, spec.options.text())
        if key not in shadows.runs and store.shadow.get(key) is None:
            row = new_row(
                key,
                env=env,
                subject=guard.name,
                pin=spec.pin.id,
                origin="decorator",
                options=spec.options,
                at=shadows.clock.time(),
            )
            _begin(store, row)


def _begin(store: Store, row: ShadowRun) -> None:
    if store.shadow.start(row):
        tell(store, "shadow.started", row)


def _follow_rows(
    shadows: Shadows, store: Store, env: str, states: Mapping[str, RouteState]
) -> None:
    """Take part in the runs that are running; leave those that are not."""
    rows = {row.id: row for row in store.shadow.runs(env=env, running=True, limit=None)}
    for run in list(shadows.runs.values()):
        row = rows.get(run.key)
        if row is not None:
            _look_after(shadows, store, run, row)
        elif run.stored:
            run.stop("somebody stopped it")
            shadows.drop(run)
    guards = None
    for row in rows.values():
        if row.origin == "ledger" and not _in_shadow(row, states, shadows):
            _end(store, row, "the ledger moved the pin out of stage shadow")
        elif over := _over(row, shadows):
            _end(store, row, over)
        elif row.id not in shadows.runs:
            guards = guarded_functions() if guards is None else guards
            _join(shadows, store, row, guards)


def _over(row: ShadowRun, shadows: Shadows) -> str:
    """Return why a run is over that no process here takes part in."""
    if row.id in shadows.runs:
        return ""  # it says so itself
    return time_over(ShadowOptions.read(row.options), row.started_at, shadows.clock)


def _in_shadow(
    row: ShadowRun, states: Mapping[str, RouteState], shadows: Shadows
) -> bool:
    state = states.get(row.subject)
    fresh = shadows.clock.time() - row.started_at < _GRACE
    return fresh or (state is not None and row.pin in state.shadows)


def _look_after(
    shadows: Shadows,
    store: Store,
    run: LiveRun,
    row: ShadowRun,
) -> None:
    """Stop what is over its budget or time; see how much it has of each stratum."""
    limit = row.cost_limit
    if limit is not None and row.cost >= limit:
        run.stop(f"its budget of ${limit:g} is used up")
    due = run.due()
    if due:
        run.stop(due)
    if run.stopped:
        _end(store, row, run.stopped)
        shadows.drop(run)
    elif run.options.minimum:
        run.learn(
            {c.stratum: c.n for c in store.shadow.counts(run.key) if c.name == _SAMPLED}
        )


def _end(store: Store, row: ShadowRun, reason: str) -> None:
    if not store.shadow.stop(row.id, reason=reason, actor=process_name()):
        return
    if any(words in reason for words in _BUDGET):
        tell(store, "shadow.budget", row, reason=reason)
    tell(store, "shadow.stopped", row, reason=reason)


def _join(shadows: Shadows, store: Store, row: ShadowRun, guards: list[Guard]) -> None:
    """Take part in a run that concerns a function of this process."""
    mine = [guard for guard in guards if _concerns(row, guard)]
    if not mine:
        return
    try:
        run = _made(shadows, row, mine)
        shadows.open(run, reserve=store.shadow.reserve)
    except StoreError:
        raise
    except LLMGuardError as error:
        if shadows.problem(row.id, str(error)):
            _tell_problem(store, row, mine[0], str(error))
    else:
        shadows.problems.pop(row.id, None)


def _concerns(row: ShadowRun, guard: Guard) -> bool:
    if row.origin == "ledger":
        return row.subject == guard.pin
    spec = spec_of(guard)
    if row.subject != guard.name or spec is None or spec.pin is None:
        return False
    # The decorator may say something else by now: that is another run.
    return row.id == run_key(row.env, guard.name, spec.pin.id, spec.options.text())


def _tell_problem(store: Store, row: ShadowRun, guard: Guard, text: str) -> None:
    """Have the status show why a process cannot take part, once per process."""
    name = f"failed: {text[:_LONGEST]}"
    count = ShadowCount(
        run=row.id, function=guard.name, incumbent="", stratum="", name=name, n=1
    )
    store.shadow.add(row.id, counts=[count])


def _made(shadows: Shadows, row: ShadowRun, guards: list[Guard]) -> LiveRun:
    if row.origin == "ledger":
        pin = load_lock().pin(row.pin)
        options = ShadowOptions.read(row.options)
    else:
        spec = spec_of(guards[0])
        if spec is None or spec.pin is None:
            raise ConfigError(f"`{row.subject}` has no `@shadow` any more")
        # The same options, with the functions that JSON cannot hold.
        pin, options = spec.pin, spec.options
    run = LiveRun(
        row.id,
        subject=row.subject,
        pin=pin,
        options=options,
        started_at=row.started_at,
        clock=shadows.clock,
    )
    run.stored = True
    return run
