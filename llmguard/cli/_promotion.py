"""What the promotion verbs share: options, names of routes and pins, printing."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from ..errors import ConfigError, LLMGuardError, LockError
from ..promotion._when import read_time
from ._options import env_of, env_option, json_option, store_option
from ._text import emit_json

if TYPE_CHECKING:
    from ..pins import Lock
    from ..promotion import Moved
    from ..store import Entry, RouteState, Store

__all__ = [
    "Moment",
    "Weight",
    "entry_document",
    "env_of",
    "env_option",
    "json_option",
    "maybe_lock",
    "moment",
    "open_there",
    "pin_and_route",
    "print_moved",
    "refusing",
    "route_and_pin",
    "store_option",
    "who_options",
]

_F = TypeVar("_F", bound=Callable[..., Any])
_PIN: Final = re.compile(r"p-[0-9a-f]{3,10}")
_GATE: Final = 3
_STALE: Final = 4


def who_options(function: _F) -> _F:
    """Add `--reason` and `--actor`."""
    actor = click.option(
        "--actor", default="", help="Who decides; git's user.email, else your login."
    )
    reason = click.option("--reason", default="", help="Why, one line.")
    return reason(actor(function))


class Weight(click.ParamType):  # type: ignore[type-arg] # pyright: ignore[reportMissingTypeArgument] - not generic before click 8.2
    """A share: 5%, 0.05 or 500bp; basis points."""

    name = "share"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Read a share as basis points."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)(%|bp|)", str(value).strip())
        if found:
            number = float(found[1])
            factor = {"%": 100.0, "bp": 1.0, "": 10_000.0}[found[2]]
            points = round(number * factor)
            plain = found[2] or number <= 1
            if plain and points <= 10_000 and abs(points - number * factor) < 1e-6:  # noqa: PLR2004 - rounding
                return points
        return self.fail(
            f"{value!r} is no share of the calls in whole basis points; write 5%, 0.05 "
            "or 500bp",
            param,
            ctx,
        )


class Moment(click.ParamType):  # type: ignore[type-arg] # pyright: ignore[reportMissingTypeArgument] - not generic before click 8.2
    """A time: ISO, epoch seconds, or how long ago (90s, 2h, 3d)."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read a time as epoch seconds; ISO without a zone is UTC."""
        if isinstance(value, float):
            return value
        try:
            return read_time(str(value), now=time.time())
        except ConfigError as error:
            self.fail(str(error), param, ctx)


def moment(at: float) -> str:
    """Return a time as ISO, in UTC."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


@contextmanager
def refusing() -> Generator[None]:
    """Turn errors of ours into messages with the exit codes of the command."""
    from ..promotion import GatesNotPassedError, QuarantinedError

    try:
        yield
    except LLMGuardError as error:
        failure = click.ClickException(_words(error))
        gate = isinstance(error, GatesNotPassedError | QuarantinedError)
        stale = isinstance(error, LockError)
        failure.exit_code = _GATE if gate else _STALE if stale else 1  # type: ignore[misc] # a ClassVar in click's stubs, read off the instance
        raise failure from error


def _words(error: LLMGuardError) -> str:
    """Return an error's message; a lost race in the words of the command line."""
    from ..store import LedgerConflictError

    if not isinstance(error, LedgerConflictError) or error.last is None:
        return str(error)
    from ..promotion._history import sentence

    last = error.last
    return (
        f"somebody moved route {last.route!r} of {last.env!r} first, at "
        f"{moment(last.at)}: {sentence(last)}, by {last.actor}. Look at "
        f"`llmguard history {last.route}`, and run the command again if it still holds"
    )


def open_there(url: str | None, *, create: bool = True) -> Store:
    """Open the store."""
    from ..store import open_store

    with refusing():
        return open_store(url, create=create)


def maybe_lock() -> Lock | None:
    """Return the lock; None when it cannot be read."""
    from ..pins import load_lock

    try:
        return load_lock()
    except LockError:
        return None


def route_and_pin(store: Store, env: str, text: str) -> tuple[str, str]:
    """Return the route that a name means, and the pin, empty if it names none.

    Takes a route, the id of a pin or its beginning, `route/pin`, or the name of a
    function that a running process has told of. It needs no lock.

    Raises:
        ClickException: Nothing has that name, or several things.
    """
    lock = maybe_lock()
    states = store.ledger.route_states(env)
    routes = {*states, *(lock.routes if lock else ())}
    if text in routes:
        return text, ""
    named = _pins(states, lock, text.rpartition("/")[2])
    if len(named) == 1:
        return named[0]
    by_function = {route for pin in _of_function(store, text) for route in pin}
    found = _routes_of(states, lock, by_function)
    if len(found) == 1:
        return found.pop(), ""
    raise click.ClickException(_unknown(store, env, text, routes, named))


