"""The sums of one stratum of the traffic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._series import Series, Sizes

__all__ = ["Cell"]


class Cell:
    """The sums of one stratum.

    Attributes:
        sizes: Requests that each estimand rests on.
        main: Differences on rungs 1 to 4: what the divergence rate counts.
        register: Differences on rung 5.
        unmatched: Requests on which one version could not be compared at all.
    """

    __slots__ = ("main", "register", "sizes", "unmatched")

    def __init__(self) -> None:
        self.sizes, self.main, self.register = Sizes(), Series(), Series()
        self.unmatched = 0

    def merge(self, other: Cell) -> None:
        """Take in another part."""
        self.sizes.merge(other.sizes)
        self.main.merge(other.main)
        self.register.merge(other.register)
        self.unmatched += other.unmatched

    def document(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return {
            "sizes": self.sizes.document(),
            "main": self.main.document(),
            "register": self.register.document(),
            "unmatched": self.unmatched,
        }

    @classmethod
    def load(cls, document: Mapping[str, Any]) -> Cell:
        """Read what `document` wrote."""
        made = cls()
        made.sizes = Sizes.load(document["sizes"])
        made.main = Series.load(document["main"])
        made.register = Series.load(document["register"])
        made.unmatched = document["unmatched"]
        return made
