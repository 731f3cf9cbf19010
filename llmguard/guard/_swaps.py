"""Notices when a provider serves something else under the same name.

What counts is a pair of echoed model and fingerprint that a pin has not shown before,
in this process or, by the store's roll-ups, in any of the last two weeks. It is told
once, as an event, and then treated as the pin's policy says.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..telemetry.activity import process_name

if TYPE_CHECKING:
    from ..breaker import BreakerRegistry
    from ..pins import Pin
    from ..store import Store

__all__ = ["Sight", "Swaps"]

_LOG = logging.getLogger("llmguard.swaps")
_REMEMBERED: Final = 14 * 86_400.0
_AGAIN: Final = 3_600.0
"""Seconds after which a wrong model that was gone is news when it comes back."""
_DAY: Final = 86_400.0

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a pin showed.

    Attributes:
        env: Environment.
        pin: The pin that was asked.
        pair: Echoed model and fingerprint, each empty where there was none.
        at: Epoch seconds.
    """

    env: str
    pin: Pin
    pair: Pair
    at: float


class Swaps:
    """What each pin has shown so far."""

    def __init__(self) -> None:
        self._shown: dict[str, dict[Pair, float]] = {}

    def look(self, sight: Sight, store: Store, breakers: BreakerRegistry) -> None:
        """Compare what a pin shows with what it has shown, and tell what is new.

        Args:
            sight: What it shows.
            store: Where events go.
            breakers: Those that a pin with the policy `block` quarantines.
        """
        pin, pair, at = sight.pin, sight.pair, sight.at
        shown = self._shown.get(pin.id)
        if shown is None:
            before = store.traffic.seen(sight.env, pin.id, since=at - _REMEMBERED)
            shown = self._shown[pin.id] = dict.fromkeys(before, at)
        last = shown.get(pair)
        wrong = pin.accepts(pair[0] or None) is False
        if last is None or (wrong and at - last > _AGAIN):
            for kind, detail in _news(sight, {old for old in shown if old != pair}):
                _record(store, sight, kind, detail)
                if kind == "fingerprint.changed":
                    _obey(pin, detail, breakers)
        shown[pair] = at


def _news(sight: Sight, others: set[Pair]) -> list[tuple[str, dict[str, object]]]:
    """Return the kinds of events that a pair is worth, and what explains them."""
    model, fingerprint = sight.pair
    models = {old for old, _ in others} - {""}
    prints = {old for echoed, old in others if echoed == model} - {""}
    detail: dict[str, object] = {
        "served": model,
        "fingerprint": fingerprint,
        "expected": list(sight.pin.expect_echo or (sight.pin.model,)),
        "models_before": sorted(models),
        "fingerprints_before": sorted(prints),
    }
    kinds = _kinds(sight.pin, sight.pair, models, prints)
    return [(kind, detail) for kind in kinds]


def _record(store: Store, sight: Sight, kind: str, detail: dict[str, object]) -> None:
    from ..store import Event

    pin = sight.pin
    event = Event(
        env=sight.env,
        route=pin.route,
        pin=pin.id,
        kind=kind,
        process=process_name(),
        detail=detail,
        at=sight.at,
    )
    once = "\n".join((kind, sight.env, pin.id, *sight.pair, str(int(sight.at // _DAY))))
    if store.events.add(event, once=once) is not None:
        _LOG.warning("%s: pin %s of route %s: %s", kind, pin.id, pin.route, detail)


def _kinds(pin: Pin, pair: Pair, models: set[str], prints: set[str]) -> list[str]:
    """Name what is new about a pair that a pin did not show before."""
    model, fingerprint = pair
    kinds: list[str] = []
    if pin.accepts(model or None) is False:
        if model not in models:
            kinds.append("echo.mismatch")
    elif model and models and model not in models:
        kinds.append("echo.changed")
    elif not model and models:
        kinds.append("echo.unavailable")
    if fingerprint and prints and fingerprint not in prints:
        kinds.append("fingerprint.changed")
    return kinds


def _obey(pin: Pin, detail: dict[str, object], breakers: BreakerRegistry) -> None:
    """Quarantine a pin whose policy is `block`, in every function that uses it.

    Where the pin lists the `fingerprints` that it accepts, each answer was judged by
    them already.
    """
    if pin.fingerprint_policy != "block" or pin.options.get("fingerprints"):
        return
    why = (
        f"fingerprint {detail['fingerprint']!r} instead of "
        f"{detail['fingerprints_before']!r}: the provider changed something below the "
        "same name"
    )
    for breaker in breakers.all():
        if breaker.key.rpartition("|")[2] == pin.id:
            breaker.quarantine(why)
