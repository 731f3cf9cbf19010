"""What a process counts about one shadow between two exchanges with the store."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from ...store import ShadowCount, ShadowPair

__all__ = ["Counts"]

_MAX_CELLS = 5_000
_MAX_PAIRS = 1_000
Key = tuple[str, str, str, str]


class Counts:
    """Increments by function, incumbent, stratum and name; pairs that wait.

    Any thread may add; the keeper drains. A store that is down for long costs counts,
    never memory or calls.
    """

    __slots__ = ("_cells", "_lock", "_pairs", "lost", "spent")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cells: dict[Key, list[float]] = {}
        self._pairs: list[ShadowPair] = []
        self.spent = 0.0
        self.lost = 0

    def add(
        self,
        name: str,
        *,
        function: str,
        incumbent: str = "",
        stratum: str = "",
        n: int = 1,
        total: float = 0.0,
    ) -> None:
        """Count something."""
        key = (function, incumbent, stratum, name)
        with self._lock:
            cell = self._cells.get(key)
            if cell is None:
                if len(self._cells) >= _MAX_CELLS:
                    self.lost += 1
                    return
                cell = self._cells[key] = [0, 0.0]
            cell[0] += n
            cell[1] += total

    def spend(self, cost: float) -> None:
        """Add what a call has cost."""
        with self._lock:
            self.spent += cost

    def keep(self, pair: ShadowPair) -> None:
        """Have a pair written at the next exchange."""
        with self._lock:
            if len(self._pairs) >= _MAX_PAIRS:
                self.lost += 1
                return
            self._pairs.append(pair)

    def drain(self, run: str) -> tuple[list[ShadowCount], list[ShadowPair], float]:
        """Return counts, pairs and costs since the last time, and start again."""
        with self._lock:
            cells, self._cells = self._cells, {}
            pairs, self._pairs = self._pairs, []
            spent, self.spent = self.spent, 0.0
        rows = [
            ShadowCount(
                run=run,
                function=function,
                incumbent=incumbent,
                stratum=stratum,
                name=name,
                n=int(n),
                total=total,
            )
            for (function, incumbent, stratum, name), (n, total) in cells.items()
        ]
        return rows, pairs, spent

    def put_back(
        self, rows: Sequence[ShadowCount], pairs: Sequence[ShadowPair], spent: float
    ) -> None:
        """Take again what the store did not."""
        for row in rows:
            self.add(
                row.name,
                function=row.function,
                incumbent=row.incumbent,
                stratum=row.stratum,
                n=row.n,
                total=row.total,
            )
        for pair in pairs:
            self.keep(pair)
        self.spend(spent)
