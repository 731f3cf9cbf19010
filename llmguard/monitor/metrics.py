"""Metrics of all processes that share a store, for `llmguard metrics`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from ..store import LATE_CAP, QueueStats, Store
from ..telemetry.families import Family, Sample, row_families
from ..telemetry.tally import Count
from ._ends import days_left
from .sketch import Sketch
from .slo import SloStatus, objectives_of, statuses

__all__ = ["queue_families", "store_families"]

_ALIVE = 10.0
_HOUR = 3600.0
_DAY = 86_400.0


def store_families(store: Store, env: str, *, now: float) -> list[Family]:
    """Return counts of all time, and how objectives, versions and queues stand.

    Args:
        store: The store.
        env: Environment.
        now: Epoch seconds.

    Raises:
        ConfigError: A newer version wrote an objective into the store.
        StoreError: The store cannot be read.
    """
    counted: Counter[Count] = Counter()
    for row in store.counts.sums(env):
        key = Count(row.function, row.pin, row.tier, row.measure, row.label)
        counted[key] += row.n
    return [
        *row_families(counted, objectives_of(store, env)),
        *_slos(statuses(store, env, now=now)),
        *_outputs(store, env, now),
        _alarms(store, env, now),
        _breakers(store),
        *_routes(store, env),
        _gauge(
            "pin_shutdown_days",
            "Days until the provider ends a pinned model.",
            days_left(now=now),
        ),
        *queue_families(store),
        _processes(store, now),
    ]


def _gauge(name: str, about: str, samples: list[Sample]) -> Family:
    otel = f"llmguard.{name.replace('_', '.')}"
    return Family(f"llmguard_{name}", "gauge", about, samples, otel, "1")


def _slos(found: list[SloStatus]) -> list[Family]:
    budgets: list[Sample] = []
    burns: list[Sample] = []
    for status in found:
        labels = (("function", status.function), ("slo", status.objective.name))
        for one in (status.overall, *status.versions):
            if not one.total:
                continue
            mine = (*labels, ("pin", one.pin))
            budgets.append(Sample(mine, one.budget_left))
            burns += [
                Sample((*mine, ("window", window)), rate)
                for window, rate in one.burns.items()
            ]
    return [
        _gauge(
            "slo_error_budget_remaining_ratio",
            "Share of the error budget that is left; pin is empty for all versions.",
            budgets,
        ),
        _gauge("slo_burn_rate", "How many times too fast the budget is spent.", burns),
    ]


def _outputs(store: Store, env: str, now: float) -> list[Family]:
    """Return what outputs were like in the last hour or two, per version."""
    sums: dict[tuple[str, str], Sketch] = {}
    for row in store.monitor.sketches(env, since=now - _HOUR):
        found = sums.setdefault((row.function, row.pin), Sketch())
        found.merge(Sketch.from_json(row.body))
    lengths: list[Sample] = []
    patterns: list[Sample] = []
    for (function, pin), sketch in sorted(sums.items()):
        labels = (("function", function), ("pin", pin))
        chars = sketch.sizes["chars"]
        if chars.n:
            lengths += [
                Sample((*labels, ("quantile", f"{share:g}")), chars.quantile(share))
                for share in (0.5, 0.95)
            ]
        if sketch.outputs:
            patterns += [
                Sample((*labels, ("pattern", name)), sketch.rate(name))
                for name in sorted(sketch.marks)
            ]
    return [
        _gauge("output_chars", "Length of outputs of the last hour.", lengths),
        _gauge("output_pattern_ratio", "Share of outputs with a pattern.", patterns),
    ]


def _alarms(store: Store, env: str, now: float) -> Family:
    """Return how many drift alarms the last day has seen, per version and family."""
    sums: Counter[tuple[str, str, str]] = Counter()
    for event in store.events.list(env=env, kind="alarm.drift", since=now - _DAY):
        function = str(event.detail.get("function", ""))
        sums[function, event.pin, str(event.detail.get("family", ""))] += 1
    names = ("function", "pin", "family")
    return _gauge(
        "drift_alarms",
        "Drift alarms of the last 24 hours.",
        [
            Sample(tuple(zip(names, key, strict=True)), float(n))
            for key, n in sorted(sums.items())
        ],
    )


def _breakers(store: Store) -> Family:
    samples: list[Sample] = []
    for row in store.list_breakers():
        function, _, pin = row.key.partition("|")
        labels = (("function", function), ("pin", pin), ("state", row.state))
        samples.append(Sample(labels, 1.0))
    return _gauge("breaker_state", "1 for the state that a breaker is in.", samples)


def _routes(store: Store, env: str) -> list[Family]:
    serving: list[Sample] = []
    revisions: list[Sample] = []
    for name, state in store.ledger.route_states(env).items():
        revisions.append(Sample((("route", name),), float(state.rev)))
        serving += [
            Sample((("route", name), ("pin", pin), ("stage", stage.value)), 1.0)
            for pin, stage in state.stages.items()
        ]
    return [
        _gauge("route_stage", "1 for the stage that a version is in.", serving),
        _gauge("route_revision", "Grows with every move of a version.", revisions),
    ]


def queue_families(store: Store) -> list[Family]:
    """Return how the human queues of a store stand."""
    found = store.tickets.stats()

    def gauge(name: str, about: str, value: Callable[[QueueStats], object]) -> Family:
        samples = [
            Sample((("queue", one.queue),), float(str(number)))
            for one in found
            if (number := value(one)) is not None
        ]
        return _gauge(name, about, samples)

    tickets = [
        Sample((("queue", one.queue), ("state", str(state))), float(n))
        for one in found
        for state, n in one.counts.items()
    ]
    calls = [
        Sample((("queue", one.queue), ("state", state)), float(n))
        for one in found
        for state, n in (("due", one.callbacks_due), ("dead", one.callbacks_dead))
        if n
    ]
    return [
        _gauge("queue_tickets", "Tickets of a human queue by state.", tickets),
        gauge(
            "queue_oldest_seconds",
            "Age of the oldest waiting ticket.",
            lambda one: one.oldest,
        ),
        gauge(
            "queue_overdue",
            f"Waiting tickets past their due time; {LATE_CAP} stands for more too.",
            lambda one: one.late,
        ),
        gauge(
            "queue_to_claim_seconds",
            "Median time from asking to the first claim, last 24 hours.",
            lambda one: one.to_claim,
        ),
        gauge(
            "queue_to_close_seconds",
            "Median time from asking to a decision, last 24 hours.",
            lambda one: one.to_close,
        ),
        gauge(
            "queue_lease_losses",
            "Leases that lapsed on tickets closed in the last 24 hours.",
            lambda one: one.lease_losses,
        ),
        _gauge(
            "queue_callbacks",
            "Callbacks that wait to be sent, or were given up.",
            calls,
        ),
    ]


def _processes(store: Store, now: float) -> Family:
    beats = [float(str(row["at"])) for row in store.processes()]
    alive = sum(now - at < _ALIVE for at in beats)
    return _gauge(
        "processes", "Processes that keep this store.", [Sample((), float(alive))]
    )
