"""Moves what was counted of traffic to the store, once a second, on the keeper."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from .. import config
from ..pins._cache import good_lock
from ..pins.router import ROUTER
from ..telemetry.activity import process_name
from ..telemetry.traffic import TRAFFIC, Held
from ._swaps import Sight, Swaps

if TYPE_CHECKING:
    from ..breaker import BreakerRegistry
    from ..pins import Pin
    from ..pins.router import Applied
    from ..store import AppliedRow, ArmRow, ExposureRow, ServedRow, Store
    from ..store.traffic import Verdict

__all__ = ["Mover", "known_pins"]

_ALIVE: Final = 10.0
"""Seconds between two writes that say a process still goes by the same revision."""
_HOUR: Final = 3_600.0


class Mover:
    """One process's way from memory to the store."""

    def __init__(self) -> None:
        self._begin()

    def renew(self) -> None:
        """Know nothing, as a forked child does, and hold nothing of its parent's."""
        TRAFFIC.renew()
        self._begin()

    def _begin(self) -> None:
        self._swaps = Swaps()
        self._row: AppliedRow | None = None
        self._said = 0.0

    def move(self, store: Store, breakers: BreakerRegistry) -> None:
        """Write everything that waits.

        Raises:
            StoreError: The store could not write; what was counted waits on.
        """
        self._apply(store, time.time())
        held = TRAFFIC.drain()
        try:
            self._write(store, held, breakers)
        except BaseException:
            TRAFFIC.put_back(held)
            raise

    def _apply(self, store: Store, now: float) -> None:
        """Write by which revisions this process went, and until when."""
        news = ROUTER.take_applied()
        rows = self._spans(news, now)
        if not rows:
            return
        try:
            store.traffic.add_applied(rows)
        except BaseException:
            ROUTER.give_back(news)
            raise
        self._row, self._said = rows[-1], now

    def _spans(self, news: list[Applied], now: float) -> list[AppliedRow]:
        """Return the rows to write: those that end, and the one that goes on."""
        from ..store.traffic import SPAN

        row = self._row
        rows: list[AppliedRow] = []
        for one in news:
            if row is not None:
                rows.append(replace(row, last_at=max(row.last_at, one.at)))
            row = _applied(one)
        if row is None or not (news or now - self._said >= _ALIVE):
            return []
        rows.append(replace(row, last_at=max(row.last_at, now)))
        if now - row.at >= SPAN:
            rows.append(replace(row, at=now, last_at=now))
        return rows

    def _write(self, store: Store, held: Held, breakers: BreakerRegistry) -> None:
        env = config.load().env
        if held.echoes:
            pins = known_pins()
            for (_, pin_id, model, fingerprint), (_, at) in held.echoes.items():
                pin = pins.get(pin_id)
                if pin is not None:
                    sight = Sight(env=env, pin=pin, pair=(model, fingerprint), at=at)
                    self._swaps.look(sight, store, breakers)
            store.traffic.add_served(list(_served(held, env, pins)))
            held.echoes = {}
        store.traffic.add_arms(list(_arms(held, env)))
        held.arms = {}
        store.traffic.add_exposures(list(_exposures(held, env)))
        held.exposures = {}


def _applied(one: Applied) -> AppliedRow:
    from ..store import AppliedRow

    return AppliedRow(
        process=process_name(),
        env=one.env,
        at=one.at,
        last_at=one.at,
        rev=one.rev,
        experiments_rev=one.experiments_rev,
        lock=one.lock,
        stale=one.stale,
    )


def _served(held: Held, env: str, pins: Mapping[str, Pin]) -> Iterable[ServedRow]:
    from ..store import ServedRow

    for (_, pin_id, model, fingerprint), (n, last) in held.echoes.items():
        pin = pins.get(pin_id)
        yield ServedRow(
            process=process_name(),
            env=env,
            route="" if pin is None else pin.route,
            pin=pin_id,
            model=model,
            fingerprint=fingerprint,
            verdict=_verdict(pin, model),
            n=int(n),
            last_at=last,
        )


def _verdict(pin: Pin | None, model: str) -> Verdict:
    fits = None if pin is None else pin.accepts(model or None)
    if fits is None:
        return "unavailable"
    return "match" if fits else "mismatch"


def _arms(held: Held, env: str) -> Iterable[ArmRow]:
    from ..store import ArmRow

    for (hour, experiment, arm, pin), measures in held.arms.items():
        for measure, (n, total) in measures.items():
            binned = isinstance(measure, int)
            yield ArmRow(
                env=env,
                experiment=experiment,
                arm=arm,
                pin=pin,
                measure=f"latency:{measure}" if binned else str(measure),
                n=int(n),
                total=total,
                at=hour * _HOUR,
            )


def _exposures(held: Held, env: str) -> Iterable[ExposureRow]:
    from ..store import ExposureRow

    for (experiment, unit, arm), met in held.exposures.items():
        yield ExposureRow(
            env=env,
            experiment=experiment,
            unit=unit,
            arm=arm,
            pin=met.pin,
            rev=met.rev,
            first_at=met.first_at,
            last_at=met.last_at,
            n=met.n,
        )


def known_pins() -> Mapping[str, Pin]:
    """Return every pin that a call may have asked, by its id."""
    from ._guard import guarded_functions

    try:
        found = dict(good_lock().pins)
    except Exception:  # noqa: BLE001 - a program may have pins in code and no lock
        found = {}
    for guard in guarded_functions():
        for step in guard.steps:
            if step.pins is not None:
                found.setdefault(step.pins.current.id, step.pins.current)
    return found
