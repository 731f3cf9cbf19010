"""The versions of routes: what serves, whose it is, what moved last."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from ...clock import age
from ...errors import LLMGuardError
from ...pins import HORIZON, Lock, ending, load_lock

if TYPE_CHECKING:
    from ...store import Entry, RouteState, Store

__all__ = ["VersionLine", "endings", "version_lines"]


@dataclass(frozen=True, kw_only=True)
class VersionLine:
    """One route of one environment.

    Attributes:
        route: Its name.
        serves: Id of the active pin.
        model: Its model; empty when the lock has lost it.
        quarantined: Ids of the quarantined pins.
        moved: What happened last, by whom and how long ago; empty for nothing.
        owner: Who decides about the active pin.
    """

    route: str
    serves: str
    model: str = ""
    quarantined: tuple[str, ...] = ()
    moved: str = ""
    owner: str = ""


def version_lines(store: Store, *, env: str, now: float) -> list[VersionLine]:
    """Return a line per route that the ledger of `env` or the lock knows."""
    lock = _lock()
    states = store.ledger.route_states(env)
    names = sorted({*states, *(lock.routes if lock else ())})
    return [_line(store, lock, env, name, states.get(name), now=now) for name in names]


def endings(*, now: float) -> Iterator[str]:
    """Yield a sentence for each pin whose model ends within the horizon."""
    lock = _lock()
    today: date = datetime.fromtimestamp(now, UTC).date()
    for pin in lock.pins.values() if lock else ():
        if words := ending(pin, horizon=HORIZON, today=today):
            yield (
                f"{words}: `llmguard pin add {pin.route} --provider {pin.provider} "
                "--model MODEL`, then `llmguard plan`"
            )


def _lock() -> Lock | None:
    try:
        return load_lock()
    except LLMGuardError:
        return None


def _line(
    store: Store,
    lock: Lock | None,
    env: str,
    name: str,
    state: RouteState | None,
    *,
    now: float,
) -> VersionLine:
    from ...store import Stage

    declared = lock.routes.get(name) if lock else None
    serves = (state.active if state else None) or (declared.active if declared else "")
    one = lock.pins.get(serves) if lock else None
    model, owner = (one.model, one.owner) if one else ("", "")
    if state is None:
        return VersionLine(route=name, serves=serves, model=model, owner=owner)
    rows = store.ledger.entries(env=env, route=name, limit=1, newest_first=True)
    away = (p for p, stage in state.stages.items() if stage is Stage.QUARANTINED)
    return VersionLine(
        route=name,
        serves=serves,
        model=model,
        quarantined=tuple(away),
        moved=_moved(rows[0], now) if rows else "",
        owner=owner,
    )


def _moved(row: Entry, now: float) -> str:
    from .._history import sentence

    return f"{age(now - row.at)} ago by {row.actor}: {sentence(row)}"