def pin_and_route(store: Store, env: str, text: str) -> tuple[str, str]:
    """Return the route and the pin that a promotion means.

    A route means its canary; else what the lock names active and the ledger does not;
    else the only pin that is new to the ledger or waits there.

    Raises:
        ClickException: Several could be meant, or none.
    """
    from ..pins import load_lock
    from ..store import RouteState

    route, pin = route_and_pin(store, env, text)
    if pin:
        return route, pin
    with refusing():
        lock = load_lock()
    state = store.ledger.route_states(env).get(route)
    state = state or RouteState(env=env, route=route)
    found = _next_pins(state, lock, route)
    if len(found) == 1:
        return route, found[0]
    if not found:
        raise click.ClickException(
            f"route {route!r}: no pin waits there: `llmguard pin add {route} ...` "
            f"allows one, `llmguard plan {route}` shows all"
        )
    lines = "\n  ".join(_described(lock, state, each) for each in found)
    raise click.ClickException(
        f"route {route!r}: several pins could be meant; name one:\n  {lines}"
    )


def print_moved(moved: Moved, *, verb: str, as_json: bool, more: str = "") -> None:
    """Print what was done, each gate, each note, and the owner."""
    if as_json:
        document: dict[str, Any] = {
            "env": moved.env,
            "route": moved.route,
            "pin": moved.pin,
            "serves": moved.serves,
            "rev": moved.rev,
            "changed": moved.changed,
            "entries": [entry_document(each) for each in moved.entries],
            "gates": [asdict(each) for each in moved.gates],
            "notes": [*moved.notes, *([more] if more else [])],
        }
        emit_json(document)
        return
    if moved.gates:
        from ..promotion.gates import describe

        click.echo(describe(moved.gates))
    done = verb if moved.changed else "nothing changed"
    click.echo(f"{moved.route} [{moved.env}] r{moved.rev}: {done}")
    for note in (*moved.notes, *_owners(moved), more):
        if note:
            click.echo(f"  {note}")


def entry_document(entry: Entry) -> dict[str, Any]:
    """Return an entry as JSON-able data, with its time as ISO beside the number."""
    return asdict(entry) | {"time": moment(entry.at)}


def _owners(moved: Moved) -> list[str]:
    lock = maybe_lock()
    found: list[str] = []
    for pin in dict.fromkeys((moved.pin, moved.serves)):
        one = lock.pins.get(pin) if lock else None
        if one is not None:
            owner = f", owner {one.owner}" if one.owner else ", no owner named"
            found.append(f"{pin} is {one.model}{owner}")
    return found


def _pins(
    states: dict[str, RouteState] | Any, lock: Lock | None, text: str
) -> list[tuple[str, str]]:
    if not _PIN.fullmatch(text):
        return []
    known = {(state.route, pin) for state in states.values() for pin in state.stages}
    known |= {(pin.route, pin.id) for pin in lock.pins.values()} if lock else set()
    exact = [one for one in known if one[1] == text]
    return exact or sorted(one for one in known if one[1].startswith(text))


def _of_function(store: Store, text: str) -> list[set[str]]:
    """Return the pins of the first tier of functions with that name."""
    found: list[set[str]] = []
    for process in store.processes():
        info: Any = process["info"]
        for function, tiers in info.get("functions", {}).items():
            if tiers and (function == text or function.endswith(f".{text}")):
                found.append({tiers[0].get("pin", "")})
    return found


def _routes_of(states: Any, lock: Lock | None, pins: set[str]) -> set[str]:
    found = {s.route for s in states.values() if pins & set(s.stages)}
    if lock is not None:
        found |= {pin.route for pin in lock.pins.values() if pin.id in pins}
    return found


def _unknown(
    store: Store,
    env: str,
    text: str,
    routes: set[str],
    named: Sequence[tuple[str, str]],
) -> str:
    if named:
        ids = ", ".join(f"{route}/{pin}" for route, pin in named)
        return f"{text!r} could be several pins: {ids}; give more of it"
    elsewhere = sorted(
        {e.env for e in store.ledger.entries(route=text, limit=200)} - {env}
    )
    known = ", ".join(sorted(routes)) or "none"
    there = (
        f"; in environment {elsewhere[0]!r} it is one: `--env {elsewhere[0]}`"
        if elsewhere
        else ""
    )
    if not routes and not elsewhere:
        there = "; the first: `llmguard pin add ROUTE --provider openai --model MODEL`"
    return (
        f"{text!r} is no route, pin or running function in environment {env!r} "
        f"(routes: {known}){there}"
    )


def _next_pins(state: RouteState, lock: Lock, route: str) -> list[str]:
    from ..store import Stage

    declared = lock.routes.get(route)
    allowed = declared.allowed if declared else ()
    if state.canary and state.canary[0] in allowed:
        return [state.canary[0]]
    serves = state.active or (declared.active if declared else "")
    stay = {Stage.QUARANTINED, Stage.ACTIVE, Stage.RETIRED}
    waiting = [p for p in allowed if p != serves and state.stages.get(p) not in stay]
    if state.rev and declared and declared.active in waiting:
        return [declared.active]
    return waiting


def _described(lock: Lock, state: RouteState, pin: str) -> str:
    one, stage = lock.pins[pin], state.stages.get(pin)
    return (
        f"{pin}  {one.model}  {stage.value if stage else 'new'}  {one.owner}".rstrip()
    )
