"""A project with one route of three versions, for tests of routed calls."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from llmguard.pins import Lock, Pin, to_text
from llmguard.pins.routing import RoutingTable
from llmguard.store import Arm, Experiment, RouteState, Stage
from llmguard.testing import FakeModel


class Project:
    """Fake models `v1`, `v2` and `v3` on the route `triage`, `local` on its own."""

    def __init__(self, root: Path) -> None:
        self.path = root / "models.lock"
        names = ("v1", "v2", "v3", "local", "refunds")
        self.models = {name: FakeModel(name, name=name) for name in names}
        self.pins: dict[str, Pin] = {}
        lock = Lock()
        for name, model in self.models.items():
            route = "triage" if name.startswith("v") else name
            self.pins[name] = model.pin(route)
            lock = lock.with_pin(self.pins[name])
        self.lock = lock
        self.write(lock)

    def write(self, lock: Lock) -> None:
        """Replace the lock file."""
        self.path.write_text(to_text(lock), encoding="utf-8")

    def id(self, name: str) -> str:
        """Return the id of one of the pins."""
        return self.pins[name].id

    def state(
        self,
        active: str | None,
        *,
        route: str = "triage",
        canary: tuple[str, int] | None = None,
        **stages: Stage,
    ) -> RouteState:
        """Return a route's state in terms of the models' names."""
        known = {self.id(name): stage for name, stage in stages.items()}
        if active is not None:
            known[self.id(active)] = Stage.ACTIVE
        if canary is not None:
            known[self.id(canary[0])] = Stage.CANARY
        return RouteState(
            env="prod",
            route=route,
            rev=1,
            count=1,
            active=None if active is None else self.id(active),
            canary=None if canary is None else (self.id(canary[0]), canary[1]),
            stages=known,
        )

    def table(
        self, *states: RouteState, rev: int = 7, **fields: object
    ) -> RoutingTable:
        """Return a table of the given states."""
        routes: Mapping[str, RouteState] = {state.route: state for state in states}
        return RoutingTable(env="prod", rev=rev, routes=routes, **fields)  # type: ignore[arg-type]  # a helper's free keywords

    def experiment(self, *arms: tuple[str, int, str]) -> Experiment:
        """Return an experiment on `triage` with arms of name, weight and model."""
        return Experiment(
            rev=1,
            at=0.0,
            env="prod",
            name="tone",
            route="triage",
            version=1,
            arms=tuple(
                Arm(name=name, weight=weight, pin=self.id(model) if model else "")
                for name, weight, model in arms
            ),
            salt="tone",
            running=True,
            actor="ann",
            reason="",
        )
