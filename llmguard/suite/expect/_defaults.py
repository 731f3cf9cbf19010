"""The assertions of a suite that names none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .._assertion import Assertion
from .._types import Case
from ._contract import checks, schema
from ._correct import correct
from ._detected import compliance, refusal
from ._worst import worst_prompt

if TYPE_CHECKING:
    from ...guard import Guard

__all__ = ["defaults"]


def defaults(guard: Guard, cases: Iterable[Case] = ()) -> tuple[Assertion, ...]:
    """Return the assertions that fit a function and its cases.

    `schema`, `checks` where the contract has some, `refusal`, `compliance` where cases
    must be declined, `correct` (relative to the incumbent) where cases have a
    reference and the function a pin, and the worst prompt of `schema`, which reports
    without a say in the verdict because a claim about every single case costs ten calls
    of each.

    Args:
        guard: The guard of the function.
        cases: The cases; assertions that are about none of them are left out.
    """
    made = [refusal(), compliance()]
    if guard.contract is not None:
        made.insert(0, schema())
        made.append(worst_prompt(gating=False))
        if guard.contract._checks:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - it tells no one else
            made.insert(1, checks())
    if guard.pin is not None:
        made.append(correct())
    found = [*cases]
    return tuple(each for each in made if any(map(each.applies, found)))
