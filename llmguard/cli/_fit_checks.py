"""What `llmguard doctor` says about fallbacks: known to work, or not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from ..errors import LLMGuardError
from ..guard import Fitness, Guard, fitness
from ..guard._lone import drill_target, how_proven
from ..store import store_exists
from ._text import age

if TYPE_CHECKING:
    from ..guard._plan import Step

__all__ = ["Known", "fit_checks", "known_fitness"]

Known = dict[tuple[str, str, str], Fitness]
Line = tuple[Literal["ok", "warn"], str, str, str]


def known_fitness() -> Known:
    """Return what the store holds; nothing where there is no usable store."""
    try:
        found = fitness() if store_exists() else []
    except LLMGuardError:  # the store's own finding says what is wrong with it
        found = []
    return {(each.function, each.tier, each.pin): each for each in found}


def fit_checks(guard: Guard, known: Known) -> Iterator[Line]:
    """Yield level, what, detail and repair for each fallback that can be tried out."""
    for step in guard.steps[1:]:
        if how_proven(step):
            pin = "" if step.pins is None else step.pins.current.id
            yield _line(guard, step, known.get((guard.name, step.name, pin)))


def _line(guard: Guard, step: Step, fit: Fitness | None) -> Line:
    what = f"{guard.name} fallback {step.name}"
    if fit is None or not fit.proven or fit.last_proof is None:
        target = drill_target(guard)
        repair = f"llmguard drill {target} --tier {step.name}" if target else ""
        return "warn", what, "UNPROVEN: no good answer within 24 h", repair
    ago = age(time.time() - fit.last_proof)
    bad = f"{fit.failed} of {fit.clean + fit.failed} failed"
    limit = f"failure rate <= {fit.bound:.1%}"
    return "ok", what, f"PROVEN by {fit.source} {ago} ago: {bad}, {limit}", ""
