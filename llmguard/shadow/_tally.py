"""The tally: everything a report needs, in memory that does not grow with requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

from ..contract._digest import digest_of
from ..errors import ConfigError
from ._bounded import Bounded, rank_of
from ._cell import Cell
from ._draw import Draw, Pair
from ._examples import Examples
from ._found import Found, Key, Transition
from ._ladder import Ladder
from ._meters import Meter
from ._reading import Reading
from ._rungs import DIRECTIONS, Rung
from ._series import GROUPS, Series

__all__ = ["Tally"]

_FORMAT: Final = 1
_STRATA: Final = 200
_PATHS: Final = 300
_TRANSITIONS: Final = 3_000
_EXAMPLES: Final = 4


class Tally:
    """Counts of requests compared by one ladder; parts merge to the same answer.

    Args:
        ladder: How draws are compared.
        content: Keep examples with texts, and values that no schema declares.
        clustered: Take the requests of one `Pair.cluster` for dependent.
        cross: `all` compares every draw of the incumbent with every one of the
            challenger; `first` takes the challenger's first draw only, the others
            then serve for its noise alone.
        redact: Changes each text before it is kept; values that no schema declares
            are then not kept in transitions either.
    """

    __slots__ = (
        "_cross",
        "clustered",
        "content",
        "directions",
        "examples",
        "ladder",
        "meters",
        "paths",
        "rungs",
        "strata",
        "transitions",
    )

    def __init__(
        self,
        ladder: Ladder,
        *,
        content: bool = True,
        clustered: bool = False,
        cross: Literal["all", "first"] = "all",
        redact: Callable[[str], str] | None = None,
    ) -> None:
        self.ladder, self.content, self.clustered = ladder, content, clustered
        self._cross = cross
        self.strata: Bounded[str, Cell] = Bounded(_STRATA, Cell, Cell.merge)
        self.rungs = {rung: Series() for rung in Rung}
        self.directions = {name: Series() for name in DIRECTIONS}
        known = frozenset(ladder.rules.paths)
        self.paths: Bounded[str, Series] = Bounded(
            _PATHS, Series, Series.merge, rank=lambda path: _declared(path, known)
        )
        self.transitions: Bounded[Transition, list[int]] = Bounded(
            _TRANSITIONS, lambda: [0, 0, 0], _fold
        )
        self.meters = Meter(), Meter()
        self.examples = Examples(redact)

    @property
    def requests(self) -> int:
        """Requests compared."""
        return sum(cell.sizes.of("raw") for cell in self._cells())

    def total(self) -> Cell:
        """Return the sums over all strata."""
        found = Cell()
        for cell in self._cells():
            found.merge(cell)
        return found

    def _cells(self) -> list[Cell]:
        return [*self.strata.kept.values(), self.strata.rest]

    def add(self, pair: Pair, *, same: bool = False) -> None:
        """Compare the draws of one request and count.

        Args:
            pair: The draws.
            same: Both sides are one recording: a draw is not compared with itself.
        """
        a = [r for draw in pair.draws_a if not (r := self._read(draw, 0)).lost]
        b = [r for draw in pair.draws_b if not (r := self._read(draw, 1)).lost]
        cell = self.strata.at(pair.stratum)
        if not (a and b):
            cell.unmatched += 1
            return
        group = self._group(pair)
        cell.sizes.add(twice_a=len(a) > 1, twice_b=len(b) > 1, group=group)
        found = Found(self.ladder, a, b, cross=self._cross, same=same)
        if not found.differs:
            return
        for key, shares in found.shares().items():
            self._series(cell, key).add(shares, group=group)
        # A redacting hook sees texts, not the many short values of transitions.
        shown = self.content and not self.examples.redacts
        for each, row in found.transitions(content=shown).items():
            _fold(self.transitions.at(each), row)
        if found.first and self.content:
            self._example(pair, found)

    def merge(self, other: Tally) -> None:
        """Take in a part that was counted apart, by the same ladder.

        Raises:
            ConfigError: Another ladder, or another way of counting.
        """
        if self._binding() != other._binding():
            raise ConfigError(
                f"tallies of different ladders or options do not add up: "
                f"{self._binding()!r} and {other._binding()!r}"
            )
        self.strata.merge(other.strata)
        for rung, series in other.rungs.items():
            self.rungs[rung].merge(series)
        for name, series in other.directions.items():
            self.directions[name].merge(series)
        self.paths.merge(other.paths)
        self.transitions.merge(other.transitions)
        for mine, theirs in zip(self.meters, other.meters, strict=True):
            mine.merge(theirs)
        self.examples.merge(other.examples)

    @property
    def digest(self) -> str:
        """Digest of all counts, whatever order they came in; not of examples."""
        return digest_of({k: v for k, v in self.document().items() if k != "examples"})

    def document(self) -> dict[str, Any]:
        """Return it as JSON-able data, for another process to merge."""
        return {
            "format": _FORMAT,
            **self._binding(),
            "strata": _bounded(self.strata, Cell.document),
            "rungs": {str(r.value): s.document() for r, s in self.rungs.items()},
            "directions": {n: s.document() for n, s in self.directions.items()},
            "paths": _bounded(self.paths, Series.document),
            "transitions": _bounded(self.transitions, list[int]),
            "meters": [meter.document() for meter in self.meters],
            "examples": self.examples.document(),
        }

    @classmethod
    def load(
        cls,
        document: Mapping[str, Any],
        ladder: Ladder,
        *,
        redact: Callable[[str], str] | None = None,
    ) -> Tally:
        """Read what `document` wrote.

        Raises:
            ConfigError: It is no tally, of a newer format or of another ladder.
        """
        try:
            made = cls(
                ladder,
                content=document["content"],
                clustered=document["clustered"],
                cross=document["cross"],
                redact=redact,
            )
            if document["format"] != _FORMAT or document["ladder"] != ladder.digest:
                raise ConfigError(
                    f"a tally of format {document['format']!r} and ladder "
                    f"{document['ladder']!r} is not of this one, {ladder.digest!r}"
                )
            _load(made.strata, document["strata"], Cell.load, str, Cell.merge)
            for rung, row in document["rungs"].items():
                made.rungs[Rung(int(rung))].merge(Series.load(row))
            for name, row in document["directions"].items():
                made.directions[name].merge(Series.load(row))
            _load(made.paths, document["paths"], Series.load, str, Series.merge)
            _load(made.transitions, document["transitions"], list[int], _three, _fold)
            for meter, row in zip(made.meters, document["meters"], strict=True):
                meter.merge(Meter.load(row))
            made.examples.load(document["examples"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f"this is no tally ({type(error).__name__}: {error}); write one with "
                "`Tally.document`"
            ) from None
        return made

    def _binding(self) -> dict[str, Any]:
        return {
            "ladder": self.ladder.digest,
            "content": self.content,
            "clustered": self.clustered,
            "cross": self._cross,
        }

    def _read(self, draw: Draw, side: int) -> Reading:
        meter = self.meters[side]
        meter.add(draw)
        found = self.ladder.read(draw)
        if found.lost:
            meter.lost[found.lost] += 1
        else:
            meter.acts[found.act.value] += 1
        return found

    def _group(self, pair: Pair) -> int | None:
        if not self.clustered:
            return None
        return rank_of(pair.cluster or ("request", pair.request))[0] % GROUPS

    def _series(self, cell: Cell, key: Key) -> Series:
        kind = key[0]
        if kind == "main":
            return cell.main
        if kind == "register":
            return cell.register
        if kind == "rung":
            return self.rungs[Rung(int(key[1]))]
        return self.paths.at(key[1]) if kind == "path" else self.directions[key[1]]

    def _example(self, pair: Pair, found: Found) -> None:
        for each in found.first[:_EXAMPLES]:
            self.examples.add(pair, each, stable=found.stable(each))


def _declared(path: str, known: frozenset[str]) -> tuple[int, ...]:
    return (0 if path.startswith("@") or path in known else 1, *rank_of(path))


def _fold(mine: list[int], more: list[int]) -> None:
    for i, value in enumerate(more):
        mine[i] += value


def _bounded(found: Bounded[Any, Any], write: Callable[[Any], Any]) -> dict[str, Any]:
    rows = sorted((key, found.kept[key]) for key in sorted(found))
    return {
        "kept": [[key, write(value)] for key, value in rows],
        "rest": write(found.rest),
        "dropped": found.dropped,
    }


def _load(
    into: Bounded[Any, Any],
    document: Mapping[str, Any],
    read: Callable[[Any], Any],
    key_of: Callable[[Any], Any],
    fold: Callable[[Any, Any], None],
) -> None:
    for key, value in document["kept"]:
        fold(into.at(key_of(key)), read(value))
    fold(into.rest, read(document["rest"]))
    into.dropped = into.dropped or document["dropped"]


def _three(key: Sequence[str]) -> Transition:
    path, before, after = key
    return path, before, after
