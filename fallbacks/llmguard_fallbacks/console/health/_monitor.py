"""What answers are like, per version and over time, against the frozen baseline."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from llmguard.monitor.sketch import Sketch

if TYPE_CHECKING:
    from llmguard.store import Event, Store

__all__ = ["MarkView", "MonitorView", "VersionView", "monitored", "watch"]

_HOUR: Final = 3_600.0
_POINTS: Final = 60
_MARKS: Final = 8
_LEAST: Final = 5
"""Outputs that a bucket must have for its shares to be drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionView:
    """One version that was watched.

    Attributes:
        pin: Its id.
        answers: First answers told.
        failed: Share that did not satisfy the contract; None without answers.
        outputs: Answers that were read.
        chars: Length in characters at 50 and 95 %.
        seconds: Time at 50 and 95 %.
        tokens: Output tokens at 50 %; None where they are not known.
        baseline: Outputs that its baseline is made of, and when; None while it learns.
        series: By start of a bucket: the figures there.
    """

    pin: str
    answers: int
    failed: float | None
    outputs: int
    chars: tuple[float, float]
    seconds: tuple[float, float]
    tokens: float | None
    baseline: tuple[int, float] | None
    series: Sequence[tuple[float, Sketch]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkView:
    """A property of answers whose share may move.

    Attributes:
        name: Its name.
        expected: Share of the baseline's outputs that have it; None without one.
        now: Share of each version, by its id.
        shift: How far the last version is from the baseline, or from the one before.
    """

    name: str
    expected: float | None
    now: Mapping[str, float]
    shift: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorView:
    """What the monitor knows of one function.

    Attributes:
        function: Qualified name.
        versions: The one that answered last first.
        lengths: 25 and 75 % of the baseline's lengths; None without a baseline.
        rates: Share of each mark in the baseline.
        marks: Those that moved most.
        alarms: Of the function, the newest first.
        start: Epoch seconds.
        end: Epoch seconds.
    """

    function: str
    versions: Sequence[VersionView]
    lengths: tuple[float, float] | None
    rates: Mapping[str, float]
    marks: Sequence[MarkView]
    alarms: Sequence[Event]
    start: float
    end: float


def monitored(store: Store, env: str, functions: Iterable[str]) -> tuple[str, ...]:
    """Return the functions that may be watched, those with a baseline first.

    Args:
        store: The store.
        env: Environment.
        functions: Those that were called.
    """
    frozen = sorted({row.function for row in store.monitor.list_baselines(env)})
    return (*frozen, *sorted(set(functions) - set(frozen)))


def watch(
    store: Store, env: str, function: str, *, now: float, span: float
) -> MonitorView:
    """Read what the monitor knows of one function.

    Args:
        store: The store.
        env: Environment.
        function: Qualified name.
        now: Epoch seconds.
        span: Seconds that it looks back on; hours are the least.
    """
    start = now - max(span, 2 * _HOUR)
    width = max(_HOUR, (now - start) / _POINTS // _HOUR * _HOUR)
    parts: dict[str, dict[float, Sketch]] = {}
    for row in store.monitor.sketches(env, since=start, function=function):
        at = row.hour * _HOUR // width * width
        into = parts.setdefault(row.pin, {}).setdefault(at, Sketch())
        into.merge(Sketch.from_json(row.body))
    frozen = {
        row.pin: (row.outputs, row.at)
        for row in store.monitor.list_baselines(env, function=function)
    }
    versions = [_version(pin, series, frozen.get(pin)) for pin, series in parts.items()]
    versions.sort(key=lambda one: -one.series[-1][0])
    lengths, rates = _expected(store, env, function, versions)
    alarms = store.events.list(
        env=env, kind="alarm.", since=start, newest_first=True, limit=200
    )
    return MonitorView(
        function=function,
        versions=versions,
        lengths=lengths,
        rates=rates,
        marks=_marks(versions, rates),
        alarms=[one for one in alarms if one.detail.get("function") == function],
        start=start,
        end=now,
    )


def _version(
    pin: str, series: Mapping[float, Sketch], frozen: tuple[int, float] | None
) -> VersionView:
    whole = Sketch()
    for one in series.values():
        whole.merge(one)
    good = whole.kinds.get("ok", 0)
    chars, seconds = whole.sizes["chars"], whole.sizes["seconds"]
    tokens = whole.sizes["output_tokens"]
    return VersionView(
        pin=pin,
        answers=whole.answers,
        failed=1 - good / whole.answers if whole.answers else None,
        outputs=whole.outputs,
        chars=(chars.quantile(0.5), chars.quantile(0.95)),
        seconds=(seconds.quantile(0.5), seconds.quantile(0.95)),
        tokens=tokens.quantile(0.5) if tokens.n else None,
        baseline=frozen,
        series=sorted(series.items()),
    )


def _expected(
    store: Store, env: str, function: str, versions: Sequence[VersionView]
) -> tuple[tuple[float, float] | None, dict[str, float]]:
    """Return what the newest version with a baseline is held to."""
    for one in versions:
        if one.baseline is None:
            continue
        row = store.monitor.get_baseline(env, function, one.pin)
        if row is None:
            continue
        # Read as it lies: making a `Baseline` of it takes numpy and more.
        body: dict[str, Any] = json.loads(row.body)
        lengths: Any = body.get("lengths") or ()
        names, shares = body.get("marks") or (), _floats(body.get("rates"))
        band = (float(lengths[1]), float(lengths[3])) if len(lengths) >= 4 else None  # noqa: PLR2004 - of five quantiles
        return band, dict(zip(names, shares, strict=False))
    return None, {}


def _floats(packed: Any) -> tuple[float, ...]:
    """Read numbers as a baseline packs them: base64 of little-endian float32."""
    given = cast("dict[str, str]", packed) if isinstance(packed, dict) else {}
    raw = base64.b64decode(given.get("f4", ""))
    return struct.unpack(f"<{len(raw) // 4}f", raw)


def _marks(
    versions: Sequence[VersionView], rates: Mapping[str, float]
) -> list[MarkView]:
    """Return the marks that differ most: from the baseline, else between versions."""
    now: dict[str, dict[str, float]] = {}
    for one in versions:
        whole = Sketch()
        for _, each in one.series:
            whole.merge(each)
        if whole.outputs >= _LEAST:
            for name in whole.marks:
                now.setdefault(name, {})[one.pin] = whole.rate(name)
    pins = [one.pin for one in versions if one.outputs >= _LEAST]
    found: list[MarkView] = []
    for name, shares in now.items():
        expected = rates.get(name)
        others = [shares.get(pin, 0.0) for pin in pins]
        base = others[-1] if expected is None else expected
        shift = max((abs(each - base) for each in others), default=0.0)
        found.append(MarkView(name=name, expected=expected, now=shares, shift=shift))
    return sorted(found, key=lambda one: (-one.shift, one.name))[:_MARKS]
