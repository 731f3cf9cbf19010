"""A dictionary of bounded size that ends the same in whatever order it was filled."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

__all__ = ["Bounded", "rank_of"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def rank_of(key: object) -> tuple[int, ...]:
    """Return a number of 64 bits that is the same in every process, as a rank."""
    raw = repr(key).encode("utf-8", "surrogatepass")
    return (int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), "big"),)


class Bounded(Generic[K, V]):
    """At most `most` keys: those of lowest rank, all they counted included.

    The rank of a key depends on the key alone. A key that is among the lowest at the
    end was among the lowest all the time, so nothing of it is ever missing, and parts
    that were filled apart merge into what one would have been (a bottom-k sample).
    What falls out is folded into `rest`.

    Args:
        most: Keys to keep.
        make: Makes an empty value.
        fold: Adds the second value into the first.
        rank: Order of keys; a hash unless given.
    """

    __slots__ = (
        "_fold",
        "_make",
        "_rank",
        "_ranks",
        "_worst",
        "dropped",
        "kept",
        "most",
        "rest",
    )

    def __init__(
        self,
        most: int,
        make: Callable[[], V],
        fold: Callable[[V, V], None],
        *,
        rank: Callable[[K], tuple[int, ...]] = rank_of,
    ) -> None:
        self.most = most
        self._make, self._fold, self._rank = make, fold, rank
        self.kept: dict[K, V] = {}
        self.rest: V = make()
        self.dropped = False
        self._ranks: dict[K, tuple[int, ...]] = {}
        self._worst: K | None = None

    def __iter__(self) -> Iterator[K]:
        return iter(self.kept)

    def __len__(self) -> int:
        return len(self.kept)

    def at(self, key: K) -> V:
        """Return the value to add to: the key's own, or the rest."""
        found = self.kept.get(key)
        if found is not None:
            return found
        rank = self._rank(key)
        if len(self.kept) >= self.most:
            if self._worst is None:
                self._worst = max(self._ranks, key=self._ranks.__getitem__)
            self.dropped = True
            if self._ranks[self._worst] < rank:
                return self.rest
            self._drop(self._worst)
        self._ranks[key] = rank
        self.kept[key] = made = self._make()
        return made

    def merge(self, other: Bounded[K, V]) -> None:
        """Take in another one, filled apart."""
        for key, value in other.kept.items():
            self._fold(self.at(key), value)
        self._fold(self.rest, other.rest)
        self.dropped = self.dropped or other.dropped

    def _drop(self, key: K) -> None:
        self._worst = None
        self._fold(self.rest, self.kept.pop(key))
        del self._ranks[key]
