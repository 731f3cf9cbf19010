"""The assertions of a suite that names none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .._assertion import Assertion
from .._types import Case
from ._contract import checks, schema

if TYPE_CHECKING:
    from ...guard import Guard

__all__ = ["defaults"]


def defaults(guard: Guard, cases: Iterable[Case] = ()) -> tuple[Assertion, ...]:
    """Return the assertions that fit a function and its cases.

    Args:
        guard: The guard of the function.
        cases: The cases; assertions that are about none of them are left out.
    """
    found = [*cases]
    made: list[Assertion] = []
    if guard.contract is not None:
        made.append(schema())
        if guard.contract._checks:  # noqa: SLF001 - it tells no one else
            made.append(checks())
    return tuple(each for each in made if any(map(each.applies, found)) or not found)
