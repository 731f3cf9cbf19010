"""What runs where now, as the ledger, the lock and the processes say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from llmguard.pins import HORIZON, ending, shutdown_of
from llmguard.promotion._history import sentence
from llmguard.promotion.applied import Process, applied_now
from llmguard.store import Action, RouteState, Stage

if TYPE_CHECKING:
    from llmguard.pins import Lock, Pin
    from llmguard.store import Entry, Experiment, Store

__all__ = ["Ending", "Overview", "PinView", "RouteView", "overview", "pin_view"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PinView:
    """One version, as far as the lock knows it.

    Attributes:
        id: Its id.
        provider: Whose model it is; empty when the lock has lost the pin.
        model: The exact model.
        version_class: What the name promises.
        owner: Who decides about it.
        stage: Where the ledger has it; empty where it does not know it.
        shutdown: ISO date of the announced end; empty for none.
        days_left: Days until then; None for none.
    """

    id: str
    provider: str = ""
    model: str = ""
    version_class: str = ""
    owner: str = ""
    stage: str = ""
    shutdown: str = ""
    days_left: int | None = None

    @property
    def ends_soon(self) -> bool:
        """True when its end is within the horizon that warnings go by."""
        return self.days_left is not None and self.days_left <= HORIZON.days


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteView:
    """One route of one environment.

    Attributes:
        route: Its name.
        serves: The active version; None when nothing is declared.
        by_lock: True when the lock alone decides.
        rev: Revision that moved it last; 0 without entries.
        since: Epoch seconds when the active version began to serve; None for the lock.
        actor: Who made it so.
        reason: Why.
        canary: The version that takes a share, and its basis points; None without.
        shadows: Versions in shadow.
        quarantined: Versions that are kept from traffic.
        experiment: Name of the experiment that runs; empty without one.
        processes: Live processes that follow the ledger of the environment.
        behind: Those of them that have not applied the revision.
        last: What happened last, and when; None without entries.
        rollback_to: Where a rollback leads; empty for nowhere.
    """

    route: str
    serves: PinView | None
    by_lock: bool
    rev: int
    since: float | None
    actor: str
    reason: str
    canary: tuple[PinView, int] | None
    shadows: tuple[PinView, ...]
    quarantined: tuple[PinView, ...]
    experiment: str
    processes: tuple[Process, ...]
    behind: tuple[Process, ...]
    last: tuple[float, str, str] | None
    rollback_to: str

    @property
    def rollback_of(self) -> str:
        """The version that a rollback takes out; empty when there is nowhere to go."""
        if self.canary is not None:
            return self.canary[0].id
        return self.serves.id if self.serves and self.rollback_to else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """A version whose end is announced.

    Attributes:
        pin: The version.
        route: Its route.
        text: One sentence, with where the date comes from.
        serves: True when it serves, or takes a share, somewhere here.
    """

    pin: PinView
    route: str
    text: str
    serves: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Everything that the page of versions shows first.

    Attributes:
        env: Environment.
        routes: By name.
        endings: Announced ends within the horizon, the nearest first.
        processes: Live processes of the environment.
        lock: False when `models.lock` cannot be read here.
    """

    env: str
    routes: tuple[RouteView, ...]
    endings: tuple[Ending, ...]
    processes: tuple[Process, ...]
    lock: bool


def overview(store: Store, env: str, *, lock: Lock | None, now: float) -> Overview:
    """Read what runs in an environment.

    Args:
        store: The store.
        env: Environment.
        lock: What may run; None when it cannot be read.
        now: Epoch seconds.
    """
    states = store.ledger.route_states(env)
    names = sorted({*states, *(lock.routes if lock else ())})
    processes = applied_now(store, env=env, now=now)
    running = {one.route: one for one in store.experiments.latest(env) if one.running}
    today = datetime.fromtimestamp(now, UTC).date()
    reader = _Reader(store, env, lock, today)
    routes = tuple(
        reader.route(name, states.get(name), processes, running.get(name))
        for name in names
    )
    return Overview(
        env=env,
        routes=routes,
        endings=tuple(_endings(routes, lock, today)),
        processes=processes,
        lock=lock is not None,
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    store: Store
    env: str
    lock: Lock | None
    today: date

    def pin(self, pin: str, stages: Mapping[str, Stage]) -> PinView:
        found = self.lock.pins.get(pin) if self.lock else None
        stage = stages.get(pin)
        return pin_view(pin, found, stage.value if stage else "", today=self.today)

    def route(
        self,
        name: str,
        state: RouteState | None,
        processes: Sequence[Process],
        experiment: Experiment | None,
    ) -> RouteView:
        state = state or RouteState(env=self.env, route=name)
        declared = self.lock.routes.get(name) if self.lock else None
        active = state.active or (declared.active if declared else "")
        rows = self.store.ledger.entries(
            env=self.env, route=name, limit=8, newest_first=True
        )
        made = _made(rows, active)
        stages = state.stages
        mine = tuple(one for one in processes if one.env == self.env)
        return RouteView(
            route=name,
            serves=self.pin(active, stages) if active else None,
            by_lock=not state.active,
            rev=state.rev,
            since=made.at if made else None,
            actor=made.actor if made else "",
            reason=made.reason if made else "",
            canary=(self.pin(state.canary[0], stages), state.canary[1])
            if state.canary
            else None,
            shadows=tuple(self.pin(one, stages) for one in state.shadows),
            quarantined=tuple(
                self.pin(one, stages)
                for one, stage in stages.items()
                if stage is Stage.QUARANTINED
            ),
            experiment=experiment.name if experiment else "",
            processes=mine,
            behind=tuple(one for one in mine if one.behind(state.rev)),
            last=(rows[0].at, sentence(rows[0]), rows[0].actor) if rows else None,
            rollback_to=state.previous_active[0] if state.previous_active else "",
        )


def pin_view(pin: str, found: Pin | None, stage: str, *, today: date) -> PinView:
    """Return what is known of a version.

    Args:
        pin: Its id.
        found: The lock's entry; None when the lock lost it or cannot be read.
        stage: Where the ledger has it.
        today: For the days that are left.
    """
    if found is None:
        return PinView(id=pin, stage=stage)
    end = shutdown_of(found)
    return PinView(
        id=pin,
        provider=found.provider,
        model=found.model,
        version_class=found.version_class,
        owner=found.owner,
        stage=stage,
        shutdown=end.date if end else "",
        days_left=(date.fromisoformat(end.date) - today).days if end else None,
    )


def _made(rows: Sequence[Entry], pin: str) -> Entry | None:
    made = (Action.PROMOTE, Action.ROLLBACK)
    return next((row for row in rows if row.pin == pin and row.action in made), None)


def _endings(
    routes: Sequence[RouteView], lock: Lock | None, today: date
) -> Iterator[Ending]:
    if lock is None:
        return
    trying: dict[str, Any] = {
        one.id: True
        for view in routes
        for one in (view.serves, view.canary[0] if view.canary else None)
        if one is not None
    }
    found = [
        Ending(
            pin=pin_view(pin.id, pin, "", today=today),
            route=pin.route,
            text=text,
            serves=pin.id in trying,
        )
        for pin in lock.pins.values()
        if (text := ending(pin, horizon=HORIZON, today=today))
    ]
    yield from sorted(found, key=lambda one: (one.pin.shutdown, one.route))
