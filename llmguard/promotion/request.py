"""What a gate is asked: may this pin go to this stage of this route, as things are?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..pins import Lock, Pin
from ..store import MAX_WEIGHT, LedgerCheck, RouteState, Stage, Store
from .settings import Rules
from .types import GateResult, GateState

__all__ = [
    "Gate",
    "Request",
    "failed",
    "passed",
    "percent",
    "target_text",
    "unknown",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One move, with everything that decides about it.

    Attributes:
        store: Evidence, activity, breakers and the ledger.
        env: Environment.
        route: Route.
        pin: The pin that would move.
        to: `shadow`, `canary`, `active` or `resume`.
        weight: Basis points of the canary, else None.
        state: The route in the ledger, as it was when the question was asked.
        incumbent: The pin that serves now; None when the lock has lost it.
        lock: What may run.
        rules: The gates asked for.
        actor: Who wants it.
        now: Epoch seconds.
        root: Where relative paths of the settings start.
        evidence: Digests that the gates asked before rest on.
        check: A walk along the ledger's chain that was just made; None to make one.
    """

    store: Store
    env: str
    route: str
    pin: Pin
    to: str
    weight: int | None
    state: RouteState
    incumbent: Pin | None
    lock: Lock
    rules: Rules
    actor: str
    now: float
    root: Path
    evidence: tuple[str, ...] = ()
    check: LedgerCheck | None = None

    @property
    def stage(self) -> Stage | None:
        """Where the pin is now; None when the ledger does not know it."""
        return self.state.stages.get(self.pin.id)

    @property
    def command(self) -> str:
        """The command that asks for the same move."""
        if self.to == "resume":
            return f"llmguard resume {self.pin.id}{self.env_option}"
        return f"llmguard promote {self.pin.id} {self.target}{self.env_option}"

    @property
    def target(self) -> str:
        """`--to` and `--weight`, as the command takes them."""
        return target_text(self.to, self.weight)

    @property
    def env_option(self) -> str:
        """` --env ENV`, unless it is the environment of this process."""
        from .. import config

        return "" if self.env == config.load().env else f" --env {self.env}"


Gate = Callable[[Request], GateResult]
"""A gate; yours are named `module:function` under `custom`."""


def passed(gate: str, reason: str, *, evidence: tuple[str, ...] = ()) -> GateResult:
    """Say that a gate passes."""
    return GateResult(gate=gate, state=GateState.PASS, reason=reason, evidence=evidence)


def failed(
    gate: str, reason: str, repair: str, *, evidence: tuple[str, ...] = ()
) -> GateResult:
    """Say that a gate fails, and what would change that."""
    return GateResult(
        gate=gate,
        state=GateState.FAIL,
        reason=reason,
        repair=repair,
        evidence=evidence,
    )


def unknown(gate: str, reason: str, repair: str) -> GateResult:
    """Say that a gate cannot decide, and what would let it."""
    return GateResult(gate=gate, state=GateState.UNKNOWN, reason=reason, repair=repair)


def percent(weight: int) -> str:
    """Write basis points as per cent: `5%`, `0.25%`."""
    return f"{weight * 100 / MAX_WEIGHT:g}%"


def target_text(to: str, weight: int | None) -> str:
    """Write a target as the options of `llmguard promote`."""
    return f"--to {to}" + ("" if weight is None else f" --weight {percent(weight)}")
