"""What the store knows about shadows: their state, and their report."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from ..._dataclass import dataclass
from ...clock import SYSTEM_CLOCK
from ...errors import ConfigError, LockError
from ...pins import load_lock
from .._draw import LOST
from .._judge import Thresholds
from .._plan import Plan, plan
from .._report import Report, Version, report
from ._fold import merged
from ._options import ShadowOptions

if TYPE_CHECKING:
    from ...store import ShadowCount, ShadowRun, ShadowTally, Store

__all__ = ["ShadowStatus", "document_of", "report_of", "status_of"]

_DAY: Final = 86_400.0
_HOUR: Final = 3600.0
_APART: Final = ("dropped: ", "skipped: ", "degraded: ", "failed: ")
_LOST: Final = frozenset(str(kind) for kind in LOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowStatus:
    """One run, and what has come of it so far.

    Attributes:
        run: The run.
        options: How it samples and what it may spend.
        seen: Live calls of its functions.
        sampled: Those that were sampled.
        compared: Those that both versions answered.
        doubled: Those that both answered twice.
        challenger: How the challenger's draws ended, by kind.
        apart: What kept sampled requests out: `dropped: ...`, `skipped: ...`,
            `degraded: ...`, `failed: ...`.
        seconds: Mean seconds of a draw: of the incumbent's live answers, and of the
            challenger; None before the first.
        tokens: Tokens that its calls have used, as far as providers say.
        strata: Calls seen and sampled, by stratum.
        hours_left: Hours until it stops by itself; None for never, or stopped.
        plan: What it takes at the traffic so far to declare three points; None before
            there is any, or where nothing is drawn twice.
    """

    run: ShadowRun
    options: ShadowOptions
    seen: int
    sampled: int
    compared: int
    doubled: int
    challenger: Mapping[str, int]
    apart: Mapping[str, int]
    seconds: tuple[float | None, float | None]
    tokens: int
    strata: Mapping[str, tuple[int, int]]
    hours_left: float | None
    plan: Plan | None = None

    @property
    def hours_to_go(self) -> float | None:
        """Hours until enough requests are drawn twice; None when that is not known."""
        if self.plan is None:
            return None
        missing = max(0.0, 1 - self.doubled / self.plan.needed)
        return self.plan.hours * missing

    @property
    def lost(self) -> int:
        """Draws of the challenger that ended before it could show anything."""
        return sum(n for kind, n in self.challenger.items() if kind in _LOST)


def status_of(store: Store, run: ShadowRun, *, now: float) -> ShadowStatus:
    """Return how a run stands.

    Args:
        store: Where it is kept.
        run: The run.
        now: Epoch seconds.
    """
    options = ShadowOptions.read(run.options)
    rows = store.shadow.counts(run.id)
    names: Counter[str] = Counter()
    for row in rows:
        names[row.name] += row.n
    kinds = _kinds(names, "challenger: ")
    left = None
    if run.running and options.hours is not None:
        left = max(0.0, options.hours - (now - run.started_at) / _HOUR)
    return ShadowStatus(
        run=run,
        options=options,
        seen=names["seen"],
        sampled=names["sampled"],
        compared=sum(n for kind, n in kinds.items() if kind not in _LOST),
        doubled=sum(
            n for k, n in _kinds(names, "incumbent again: ").items() if k not in _LOST
        ),
        challenger=kinds,
        apart={n: c for n, c in sorted(names.items()) if n.startswith(_APART)},
        seconds=(_mean(rows, "incumbent: "), _mean(rows, "challenger: ")),
        tokens=names["tokens"],
        strata=_strata(rows),
        hours_left=left,
        plan=_plan(run, options, names["seen"], now),
    )


def report_of(
    store: Store,
    run: ShadowRun,
    *,
    now: float = 0.0,
    function: str = "",
    incumbent: str = "",
    thresholds: Thresholds | None = None,
) -> Report:
    """Return what a run has found so far, over all processes.

    Tallies of another incumbent, or of a contract that has changed since, are not
    added to these: the newest of each is reported.

    Args:
        store: Where it is kept.
        run: The run.
        now: Epoch seconds; the time when it is asked unless given.
        function: Which function, where the route has several.
        incumbent: Which incumbent, by its pin's id; the newest unless given.
        thresholds: When to alarm.

    Raises:
        ConfigError: Nothing has been compared yet, or the function is not named.
    """
    now = now or SYSTEM_CLOCK.time()
    rows = store.shadow.tallies(run.id)
    mine = _chosen(run, rows, function, incumbent)
    newest = max(mine, key=lambda row: row.at)
    documents = [json.loads(row.body) for row in mine]
    digest = str(json.loads(newest.body)["ladder"])
    parts = [each for each in documents if each["ladder"] == digest]
    whole = merged(parts, digest)
    status = status_of(store, run, now=now)
    return report(
        whole,
        incumbent=_version(newest.incumbent),
        challenger=_version(run.pin),
        function=newest.function,
        source="live",
        thresholds=thresholds,
        traffic=_traffic(store, run, status.options, newest.function),
        notes=_notes(status, rows, mine, len(documents) - len(parts)),
        started=run.started_at,
        at=now,
    )


def _traffic(
    store: Store, run: ShadowRun, options: ShadowOptions, function: str
) -> Mapping[str, int] | None:
    """Return the calls by stratum; None where all were sampled at one share."""
    if not (options.shares or options.minimum):
        return None
    rows = [row for row in store.shadow.counts(run.id) if row.function == function]
    return {name: seen for name, (seen, _) in _strata(rows).items()}


def _plan(run: ShadowRun, options: ShadowOptions, seen: int, now: float) -> Plan | None:
    """Return what it takes at the traffic that this run has seen."""
    seconds = (run.stopped_at or now) - run.started_at
    if not (seen and seconds > 0 and options.share and options.double):
        return None
    daily = seen * _DAY / seconds
    return plan(traffic=daily, sample=options.share, double=options.double)


def _chosen(
    run: ShadowRun, rows: Sequence[ShadowTally], function: str, incumbent: str
) -> list[ShadowTally]:
    found = [row for row in rows if function in {"", row.function}]
    found = [row for row in found if incumbent in {"", row.incumbent}]
    if not found:
        raise ConfigError(
            f"the shadow {run.id} of {run.subject!r} has compared nothing yet; "
            f"`llmguard shadow status {run.subject}` says what it waits for"
        )
    functions = sorted({row.function for row in found})
    if len(functions) > 1:
        raise ConfigError(
            f"{len(functions)} functions of {run.subject!r} were compared: name one "
            f"with `--function`: {', '.join(functions)}"
        )
    newest = max(found, key=lambda row: row.at)
    return [row for row in found if row.incumbent == newest.incumbent]


def _version(pin_id: str) -> Version:
    try:
        pin = load_lock().pins.get(pin_id)
    except LockError:
        pin = None
    if pin is None:
        return Version(name=pin_id, pin=pin_id)
    return Version(name=pin.model, pin=pin_id, digest=pin.identity)


def _notes(
    status: ShadowStatus,
    rows: Sequence[ShadowTally],
    mine: Sequence[ShadowTally],
    other_ladder: int,
) -> tuple[str, ...]:
    run, options = status.run, status.options
    notes = [f"{status.sampled:,} of {status.seen:,} live calls were sampled"]
    if not run.running:
        notes.append(f"it stopped: {run.reason}")
    if status.lost:
        drawn = sum(status.challenger.values())
        kinds = ", ".join(
            f"{n:,} {kind}" for kind, n in status.challenger.items() if kind in _LOST
        )
        notes.append(
            f"the challenger gave nothing on {status.lost:,} of {drawn:,} requests "
            f"({kinds}): counted apart, in no rate of divergence"
        )
    notes += [f"{n:,} requests {name}" for name, n in status.apart.items()]
    if not options.content:
        notes.append("texts were not kept (`--content` keeps them, redacted)")
    others = {row.incumbent for row in rows} - {row.incumbent for row in mine}
    if others:
        notes.append(f"earlier incumbents are left out: {', '.join(sorted(others))}")
    if other_ladder:
        notes.append(
            f"{other_ladder} processes compared by another contract or other fields: "
            "left out"
        )
    return tuple(notes)


def _kinds(names: Mapping[str, int], prefix: str) -> dict[str, int]:
    found = {
        name.removeprefix(prefix): n
        for name, n in names.items()
        if n
        if name.startswith(prefix)
    }
    return dict(sorted(found.items(), key=lambda each: (-each[1], each[0])))


def _mean(rows: Sequence[ShadowCount], prefix: str) -> float | None:
    mine = [row for row in rows if row.name.startswith(prefix)]
    n = sum(row.n for row in mine)
    return sum(row.total for row in mine) / n if n else None


def _strata(rows: Sequence[ShadowCount]) -> dict[str, tuple[int, int]]:
    found: dict[str, list[int]] = {}
    for row in rows:
        if row.name in {"seen", "sampled"}:
            pair = found.setdefault(row.stratum, [0, 0])
            pair[row.name == "sampled"] += row.n
    return {name: (pair[0], pair[1]) for name, pair in sorted(found.items())}


def document_of(status: ShadowStatus) -> dict[str, Any]:
    """Return a status as JSON-able data."""
    run = status.run
    return {
        "id": run.id,
        "env": run.env,
        "subject": run.subject,
        "pin": run.pin,
        "origin": run.origin,
        "state": run.state,
        "reason": run.reason,
        "actor": run.actor,
        "started_at": run.started_at,
        "stopped_at": run.stopped_at,
        "hours_left": status.hours_left,
        "calls": run.calls,
        "calls_limit": run.calls_limit,
        "cost": run.cost,
        "cost_limit": run.cost_limit,
        "tokens": status.tokens,
        "seen": status.seen,
        "sampled": status.sampled,
        "compared": status.compared,
        "doubled": status.doubled,
        "challenger": dict(status.challenger),
        "apart": dict(status.apart),
        "mean_seconds": {
            "incumbent": status.seconds[0],
            "challenger": status.seconds[1],
        },
        "plan": None
        if status.plan is None
        else {
            "traffic": status.plan.traffic,
            "detect": status.plan.detect,
            "floor": status.plan.floor,
            "needed": status.plan.needed,
            "hours_to_go": status.hours_to_go,
        },
        "strata": {
            name: {"seen": seen, "sampled": sampled}
            for name, (seen, sampled) in status.strata.items()
        },
        "options": json.loads(run.options),
    }
