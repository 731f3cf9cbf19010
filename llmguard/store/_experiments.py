"""Declared experiments."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from ..clock import Clock
from ._damaged import readable
from ._database import Connection, Database, Row
from .experiments import (
    Arm,
    Experiment,
    ExperimentConflictError,
    ExperimentError,
    NewExperiment,
)

__all__ = ["SqlExperiments", "as_experiment", "as_row"]

_NAMES = tuple(field.name for field in fields(Experiment))
_COLUMNS = ", ".join(_NAMES)
_VALUES = ", ".join(f":{name}" for name in _NAMES)
_INSERT = f"INSERT INTO experiments ({_COLUMNS}) VALUES ({_VALUES})"  # noqa: S608 - constants
_LATEST = (
    f"SELECT {_COLUMNS} FROM experiments WHERE rev IN "  # noqa: S608 - constants
    "(SELECT max(rev) FROM experiments WHERE env = ? AND at <= ? GROUP BY name) "
    "ORDER BY name"
)
_HISTORY = (
    f"SELECT {_COLUMNS} FROM experiments WHERE env = ? AND name = ? "  # noqa: S608 - constants
    "ORDER BY version"
)
_REV = "SELECT coalesce(max(rev), 0) FROM experiments"
_FOREVER = 1e300
_LOCKS = ("experiments",)


class SqlExperiments:
    """Implements `ExperimentStore`."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def declare(self, new: NewExperiment) -> Experiment:
        """Write the next version durably and return it."""
        return self._database.write(
            lambda connection: self._declare(connection, new), locks=_LOCKS
        )

    def rev(self) -> int:
        """Return the last declaration's `rev`, 0 when there is none."""
        return int(self._database.read(_REV)[0][0])

    def latest(self, env: str, *, at: float | None = None) -> Sequence[Experiment]:
        """Return the last version of every name, now or at an epoch time, by name."""
        until = _FOREVER if at is None else at
        return [
            as_experiment(row) for row in self._database.read(_LATEST, (env, until))
        ]

    def history(self, env: str, name: str) -> Sequence[Experiment]:
        """Return every version under one name, the first one first."""
        return [
            as_experiment(row) for row in self._database.read(_HISTORY, (env, name))
        ]

    def _declare(self, connection: Connection, new: NewExperiment) -> Experiment:
        rows = connection.execute(_LATEST, (new.env, _FOREVER)).fetchall()
        known = {one.name: one for one in map(as_experiment, rows)}
        _judge(known.get(new.name), new)
        rival = next((o for o in known.values() if _rivals(o, new)), None)
        if rival is not None and new.running:
            raise ExperimentError(
                f"experiment {rival.name!r} runs on route {new.route!r} of "
                f"{new.env!r}, and a call can be in one at a time: stop it first, "
                f"`llmguard experiment stop {rival.name}`"
            )
        made = Experiment(
            rev=int(connection.execute(_REV).fetchone()[0]) + 1,
            at=self._clock.time(),
            env=new.env,
            name=new.name,
            route=new.route,
            version=new.base_version + 1,
            arms=new.arms,
            salt=new.salt or new.name,
            running=new.running,
            actor=new.actor,
            reason=new.reason,
        )
        connection.execute(_INSERT, as_row(made))
        return made


def _rivals(other: Experiment, new: NewExperiment) -> bool:
    return other.running and other.route == new.route and other.name != new.name


def _judge(last: Experiment | None, new: NewExperiment) -> None:
    version = 0 if last is None else last.version
    if new.base_version != version:
        raise ExperimentConflictError(
            f"experiment {new.name!r} of {new.env!r} is at version {version}, not "
            f"{new.base_version}: read it again and, if the decision still holds, "
            f"declare it with `base_version={version}`",
            version=version,
        )
    if last is None:
        return
    before, after = (last.route, last.salt), (new.route, new.salt or new.name)
    if before != after:
        raise ExperimentError(
            f"experiment {new.name!r} is on route {last.route!r} with salt "
            f"{last.salt!r}, and the declaration says {after!r}: that would move every "
            "unit to another arm, so give it another name"
        )


def as_row(one: Experiment) -> dict[str, object]:
    """Return what is stored of an experiment, by column."""
    arms = [[arm.name, arm.weight, arm.pin] for arm in one.arms]
    return {
        **{name: getattr(one, name) for name in _NAMES},
        "running": int(one.running),
        "arms": json.dumps(arms, ensure_ascii=False),
    }


def as_experiment(row: Row | Mapping[str, Any]) -> Experiment:
    """Return the experiment that is stored."""
    columns: dict[str, Any] = {name: row[name] for name in _NAMES}
    with readable("an experiment"):
        arms = json.loads(columns["arms"])
        columns["arms"] = tuple(Arm(name=n, weight=w, pin=p) for n, w, p in arms)
        columns["running"] = bool(columns["running"])
        return Experiment(**columns)
