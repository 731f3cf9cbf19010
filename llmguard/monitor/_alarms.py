"""Telling the log of events and the people what was seen."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from ..errors import LLMGuardError
from ..store import Event, Store
from ..telemetry.activity import process_name
from .alerts import Alert, Severity, send

if TYPE_CHECKING:
    from ._sites import Site
    from .drift import Alarm

__all__ = ["Teller"]

_LOG: Final = logging.getLogger("llmguard.monitor")
_HOUR: Final = 3600.0


class Teller:
    """Writes events and sends alerts; never raises.

    Args:
        env: Environment.
    """

    def __init__(self, *, env: str) -> None:
        self._env = env

    def drift(self, site: Site, alarm: Alarm, store: Store | None) -> None:
        """Tell of an alarm: once an hour and version, whichever process sees it.

        One that other inputs explain is told as that: `alarm.inputs`.
        """
        detail = {
            "function": site.function,
            "family": alarm.family,
            "statistic": round(alarm.statistic, 4),
            "threshold": round(alarm.threshold, 4),
            "output": alarm.output,
            "against": site.against,
            "inputs": round(alarm.inputs, 4),
            "explained": round(alarm.explained, 4),
            "confounded": alarm.confounded,
            "shifts": [
                {
                    "name": one.name,
                    "before": round(one.before, 4),
                    "now": round(one.now, 4),
                }
                for one in alarm.shifts
            ],
        }
        hour = int(time.time() // _HOUR)
        # What other inputs explain is for the record; the paired probe will tell.
        kind = "inputs" if alarm.confounded else "drift"
        once = f"{kind}/{site.function}/{site.pin}/{alarm.family}/{hour}"
        self.event(f"alarm.{kind}", site, detail, store, once=once)
        own = site.against == site.pin
        base = "its own baseline" if own else f"the baseline of {site.against}"
        self.alert(
            site,
            f"{kind}.{alarm.family}",
            f"held against {base}: {alarm}",
            since=site.began(alarm),
            severity="info" if alarm.confounded else "warning",
            detail=detail,
        )

    def event(
        self,
        kind: str,
        site: Site,
        detail: Mapping[str, object],
        store: Store | None,
        *,
        once: str = "",
    ) -> None:
        """Add an event about one version; a log that fails stops nothing."""
        if store is None:
            return
        event = Event(
            env=self._env,
            kind=kind,
            route=site.route,
            pin=site.pin,
            process=process_name(),
            detail={"function": site.function, **detail},
        )
        try:
            store.events.add(event, once=once)
        except LLMGuardError as error:
            _LOG.warning("the log of events did not take %s: %s", kind, error)

    def alert(
        self,
        site: Site,
        signal: str,
        evidence: str,
        *,
        command: str = "",
        since: float = 0.0,
        severity: Severity = "warning",
        detail: Mapping[str, object] | None = None,
    ) -> None:
        """Send an alert about one version."""
        send(
            Alert(
                version=site.pin,
                signal=signal,
                since=since or time.time(),
                evidence=evidence,
                command=command or f"llmguard monitor status {site.function}",
                function=site.function,
                route=site.route,
                env=self._env,
                severity=severity,
                detail=detail or {},
            )
        )
