"""Probes on a schedule: of all processes of an environment, one asks."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from .. import config
from ..errors import LLMGuardError, LockError
from ..pins._cache import good_lock
from ..pins._rules import ProbeRules, rules_of
from ..pins.router import ROUTER
from ..telemetry.activity import process_name

if TYPE_CHECKING:
    from ..pins import Lock, Pin
    from ..store import Store

__all__ = ["Prober"]

_LOG = logging.getLogger("llmguard.probes")


class Prober:
    """Starts the probes that are due; one at a time, on a thread of its own."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Start without a thread, as a forked child does."""
        self._slots: dict[str, int] = {}
        self._thread: threading.Thread | None = None

    def look(self, store: Store) -> None:
        """Start a probe that is due and that no other process has taken.

        Raises:
            StoreError: The store could not be asked.
        """
        if not config.load().routes or (self._thread and self._thread.is_alive()):
            return
        try:
            lock = good_lock()
        except LockError:
            return
        env, now = config.load().env, time.time()
        for pin, rules in _probed(lock):
            slot = int(now // rules.every)
            if self._slots.get(pin.id) == slot:
                continue
            taken = _take(store, env, pin, slot)
            self._slots[pin.id] = slot  # not before: a store that fails is asked again
            if taken:
                self._start(store, env, pin, rules)
                return

    def join(self, timeout: float | None = None) -> None:
        """Wait for the probe that runs, if one does."""
        if self._thread is not None:
            self._thread.join(timeout)

    def _start(self, store: Store, env: str, pin: Pin, rules: ProbeRules) -> None:
        def run() -> None:
            from ..adapters.probes import probe

            try:
                found = probe(store=store, pin=pin, rules=rules, env=env)
            except Exception as error:  # noqa: BLE001 - a probe may fail, nothing else may
                _LOG.warning("probing pin %s broke: %r", pin.id, error)
                return
            if found.status in {"changed", "failed"}:
                _LOG.warning("probe.%s: %s", found.status, found)

        self._thread = threading.Thread(target=run, name="llmguard-probe", daemon=True)
        self._thread.start()


def _probed(lock: Lock) -> list[tuple[Pin, ProbeRules]]:
    """Return the pins that serve on a route with scheduled probes, and its canary."""
    found: list[tuple[Pin, ProbeRules]] = []
    for route in config.load().routes:
        try:
            rules = rules_of(route).probes
            declared = lock.resolve(route).id
        except LLMGuardError:
            continue  # said where the function is decorated
        if rules is None or not rules.every:
            continue
        state = ROUTER.table.route(route)
        ids = [declared] if state is None else [state.active or declared]
        if state is not None and state.canary is not None:
            ids.append(state.canary[0])
        found += [(lock.pins[name], rules) for name in ids if name in lock.pins]
    return found


def _take(store: Store, env: str, pin: Pin, slot: int) -> bool:
    from ..store import Event

    event = Event(
        env=env,
        route=pin.route,
        pin=pin.id,
        kind="probe.started",
        process=process_name(),
        detail={"slot": slot},
    )
    once = f"probe.started\n{env}\n{pin.id}\n{slot}"
    return store.events.add(event, once=once) is not None
