"""Tallies of processes that are gone become one: workers that restart leave many."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from .._ladder import Ladder
from .._tally import Tally

if TYPE_CHECKING:
    from ...store import ShadowTally, Store

__all__ = ["fold", "merged"]

_GONE_AFTER: Final = 3600.0
"""Seconds without a word: a process that had no traffic began a new one long ago."""
_MANY: Final = 8


class _StoredLadder(Ladder):
    """The ladder that a stored tally was made with, known by its digest alone."""

    __slots__ = ("_stored",)

    def __init__(self, digest: str) -> None:
        super().__init__()
        self._stored = digest

    @property
    def digest(self) -> str:
        """Digest of the ladder that made the tally."""
        return self._stored


def merged(documents: Iterable[Mapping[str, Any]], digest: str) -> Tally:
    """Return the sum of stored tallies of one ladder.

    Args:
        documents: At least one, from `Tally.document`.
        digest: The ladder's.

    Raises:
        ConfigError: They do not belong together.
    """
    ladder = _StoredLadder(digest)
    first, *others = (Tally.load(each, ladder) for each in documents)
    for each in others:
        first.merge(each)
    return first


def fold(store: Store, run: str, *, now: float) -> int:
    """Fold what processes have left that are gone; returns how many rows went.

    Args:
        store: Where they are.
        run: Id of the run.
        now: Epoch seconds.

    Raises:
        StoreError: The store could not.
    """
    rows = [row for row in store.shadow.tallies(run) if row.at < now - _GONE_AFTER]
    keyed = sorted(((*_key(row), row.process), row) for row in rows)
    folded = 0
    for key, group in groupby(keyed, key=lambda each: each[0][:3]):
        mine = [row for _, row in group]
        if len(mine) > _MANY and store.shadow.fold_tallies(mine, _sum(mine, key[2])):
            folded += len(mine) - 1
    return folded


def _key(row: ShadowTally) -> tuple[str, str, str]:
    binding = {k: v for k, v in json.loads(row.body).items() if k in _BINDING}
    return row.function, row.incumbent, json.dumps(binding, sort_keys=True)


_BINDING: Final = frozenset({"ladder", "content", "clustered", "cross", "format"})


def _sum(rows: Sequence[ShadowTally], binding: str) -> ShadowTally:
    digest = str(json.loads(binding)["ladder"])
    whole = merged((json.loads(row.body) for row in rows), digest)
    text = json.dumps(whole.document(), ensure_ascii=False, separators=(",", ":"))
    newest = max(rows, key=lambda row: row.at)
    # Under a name of its own: a process that was taken for gone only starts again.
    process = f"folded/{newest.process}/{len(rows)}"[-200:]
    return replace(newest, process=process, body=text)
