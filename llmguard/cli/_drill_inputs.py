"""Where the inputs of a drill come from: a file, or tickets that people were asked."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final, cast

from .. import config
from .._nested import read_json
from ..errors import ConfigError, LLMGuardError
from ..guard import Guard, guard_of
from ..guard._binder import visible_signature
from ..store import open_store, store_exists
from ..store.tickets import TicketState

__all__ = ["load_guard", "read_inputs", "ticket_inputs"]

_TICKETS: Final = 1000

Inputs = list[Mapping[str, Any]]


def load_guard(target: str) -> Guard:
    """Import `module:function` and return its guard.

    Raises:
        ConfigError: It is not written so, cannot be imported, is not guarded, or is a
            method, which needs an object.
    """
    module, colon, name = target.partition(":")
    if not (module and colon and name):
        raise ConfigError(
            f"{target!r} names no function: write `module:function`, such as "
            "`myapp.llm:triage`"
        )
    for place in (str(Path.cwd()), str(config.load().root)):
        if place not in sys.path:
            sys.path.insert(0, place)
    found = _imported(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is None:
        raise ConfigError(f"`{module}` has no `{name}`: name a guarded function of it")
    guard = guard_of(found)
    if "." in name:
        raise ConfigError(
            f"{target!r} is a method, and a drill has no object to call it on: drill "
            "a function that calls it"
        )
    return guard


def _imported(module: str) -> object:
    try:
        return import_module(module)
    except LLMGuardError:
        raise  # says itself what to do
    except Exception as error:
        raise ConfigError(
            f"`{module}` cannot be imported ({error!r}): run it where "
            f"`python -c 'import {module}'` works"
        ) from error


def read_inputs(guard: Guard, path: Path) -> Inputs:
    """Read one JSON object of arguments per line; empty lines are passed over.

    Raises:
        ConfigError: A line is no JSON object, or does not fit the function.
    """
    found: Inputs = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip():
            found.append(_arguments(guard, line, f"{path}:{number}"))
    if not found:
        raise ConfigError(f"{path} holds no inputs: write {_example(guard)} on a line")
    return found


def _arguments(guard: Guard, line: str, where: str) -> Mapping[str, Any]:
    try:
        given: object = read_json(line)
    except ValueError as error:
        raise ConfigError(f"{where} is no JSON: {error}") from error
    if not isinstance(given, dict):
        raise ConfigError(f"{where} is {given!r}: write an object, {_example(guard)}")
    arguments = cast("dict[str, Any]", given)
    try:
        guard.binder.bind((), arguments)
    except TypeError as error:
        raise ConfigError(
            f"{where} does not fit `{guard.name}`: {error}. Write {_example(guard)}"
        ) from error
    return arguments


def ticket_inputs(guard: Guard) -> Inputs:
    """Return the inputs of tickets that this function left for a person.

    Raises:
        ConfigError: There is none.
    """
    found: Inputs = []
    if store_exists():
        tickets = open_store().tickets.list(states=tuple(TicketState), limit=_TICKETS)
        for ticket in tickets:
            if ticket.function == guard.name and _fits(guard, ticket.inputs):
                found.append(ticket.inputs)
    if not found:
        raise ConfigError(
            f"no inputs are on record for `{guard.name}`: write some to a file, one "
            f"object per line, such as {_example(guard)}, and give it with `--inputs`"
        )
    return found


def _fits(guard: Guard, inputs: Mapping[str, Any]) -> bool:
    try:
        guard.binder.bind((), dict(inputs))
    except TypeError:
        return False
    return True


def _example(guard: Guard) -> str:
    """Return a line that would fit, with the function's own parameters."""
    seen = visible_signature(guard.function, hide_model=guard.pin is not None)
    return json.dumps(
        {
            parameter.name: "..."
            for parameter in seen.parameters.values()
            if parameter.default is parameter.empty
            and parameter.kind not in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}
        }
    )
