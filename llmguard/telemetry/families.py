"""The metrics that llmguard keeps, as families of samples, from the tally."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from .._version import __version__
from .objectives import Objective, count, declared
from .tally import BOUNDS, Count, Snapshot, rows

__all__ = [
    "Family",
    "Sample",
    "add_source",
    "families",
    "row_families",
    "sourced",
]

Labels = tuple[tuple[str, str], ...]
Kind = Literal["counter", "gauge", "histogram"]


class Sample(NamedTuple):
    """One number with its labels; `suffix` for the parts of a histogram."""

    labels: Labels
    value: float
    suffix: str = ""


class Family(NamedTuple):
    """One metric.

    Attributes:
        name: Prometheus's name, without `_total`.
        kind: What it is.
        help: One line.
        samples: Its numbers.
        otel: OpenTelemetry's name.
        unit: OpenTelemetry's unit.
    """

    name: str
    kind: Kind
    help: str
    samples: Sequence[Sample]
    otel: str
    unit: str


_sources: list[Callable[[], Iterable[Family]]] = []


def add_source(source: Callable[[], Iterable[Family]]) -> None:
    """Have `source` asked for more families at every scrape; it must be quick."""
    if source not in _sources:
        _sources.append(source)


def sourced() -> list[Family]:
    """Return what the sources give; one that raises gives nothing."""
    found: list[Family] = []
    for source in _sources:
        try:
            found += source()
        except Exception:  # noqa: BLE001, S112 - a scrape must not fail for one part
            continue
    return found


Owed = Mapping[str, Sequence[Objective]]


def families(snapshot: Snapshot) -> list[Family]:
    """Return everything that this process's tally says."""
    return [
        *row_families(rows(snapshot), declared()),
        Family(
            "llmguard_attempt_duration_seconds",
            "histogram",
            "Time of one attempt of a tier.",
            _histogram(_attempts(snapshot)),
            "llmguard.attempt.duration",
            "s",
        ),
        Family(
            "llmguard_build_info",
            "gauge",
            "The version of llmguard, as a label.",
            [Sample((("version", __version__),), 1.0)],
            "llmguard.build.info",
            "1",
        ),
    ]


_PLAIN: Final = (
    (
        "calls",
        "{call}",
        "Guarded calls by how they ended; pin is the version asked first.",
        "call",
        ("function", "pin", "tier", "outcome"),
    ),
    (
        "attempts",
        "{attempt}",
        "Attempts of tiers by how they ended.",
        "attempt",
        ("function", "pin", "tier", "kind"),
    ),
    (
        "tokens",
        "{token}",
        "Tokens that providers counted.",
        "tokens",
        ("function", "pin", "", "type"),
    ),
    (
        "signals",
        "{signal}",
        "What people and programs said of answers later.",
        "signal",
        ("function", "pin", "", "signal"),
    ),
)


def row_families(counted: Mapping[Count, int], owed: Owed) -> list[Family]:
    """Return the families of counts, of one process or of the whole store.

    Args:
        counted: Totals, as `tally.rows` gives them or the store keeps them.
        owed: Objectives by function.
    """
    return [
        *[
            Family(
                f"llmguard_{name}",
                "counter",
                about,
                _summed(counted, measure, labels),
                f"llmguard.{name}",
                unit,
            )
            for name, unit, about, measure, labels in _PLAIN
        ],
        Family(
            "llmguard_call_duration_seconds",
            "histogram",
            "Time from call to answer, of answered calls.",
            _histogram(_calls(counted), _thresholds(owed)),
            "llmguard.call.duration",
            "s",
        ),
        Family(
            "llmguard_slo_events",
            "counter",
            "Events of behavioural objectives, good and bad.",
            _slo_events(counted, owed),
            "llmguard.slo.events",
            "{event}",
        ),
        Family(
            "llmguard_slo_target_ratio",
            "gauge",
            "Share of events that must be good.",
            [
                Sample((("function", function), ("slo", one.name)), one.target)
                for function, objectives in sorted(owed.items())
                for one in objectives
            ],
            "llmguard.slo.target",
            "1",
        ),
    ]


