"""Cases whose answers do not vary, so that asking again tells nothing new."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ._types import Sample

if TYPE_CHECKING:
    from ._tally import Pair

__all__ = ["ENOUGH", "Repeats"]

ENOUGH: Final = 5
"""Equal answers in a row from the first one on. Another answer still has a chance of up
to 1 - 0.05^(1/5) = 45 % (95 % confidence), so nothing is counted for calls not made."""


class Repeats:
    """Finds cases whose first five answers of the candidate are the same bytes."""

    def __init__(self) -> None:
        self._found: dict[str, int] = {}
        self._seen: dict[str, tuple[str, int]] = {}
        self._varied: set[str] = set()
        self._read = 0

    def read(self, pairs: Sequence[Pair], number: int) -> None:
        """Read the pairs that were added up to the end of round `number`."""
        for pair in pairs[self._read :]:
            if pair.case not in self._varied and self._add(pair):
                self._found[pair.case] = number
        self._read = len(pairs)

    def found_in(self, number: int) -> tuple[str, ...]:
        """Return the cases that were found at the end of a round."""
        return tuple(case for case, at in self._found.items() if at == number)

    def _add(self, pair: Pair) -> bool:
        sample = pair.candidate.sample
        if sample.infrastructure:
            return False
        said = _said(sample)
        first, count = self._seen.setdefault(pair.case, (said, 0))
        if said != first:
            self._varied.add(pair.case)
            return False
        self._seen[pair.case] = (first, count + 1)
        return count + 1 == ENOUGH

    @property
    def same(self) -> tuple[str, ...]:
        """Cases that have answered alike so far, at least that often."""
        return tuple(case for case in self._found if case not in self._varied)


def _said(sample: Sample) -> str:
    """Return everything that a version decides of an answer."""
    parts = [sample.kind, sample.text, sample.value, sample.refusal, sample.tool_calls]
    return json.dumps(parts, default=str, sort_keys=True)
