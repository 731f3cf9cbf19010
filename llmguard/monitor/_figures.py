"""What the monitor knows of each version: figures, baseline, alarms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..store import BaselineRow, Store
from .sketch import Sketch

__all__ = ["figures_of", "versions_of"]


def versions_of(
    store: Store, env: str, function: str | None, *, since: float
) -> list[dict[str, Any]]:
    """Return the figures of each watched version, with its baseline and alarms.

    Args:
        store: The store.
        env: Environment.
        function: Only this one, by its qualified name.
        since: Epoch seconds.
    """
    sums: dict[tuple[str, str], Sketch] = {}
    for row in store.monitor.sketches(env, since=since, function=function):
        found = sums.setdefault((row.function, row.pin), Sketch())
        found.merge(Sketch.from_json(row.body))
    frozen = {
        (row.function, row.pin): row
        for row in store.monitor.list_baselines(env, function=function)
    }
    alarms = store.events.list(env=env, kind="alarm.", since=since)
    return [
        {
            "function": name,
            "pin": pin,
            **figures_of(sums.get((name, pin), Sketch())),
            "baseline": _baseline((name, pin), frozen),
            "alarms": [
                {"at": event.at, **event.detail}
                for event in alarms
                if event.pin == pin and event.detail.get("function") == name
            ],
        }
        for name, pin in sorted({*sums, *frozen})
    ]


def figures_of(sketch: Sketch) -> dict[str, Any]:
    """Return the figures of one sketch as JSON-able data."""
    sizes = {
        name: {
            "mean": each.mean,
            "p50": each.quantile(0.5),
            "p95": each.quantile(0.95),
            "n": each.n,
        }
        for name, each in sketch.sizes.items()
        if each.n
    }
    return {
        "answers": sketch.answers,
        "kinds": dict(sketch.kinds),
        "outputs": sketch.outputs,
        "marks": {name: sketch.rate(name) for name in sorted(sketch.marks)},
        "sizes": sizes,
        "labels": {name: dict(each) for name, each in sketch.labels.items()},
    }


def _baseline(
    key: tuple[str, str], frozen: Mapping[tuple[str, str], BaselineRow]
) -> dict[str, Any] | None:
    row = frozen.get(key)
    if row is None:
        return None
    return {"digest": row.digest, "outputs": row.outputs, "frozen_at": row.at}