def _summed(
    counted: Mapping[Count, int], measure: str, names: tuple[str, ...]
) -> list[Sample]:
    sums: dict[Labels, int] = defaultdict(int)
    for row, n in counted.items():
        if row.measure == measure:
            values = (row.function, row.pin, row.tier, row.label)
            pairs = zip(names, values, strict=True)
            sums[tuple((name, value) for name, value in pairs if name)] += n
    return [Sample(labels, float(n)) for labels, n in sorted(sums.items())]


def _slo_events(counted: Mapping[Count, int], owed: Owed) -> list[Sample]:
    """Return good and bad events; both only grow, or Prometheus sees a restart.

    What is reported later (`Objective.late`) is good until then and cannot be taken
    back: `good` are all answers, among them those that are `bad` by now.
    """
    sums: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0])
    for row, n in counted.items():
        for objective in owed.get(row.function, ()):
            good, total = count(objective, (row.pin, row.measure, row.label))
            if good or total:
                cell = sums[row.function, objective.name, row.pin]
                cell[0] += (total if objective.late else good) * n
                cell[1] += (total - good) * n
    names = ("function", "slo", "pin", "outcome")
    return [
        Sample(tuple(zip(names, (*key, word), strict=True)), float(max(0, value)))
        for key, (good, bad) in sorted(sums.items())
        for word, value in (("good", good), ("bad", bad))
    ]


class _Spread(NamedTuple):
    """Events by upper edge, and the sum of their seconds."""

    buckets: dict[float, int]
    seconds: list[float]


def _calls(counted: Mapping[Count, int]) -> dict[Labels, _Spread]:
    found: dict[Labels, _Spread] = {}
    for row, n in counted.items():
        if row.measure not in {"bucket", "micros"}:
            continue
        labels = (("function", row.function), ("pin", row.pin))
        spread = found.setdefault(labels, _Spread({}, [0.0]))
        if row.measure == "bucket":
            edge = float(row.label)
            spread.buckets[edge] = spread.buckets.get(edge, 0) + n
        else:
            spread.seconds[0] += n / 1e6
    return found


_UNTRIED: Final = frozenset({"skipped", "open"})


def _attempts(snapshot: Snapshot) -> dict[Labels, _Spread]:
    found: dict[Labels, _Spread] = {}
    for key, cell in snapshot.attempts.items():
        if key.kind in _UNTRIED:
            continue
        labels = (("function", key.function), ("tier", key.tier), ("pin", key.pin))
        spread = found.setdefault(labels, _Spread({}, [0.0]))
        for edge, n in zip((*cell.bounds, float("inf")), cell.buckets, strict=True):
            spread.buckets[edge] = spread.buckets.get(edge, 0) + n
        spread.seconds[0] += cell.seconds
    return found


def _thresholds(owed: Owed) -> set[float]:
    """Return the declared thresholds: their edges are there before anything is."""
    mine = {one.threshold for objectives in owed.values() for one in objectives}
    return {seconds for seconds in mine if seconds is not None}


def _histogram(
    spreads: Mapping[Labels, _Spread], more: Iterable[float] = ()
) -> list[Sample]:
    """Return cumulative buckets, with the sum and the count, per label set.

    All label sets get the same edges: Prometheus adds up only buckets that are there.
    """
    edges = sorted(
        {
            *BOUNDS,
            *more,
            float("inf"),
            *(e for one in spreads.values() for e in one.buckets),
        }
    )
    found: list[Sample] = []
    for labels, spread in sorted(spreads.items()):
        running = 0
        for edge in edges:
            running += spread.buckets.get(edge, 0)
            text = "+Inf" if edge == float("inf") else f"{edge:g}"
            found.append(Sample((*labels, ("le", text)), float(running), "_bucket"))
        found += [
            Sample(labels, spread.seconds[0], "_sum"),
            Sample(labels, float(running), "_count"),
        ]
    return found
