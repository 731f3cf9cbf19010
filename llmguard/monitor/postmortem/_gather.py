"""Everything that a post-mortem says, read from the store and the lock."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, cast

from ...errors import ConfigError, LockError
from ...pins import Lock, load_lock
from ...store import EvidenceRow, Store
from ...suite import Status
from ._measures import Measure, calls_between, measures, rows_between
from ._timeline import Moment, detection, evidence_of, timeline
from ._upgrades import Upgrade, upgrades

__all__ = ["Change", "Example", "PostMortem", "gather", "route_of", "upgrades_of"]

_EXAMPLES: Final = 5
_CUT: Final = 600
_NAMED: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One field in which the two versions' pins differ; JSON text, empty for absent."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One request that both versions answered.

    Attributes:
        at: Epoch seconds of the live call.
        stratum: Slice of the traffic.
        direction: From what to what.
        rung: Where the answers part, 1 the most severe.
        content: What was asked and answered; None unless content was captured.
    """

    at: float
    stratum: str
    direction: str
    rung: int
    content: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PostMortem:
    """What changed, what was measured, what happened.

    Attributes:
        upgrade: Which upgrade.
        written: Epoch seconds when this was gathered.
        owner: Who decides about the version; empty when the lock does not say.
        changes: What differs between the two pins; None when the lock lacks one.
        measures: Before and after, with intervals.
        moments: The timeline.
        detected: The first sign that it was bad; None when there was none.
        calls: Calls that asked the version first, in all.
        calls_to_detection: Those until the first sign; None without one.
        slices: What the evidence names: assertions that blocked, the slices of the
            traffic that diverged most, and the decisions that paired probes saw move.
        examples: Captured requests, the most severe first.
    """

    upgrade: Upgrade
    written: float
    owner: str
    changes: Sequence[Change] | None
    measures: Sequence[Measure]
    moments: Sequence[Moment]
    detected: Moment | None
    calls: int
    calls_to_detection: int | None
    slices: Sequence[str] = ()
    examples: Sequence[Example] = field(default_factory=list[Example])

    @property
    def seconds_to_end(self) -> float | None:
        """Seconds from the first sign to the end of the upgrade; None without."""
        if self.detected is None or self.upgrade.ended is None:
            return None
        return self.upgrade.ended - self.detected.at

    def document(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        upgrade = self.upgrade
        return {
            "route": upgrade.route,
            "env": upgrade.env,
            "number": upgrade.number,
            "pin": upgrade.pin,
            "incumbent": upgrade.incumbent,
            "began": upgrade.began,
            "exposed": upgrade.exposed,
            "ended": upgrade.ended,
            "end": upgrade.end,
            "automatic": upgrade.automatic,
            "owner": self.owner,
            "written": self.written,
            "calls": self.calls,
            "calls_to_detection": self.calls_to_detection,
            "seconds_to_end": self.seconds_to_end,
            "detected": None if self.detected is None else asdict(self.detected),
            "changes": None
            if self.changes is None
            else [asdict(one) for one in self.changes],
            "measures": [
                {**asdict(one), "verdict": one.verdict} for one in self.measures
            ],
            "timeline": [asdict(one) for one in self.moments],
            "slices": list(self.slices),
            "examples": [asdict(one) for one in self.examples],
        }


def upgrades_of(store: Store, env: str, route: str) -> list[Upgrade]:
    """Return the upgrades of a route, oldest first."""
    return upgrades(store.ledger.entries(env=env, route=route))


def gather(
    store: Store,
    env: str,
    route: str,
    number: int,
    *,
    now: float,
    lock: Lock | None = None,
) -> PostMortem:
    """Gather the post-mortem of one upgrade.

    Args:
        store: The store of the environment.
        env: Environment.
        route: Name of the route.
        number: Which upgrade, from 1; -1 for the last.
        now: Epoch seconds.
        lock: What may run; by default the configured lock.

    Raises:
        ConfigError: The route has no such upgrade.
    """
    found = upgrades_of(store, env, route)
    if not found or not (number == -1 or 1 <= number <= len(found)):
        known = f"1 to {len(found)}" if found else "none: no version replaced another"
        raise ConfigError(
            f"route {route!r} of {env!r} has no upgrade {number} (known: {known}); see "
            f"`llmguard history {route}`"
        )
    upgrade = found[number - 1 if number > 0 else number]
    lock = _lock() if lock is None else lock
    pin = lock.pins.get(upgrade.pin)
    evidence = evidence_of(store, upgrade, pin)
    moments = timeline(store, upgrade, evidence, now=now)
    sign = detection(moments, upgrade)
    after = rows_between(
        store,
        env,
        upgrade.pin,
        since=upgrade.exposed,
        until=upgrade.ended or now,
        now=now,
    )
    examples = _examples(store, upgrade)
    return PostMortem(
        upgrade=upgrade,
        written=now,
        owner="" if pin is None else pin.owner,
        changes=_changes(lock, upgrade),
        measures=measures(store, upgrade, now=now),
        moments=moments,
        detected=sign,
        calls=calls_between(after, now),
        calls_to_detection=None if sign is None else calls_between(after, sign.at),
        slices=_slices(evidence, examples, _moves(store, upgrade)),
        examples=examples,
    )


def route_of(store: Store, env: str, name: str) -> str:
    """Return the route of a name: a route, a pin, or a guarded function.

    Raises:
        ConfigError: Nothing by that name has entries in the ledger.
    """
    states = store.ledger.route_states(env)
    if name in states:
        return name
    for route, state in states.items():
        if name in state.stages:
            return route
    lock = _lock()
    for process in store.processes():
        info = cast("Mapping[str, Any]", process["info"])
        functions: Mapping[str, Any] = info.get("functions", {})
        for function, tiers in functions.items():
            if function == name or function.endswith(f".{name}"):
                pins = [tier.get("pin", "") for tier in tiers]
                routes = [lock.pins[pin].route for pin in pins if pin in lock.pins]
                for route in routes:
                    if route in states:
                        return route
    raise ConfigError(
        f"{name!r} is no route, version or function with entries in the ledger of "
        f"{env!r} (routes: {', '.join(sorted(states)) or 'none'}); `llmguard promote` "
        "makes some"
    )


def _lock() -> Lock:
    try:
        return load_lock()
    except LockError:
        return Lock()


def _changes(lock: Lock, upgrade: Upgrade) -> list[Change] | None:
    before, after = lock.pins.get(upgrade.incumbent), lock.pins.get(upgrade.pin)
    if before is None or after is None:
        return None
    was, became = _flat(before.entry()), _flat(after.entry())
    return [
        Change(name=name, before=_text(was.get(name)), after=_text(became.get(name)))
        for name in sorted({*was, *became})
        if was.get(name) != became.get(name)
    ]


def _flat(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry with its tables' fields by `table.field`."""
    found: dict[str, Any] = {}
    for name, value in entry.items():
        if isinstance(value, Mapping):
            table = cast("Mapping[str, Any]", value)
            found |= {f"{name}.{key}": inner for key, inner in table.items()}
        else:
            found[name] = value
    return found


def _text(value: object) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _examples(store: Store, upgrade: Upgrade) -> list[Example]:
    """Return the worst pairs of the version's shadow runs."""
    found: list[Example] = []
    for run in store.shadow.runs(env=upgrade.env):
        if run.pin != upgrade.pin:
            continue
        for pair in store.shadow.pairs(run.id, parted=True, limit=_EXAMPLES):
            content = json.loads(pair.body).get("pair") if pair.content else None
            text = None if content is None else json.dumps(content, ensure_ascii=False)
            found.append(
                Example(
                    at=pair.at,
                    stratum=pair.stratum,
                    direction=pair.direction,
                    rung=pair.rung,
                    content=None if text is None else text[:_CUT],
                )
            )
    return sorted(found, key=lambda one: (one.rung, -one.at))[:_EXAMPLES]


def _moves(store: Store, upgrade: Upgrade) -> list[str]:
    """Return the decisions that paired probes saw move, the most frequent first."""
    counts: Counter[str] = Counter()
    for event in store.events.list(
        env=upgrade.env, pin=upgrade.pin, kind="probe.paired", since=upgrade.exposed
    ):
        moved = cast("Mapping[str, int]", event.detail.get("moves") or {})
        counts.update({name: int(n) for name, n in moved.items()})
    return [name for name, _ in counts.most_common(_NAMED)]


def _slices(
    evidence: Sequence[EvidenceRow], examples: Sequence[Example], moves: Sequence[str]
) -> tuple[str, ...]:
    """Return what suites blocked for, and what shadows, pairs and probes name."""
    named: list[str] = []
    for row in evidence:
        body: dict[str, Any] = json.loads(row.body)
        named.append(str(body.get("worst") or ""))
        named += [
            one["name"]
            for one in body.get("assertions", ())
            if one.get("status") == Status.BLOCKED and one.get("gating")
        ]
    named += [one.stratum for one in examples]
    named += moves
    return tuple(dict.fromkeys(name for name in named if name))
