"""Asking every gate of a move; what crashed did not pass."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from dataclasses import replace
from typing import Final, cast

from ..errors import LLMGuardError
from ..suite._load import load_attribute
from ._gate_approvals import approvals_gate
from ._gate_canary import canary_gate
from ._gate_facts import fallback_gate, horizon_gate, ledger_gate
from ._gate_shadow import shadow_gate
from ._gate_suite import suite_gate
from .request import Gate, Request, unknown
from .types import GateResult

__all__ = ["ask", "describe"]

_CUSTOM: Final = "custom"


def ask(request: Request) -> tuple[GateResult, ...]:
    """Return what every gate of a move says, approvals last.

    Approvals are about what the other gates rest on, so they come after them. A gate
    that raises is unknown: a check that broke before its verdict passed nothing.
    """
    results = [_ask(name, gate, request) for name, gate in _gates(request)]
    evidence = tuple(sorted({d for result in results for d in result.evidence}))
    if request.rules.approvals is not None:
        last = replace(request, evidence=evidence)
        results.append(_ask("approvals", approvals_gate, last))
    return tuple(results)


def describe(gates: tuple[GateResult, ...]) -> str:
    """Lay the gates out for people: one line each, and what would clear it."""
    width = max((len(one.gate) for one in gates), default=0)
    lines: list[str] = []
    for one in gates:
        word = "forced" if one.forced else one.state.value
        lines.append(f"  {word:<7}  {one.gate.ljust(width)}  {one.reason}")
        if one.blocks and one.repair:
            lines.append(f"  {'':<7}  {'':<{width}}  -> {one.repair}")
    return "\n".join(lines)


def _gates(request: Request) -> Iterator[tuple[str, Gate]]:
    rules = request.rules
    yield "ledger", ledger_gate
    if rules.suite is not None:
        yield "suite", suite_gate
    if rules.shadow is not None:
        yield "shadow", shadow_gate
    if rules.canary is not None:
        yield "canary", canary_gate
    if rules.horizon is not None:
        yield "horizon", horizon_gate
    if rules.fallback:
        yield "fallback", fallback_gate
    for name in rules.custom:
        yield f"{_CUSTOM}:{name}", _custom(name)


def _ask(name: str, gate: Gate, request: Request) -> GateResult:
    try:
        found = gate(request)
    except LLMGuardError as error:
        return unknown(name, str(error), f"repair that, then `{request.command}`")
    except Exception as error:  # noqa: BLE001 - a crash of a gate is no verdict
        at = traceback.extract_tb(error.__traceback__)[-1]
        return unknown(
            name,
            f"it crashed before its verdict: {type(error).__name__}: {error} "
            f"({at.filename}:{at.lineno})",
            f"repair the gate, then `{request.command}`",
        )
    # A gate of somebody else's may return anything.
    if not isinstance(found, GateResult):  # pyright: ignore[reportUnnecessaryIsInstance] - nobody checks theirs
        return unknown(
            name,
            f"it returned {found!r}, which is no verdict",
            "return `passed(...)`, `failed(...)` or `unknown(...)` of "
            "`llmguard.promotion`",
        )
    return replace(found, gate=name)


def _custom(name: str) -> Gate:
    def gate(request: Request) -> GateResult:
        function = load_attribute(name, base=request.root, where=f"gate {name!r}")
        if not callable(function):
            return unknown(
                name,
                f"{name!r} is {function!r}, not a function",
                "name a function of a `Request` under `custom`",
            )
        return cast("Gate", function)(request)

    return gate
