"""From outputs to a frozen baseline, alone or together with other processes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ..errors import ConfigError, StoreError
from ..store import BaselineRow, SketchRow, Store
from .sketch import Sketch

if TYPE_CHECKING:
    from ._sites import Site
    from .drift import Baseline, Calibration, Row

__all__ = ["Learner", "breath"]

_LOG: Final = logging.getLogger("llmguard.monitor")
_HOUR: Final = 3600.0
_LOOK: Final = 5.0
_WORK: Final = 0.002
_REST: Final = 0.001


def breath() -> Callable[[], None]:
    """Return a function that lets other threads run after 2 milliseconds of work."""
    last = time.monotonic()

    def breathe() -> None:
        nonlocal last
        if time.monotonic() - last >= _WORK:
            time.sleep(_REST)
            last = time.monotonic()

    return breathe


class Learner:
    """Finds or makes the baseline of each site, and stores its figures.

    Args:
        env: Environment.
        outputs: Outputs that a baseline is made of.
        calibration: The promise of its thresholds.
        frozen: Told of a site whose baseline this process has frozen.
    """

    def __init__(
        self,
        *,
        env: str,
        outputs: int,
        calibration: Calibration,
        frozen: Callable[[Site], None] | None = None,
    ) -> None:
        self._env = env
        self._outputs = outputs
        self._calibration = calibration
        self._frozen = frozen

    def look(
        self, site: Site, store: Store | None, now: float, *, last: bool = False
    ) -> None:
        """Bring a site forward: share what it learnt, freeze, or adopt a baseline."""
        if site.own:
            return
        if store is None:
            if len(site.learning) >= self._outputs:
                self._freeze(site, [*site.learning], None)
            return
        early = now - site.looked_at < _LOOK and len(site.learning) < self._outputs
        if early and not last:
            return
        site.looked_at = now
        if self._adopt(site, store, site.pin):
            return
        known = self._share(site, store)
        if known >= self._outputs and self._mine(site, store):
            from .drift import Row

            rows = store.monitor.learnt(*self._key(site), site.extractor.id)
            self._freeze(site, [(at, Row.from_json(body)) for at, body in rows], store)
        elif site.follower is None and site.route:
            self._adopt_predecessor(site, store)

    def flush(self, site: Site, store: Store, now: float) -> None:
        """Store a site's figures of this hour, and start new ones.

        Raises:
            StoreError: The store could not; they are kept for the next time.
        """
        sketch, site.sketch = site.sketch, Sketch()
        if not sketch.answers and not sketch.outputs:
            return
        row = SketchRow(
            env=self._env,
            function=site.function,
            pin=site.pin,
            hour=int(now // _HOUR),
            body=sketch.to_json(),
        )
        try:
            store.monitor.add_sketch(row, _merged)
        except StoreError as error:
            if getattr(error, "written", False) is not None:  # surely not written
                sketch.merge(site.sketch)
                site.sketch = sketch
            raise

    def _key(self, site: Site) -> tuple[str, str, str]:
        return self._env, site.function, site.pin

    def _share(self, site: Site, store: Store) -> int:
        rows = [(at, row.to_json()) for at, row in site.learning]
        known = store.monitor.learn(
            *self._key(site), site.extractor.id, rows, most=self._outputs
        )
        site.learning.clear()
        return known

    def _mine(self, site: Site, store: Store) -> bool:
        """Tell whether this process is the one to freeze it: it takes seconds."""
        key = "/".join(("freeze", *self._key(site)))
        return store.counts.lease(key, hold=120.0)

    def _freeze(
        self, site: Site, rows: list[tuple[float, Row]], store: Store | None
    ) -> None:
        from .drift._apart import freeze_apart

        try:
            made = freeze_apart(
                [row for _, row in rows],
                site.extractor,
                function=site.function,
                pin=site.pin,
                since=rows[0][0],
                until=rows[-1][0],
                calibration=self._calibration,
                breathe=breath(),
            )
        except (ConfigError, ValueError) as error:
            _LOG.warning("no baseline of %s on %s: %s", site.function, site.pin, error)
            site.learning.clear()
            return
        if store is None or store.monitor.put_baseline(self._row(made)):
            site.use(made)
            if self._frozen is not None:
                self._frozen(site)
        else:
            self._adopt(site, store, site.pin)

    def _row(self, made: Baseline) -> BaselineRow:
        return BaselineRow(
            env=self._env,
            function=made.function,
            pin=made.pin,
            extractor=made.extractor,
            digest=made.digest,
            outputs=made.outputs,
            at=made.frozen_at,
            body=made.to_json(),
        )

    def _adopt(self, site: Site, store: Store, pin: str) -> bool:
        from .drift import Baseline

        row = store.monitor.get_baseline(self._env, site.function, pin)
        if row is None or row.extractor != site.extractor.id:
            return False
        return site.use(Baseline.from_json(row.body), processes=_processes(store))

    def _adopt_predecessor(self, site: Site, store: Store) -> None:
        """While a version is learnt, hold it against the one it took the place of."""
        state = store.ledger.route_state(self._env, site.route)
        active = state.active if state.active != site.pin else None
        before = (*((active,) if active else ()), *state.previous_active)
        if before:
            self._adopt(site, store, before[0])


def _processes(store: Store) -> int:
    now = time.time()
    alive = [row for row in store.processes() if now - _seconds(row["at"]) < 10]  # noqa: PLR2004 - ten missed heartbeats
    return max(len(alive), 1)


def _seconds(at: object) -> float:
    return float(at) if isinstance(at, (int, float)) else 0.0


def _merged(one: str, two: str) -> str:
    whole = Sketch.from_json(one)
    whole.merge(Sketch.from_json(two))
    return whole.to_json()
