"""What became of an answer later: programs that reject it, people who correct it."""

from __future__ import annotations

from ..contract import Contract
from ..errors import ConfigError
from ..guard import guarded_functions
from ..outcome import Kind, Outcome
from ..telemetry.tally import TALLY
from ..telemetry.traffic import TRAFFIC

__all__ = ["report_correction", "report_downstream"]


def report_downstream(outcome: Outcome, *, accepted: bool) -> None:
    """Say whether the program that used an answer accepted it.

    It is counted exactly, as `rejected`, under the version that answered; objectives
    on corrections and rejections are held against it. May come days later.

    Args:
        outcome: Of the call, from `capture()` or `current_outcome()`.
        accepted: False when it could not be used.

    Raises:
        ConfigError: No model answered that call.
    """
    pin = _answered(outcome)
    TALLY.signal(outcome.function, pin, "accepted" if accepted else "rejected")


def report_correction(
    outcome: Outcome, value: object, *, answer: object = None
) -> bool:
    """Say what the right answer would have been.

    Args:
        outcome: Of the call.
        value: The corrected value; the contract's own kind, or plain JSON.
        answer: What the model had said; given, a correction that changes nothing is
            not counted.

    Returns:
        True when it was counted, as `corrected`.

    Raises:
        ConfigError: No model answered that call.
    """
    pin = _answered(outcome)
    contract = _contract(outcome.function)
    if answer is not None and _plain(contract, value) == _plain(contract, answer):
        return False
    TALLY.signal(outcome.function, pin, "corrected")
    TRAFFIC.signal(outcome, "corrected")
    return True


def _answered(outcome: Outcome) -> str:
    if outcome.kind is Kind.OK and outcome.pin:
        return outcome.pin
    raise ConfigError(
        f"call {outcome.call_id} of `{outcome.function}` was answered by no model "
        f"({outcome.tier or outcome.kind}): there is nothing to report of a version"
    )


def _contract(function: str) -> Contract | None:
    found = (one for one in guarded_functions() if one.name == function)
    guard = next(found, None)
    return None if guard is None else guard.contract


def _plain(contract: Contract | None, value: object) -> object:
    if contract is None or contract.is_text or type(value) in {dict, list, str}:
        return value
    return contract.dump(value)
