"""Commands of people, written to the store for every process to follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..clock import SYSTEM_CLOCK, Clock
from ..errors import ConfigError, StoreError
from ._machine import BREAKER
from .policy import State

if TYPE_CHECKING:
    from ..store.protocol import BreakerRow, BreakerStore

__all__ = ["COMMANDS", "command", "find_key"]

COMMANDS: Final = {
    "open": State.FORCED_OPEN,
    "close": State.FORCED_CLOSED,
    "resume": State.CLOSED,
}
"""Verb to the state it commands."""

_ATTEMPTS: Final = 10


def command(
    store: BreakerStore,
    key: str,
    verb: str,
    *,
    actor: str,
    reason: str = "",
    clock: Clock = SYSTEM_CLOCK,
) -> BreakerRow:
    """Write a command; running processes follow it at their next exchange.

    Args:
        store: The store that the processes share.
        key: `function|pin id`; it need not have been published yet.
        verb: `open` (admit nobody), `close` (admit everybody) or `resume`.
        actor: User name of the person.
        reason: Why, one line.
        clock: Where it reads the time.

    Returns:
        The row as written; unchanged when the breaker was in that state already,
        or quarantined and told to open, which would only weaken it.

    Raises:
        ConfigError: `verb` is unknown, or `actor` is not a person.
        StoreError: Other writers kept getting in between.
    """
    # Here, because the store's package loads a database driver.
    from ..store.protocol import BreakerRow

    if verb not in COMMANDS:
        raise ConfigError(f"`verb` is {verb!r}; use one of {', '.join(COMMANDS)}")
    if actor in ("", BREAKER):
        raise ConfigError(f"`actor` is {actor!r}; give the person's user name")
    for _ in range(_ATTEMPTS):
        row = store.get_breaker(key)
        if row is not None and _no_change(row, verb):
            return row
        written = store.put_breaker(
            BreakerRow(
                key=key,
                state=COMMANDS[verb].value,
                reason=reason,
                since=clock.time(),
                rev=row.rev if row else 0,
                actor=actor,
            )
        )
        if written is not None:
            return written
    raise StoreError(
        f"the row of breaker {key!r} changed {_ATTEMPTS} times in a row; run the "
        f"command again"
    )


def find_key(store: BreakerStore, text: str) -> str:
    """Return the one published key that `text` names.

    `text` is a key, or a function or pin id that only one key has; of a function, its
    last name will do: `triage` for `shop.llm.triage`.

    Raises:
        ConfigError: None or several match; the message lists the known keys.
    """
    keys = [row.key for row in store.list_breakers()]
    if text in keys:
        return text
    matches = [key for key in keys if text in key.rsplit("|", 1)]
    matches = matches or [key for key in keys if text == _last_name(key)]
    if len(matches) == 1:
        return matches[0]
    problem = "names several breakers" if matches else "names no known breaker"
    known = "\n".join(f"  {key}" for key in matches or keys) or "  (none yet)"
    raise ConfigError(f"{text!r} {problem}; give one of these keys:\n{known}")


def _last_name(key: str) -> str:
    return key.partition("|")[0].rpartition(".")[2]


def _no_change(row: BreakerRow, verb: str) -> bool:
    if verb == "open" and row.state == State.QUARANTINED:
        return True
    return row.state == COMMANDS[verb]
