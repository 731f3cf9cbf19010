"""What happened to a route, newest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from ..store import Action, Entry, Store
from ._asking import environment
from .request import percent

__all__ = ["approvers", "history", "sentence"]


def history(
    *,
    store: Store,
    route: str | None = None,
    env: str | None = None,
    until: float | None = None,
    since_rev: int = 0,
    limit: int | None = 20,
) -> Sequence[Entry]:
    """Return the entries of an environment, newest first.

    Args:
        store: The store of the environment.
        route: One route only.
        env: Environment; the one of this process by default.
        until: Epoch seconds; entries up to and including it.
        since_rev: Only entries after this revision.
        limit: At most so many; None for all.
    """
    return store.ledger.entries(
        env=environment(env),
        route=route,
        until=until,
        since_rev=since_rev,
        limit=limit,
        newest_first=True,
    )


def sentence(entry: Entry) -> str:
    """Say what an entry did, for people."""
    pin, was = entry.pin, entry.from_stage.value if entry.from_stage else "new"
    if entry.action is Action.ROLLBACK:
        return f"rolled back to {pin}; {entry.prev_pin} is quarantined"
    if entry.action is Action.PROMOTE:
        after = f", after {entry.prev_pin}" if entry.prev_pin else ""
        return f"{pin} serves{after}"
    if entry.action is Action.CANARY:
        return f"{pin} takes {percent(entry.weight or 0)} as a canary"
    if entry.action is Action.RESUME:
        return f"the quarantine of {pin} was lifted; it is a candidate"
    return f"{pin} is {entry.to_stage.value} (was {was})"


def approvers(entry: Entry) -> tuple[str, ...]:
    """Return who signed an entry."""
    found: list[str] = []
    for one in entry.approvals:
        body = one.get("approval")
        if isinstance(body, Mapping):
            found.append(str(cast("Mapping[str, object]", body).get("approver", "")))
    return tuple(sorted(found))
