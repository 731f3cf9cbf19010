"""Looks at the burn rates twice a minute and tells people, from one process of many."""

from __future__ import annotations

import logging
import time
from typing import Final

from ... import config
from ...errors import ConfigError
from ...guard import guarded_functions, on_exchange
from ...store import BreakerRow, Store
from .. import alerts
from ._status import SloStatus, VersionStatus, statuses

__all__ = ["PERIOD", "alerts_of", "look", "watch"]

PERIOD: Final = 30.0
"""Seconds between two looks."""

_LOG: Final = logging.getLogger("llmguard.slo")
_LEASE: Final = "slo.look"
_TOLD: Final[set[str]] = set()
_last = time.monotonic()


def look(store: Store, env: str, *, now: float) -> list[alerts.Alert]:
    """Return one alert per objective and version: firing, or over where none fires.

    Quarantined versions are among them. Objectives are looked at version by version,
    so that a bad canary with a twentieth of the traffic is seen; all versions together
    too, for what none has done alone.

    Raises:
        ConfigError: A newer version wrote an objective into the store.
        StoreError: The store cannot be read.
    """
    found = [_breaker_alert(row, env) for row in store.list_breakers()]
    for status in statuses(store, env, now=now):
        found += alerts_of(status, env, now)
    return found


def _breaker_alert(row: BreakerRow, env: str) -> alerts.Alert:
    """Return the page of a quarantined version, or that it is one no more."""
    function, _, pin = row.key.partition("|")
    return alerts.Alert(
        version=pin,
        signal="breaker.quarantined",
        since=row.since,
        evidence=row.reason or f"its breaker is {row.state}",
        command="llmguard breaker list",
        function=function,
        route=_routes().get(function, ""),
        env=env,
        severity="page" if row.state == "quarantined" else "info",
        resolved=row.state != "quarantined",
    )


def alerts_of(status: SloStatus, env: str, now: float) -> list[alerts.Alert]:
    """Return the alerts of one objective: the versions', or else the function's."""
    firing = [each for each in status.versions if each.firing is not None]
    found = [_alert(status, each, env, now) for each in status.versions]
    # What a version fires for, all versions together need not say again.
    overall = _alert(status, status.overall, env, now, quiet=bool(firing))
    return [*found, overall]


def _alert(
    status: SloStatus, one: VersionStatus, env: str, now: float, *, quiet: bool = False
) -> alerts.Alert:
    objective, firing = status.objective, one.firing
    if firing is None or quiet:
        severity: alerts.Severity = "info"
        since, evidence = now, f"no burn-rate rule of {objective.sentence()} fires."
    else:
        severity, since = firing.rule.severity, firing.since
        evidence = (
            f"{firing.bad} of {firing.total} events were bad in the long window of "
            f"{firing.rule.words}: the budget of '{objective.sentence()}' burns "
            f"{firing.long_burn:.1f} and {firing.short_burn:.1f} times too fast "
            f"(limit {firing.rule.factor(objective.window):.3g}); "
            f"over its whole window it is {one.budget_words}."
        )
    return alerts.Alert(
        version=one.pin,
        signal=f"slo.{objective.name}",
        since=since,
        evidence=evidence,
        command=f"llmguard slo status {status.function}",
        function=status.function,
        route=_routes().get(status.function, ""),
        env=env,
        severity=severity,
        resolved=firing is None or quiet,
        detail={
            "objective": objective.document(),
            "owner": objective.owner,
            "budget_left": one.budget_left,
            "burn_rates": dict(one.burns),
        },
    )


def _routes() -> dict[str, str]:
    return {guard.name: guard.pin_name for guard in guarded_functions()}


def watch(store: Store, *, now: float | None = None) -> list[alerts.Alert]:
    """Look now, unless another process looked in the last half minute, and send.

    Returns:
        The alerts that fire.

    Raises:
        ConfigError: A newer version wrote an objective into the store.
        StoreError: The store cannot be read.
    """
    now = time.time() if now is None else now
    if not store.counts.lease(_LEASE, hold=PERIOD - 1.0):
        return []
    found = look(store, config.load().env, now=now)
    for alert in found:
        alerts.send(alert)
    return [alert for alert in found if not alert.resolved]


def _each_exchange(store: Store) -> None:
    """Look every half minute; the keeper comes by every second.

    The first exchange is before the first call, which must not wait for a look.
    """
    global _last  # noqa: PLW0603 - one watcher per process
    try:
        _declare_settings()
        now = time.monotonic()
        if now - _last >= PERIOD:
            _last = now
            watch(store)
    except ConfigError as error:  # a wrong document must not stop what else is kept
        if str(error) not in _TOLD:
            _TOLD.add(str(error))
            _LOG.warning("objectives are not watched: %s", error)


def _declare_settings() -> None:
    """Declare what the OpenSLO documents of the settings say, once."""
    from ._openslo import declare_settings

    declare_settings()


on_exchange(_each_exchange)
