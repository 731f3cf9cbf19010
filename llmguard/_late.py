"""What a process takes part in without asking for it: imported when it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import config

if TYPE_CHECKING:
    from .store import Store

__all__ = ["join_shadows"]


def join_shadows(store: Store) -> None:
    """Follow live calls from the moment that something runs in shadow.

    An application that only serves imports nothing for it until then; afterwards what
    was kept has to be deleted in time.
    """
    env = config.load().env
    known = store.shadow.runs(env=env, limit=1)
    states = store.ledger.route_states(env).values()
    if known or any(state.shadows for state in states):
        from .shadow.live import SHADOWS

        SHADOWS.attach()
