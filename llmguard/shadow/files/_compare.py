"""Two recordings compared request by request, with their repeats."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from .._draw import Draw, Pair
from .._ladder import Ladder
from .._tally import Tally
from ._records import BadRecordError, Fields, Row
from ._spill import Bad, Line, Source, Spill, hash_of

__all__ = ["Comparison", "compare_files"]

_MOST: Final = 16
"""Draws of one request and version that are used."""


@dataclass(kw_only=True)
class Comparison:
    """A tally, and what became of every line.

    Attributes:
        tally: The counts.
        sources: The files that were read.
        only: Requests found on one side only, the incumbent's first.
        surplus: Draws beyond sixteen of one request and version, which are not used.
        same: True when both sides are one recording.
    """

    tally: Tally
    sources: Sequence[Source]
    only: list[int]
    surplus: int = 0
    same: bool = False

    @property
    def bad(self) -> list[str]:
        """The first lines that could not be used."""
        return [text for source in self.sources for text in source.bad.shown]

    @property
    def bad_share(self) -> float:
        """Share of lines and requests that were left out."""
        lines = sum(source.lines for source in self.sources)
        requests = self.tally.requests + sum(self.only)
        bad = sum(source.bad.count for source in self.sources)
        return max(bad / max(lines, 1), sum(self.only) / max(requests, 1))

    def inputs(self) -> dict[str, int]:
        """Return what was read, by name."""
        found: dict[str, int] = {}
        for source in self.sources:
            found[f"lines of {source.path.name}"] = source.lines
            if source.bad.count:
                found[f"bad lines of {source.path.name}"] = source.bad.count
        for name, count in zip(("incumbent", "challenger"), self.only, strict=True):
            if count:
                found[f"requests of the {name} only"] = count
        if self.surplus:
            found["draws beyond 16 of a request"] = self.surplus
        return found

    def notes(self) -> list[str]:
        """Return what a reader must know of the input."""
        found: list[str] = []
        if self.same:
            found.append(
                "both sides are the same recording: no draw is compared with itself, "
                "so the net is 0 by construction"
            )
        digests = {s.digest: s.path.name for s in self.sources if s.side == 0}
        copies = [s for s in self.sources if s.side == 1 and s.digest in digests]
        if copies and not self.same:
            name = digests[copies[0].digest]
            found.append(
                f"{copies[0].path.name!r} is a copy of {name!r}: its draws are not "
                "independent, and the net below means nothing"
            )
        return found


def compare_files(
    a: str | Path,
    b: str | Path,
    *,
    ladder: Ladder,
    repeats_a: Sequence[str | Path] = (),
    repeats_b: Sequence[str | Path] = (),
    fields: Fields | None = None,
    content: bool = True,
    cross: Literal["all", "first"] = "all",
    part: tuple[int, int] = (0, 1),
    redact: Callable[[str], str] | None = None,
    folder: str | Path | None = None,
    part_bytes: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Comparison:
    """Compare two recordings; memory does not grow with their size.

    Args:
        a: The incumbent's outputs: JSON Lines, gzipped when named `.gz`. Several
            lines of one id are repeated draws.
        b: The challenger's.
        ladder: How outputs are compared.
        repeats_a: Further runs of the incumbent on the same requests, or some.
        repeats_b: Further runs of the challenger.
        fields: Where in a record things are.
        content: Keep examples and values.
        cross: See `Tally`.
        part: (k, n): compare only the k-th of n parts of all requests, by a hash of
            the id, from 0; tallies of all parts merge to that of the whole.
        redact: Changes each text before it is kept.
        folder: Where temporary files go, about as large as the recordings.
        part_bytes: Bytes of the input that are in memory at once, about.
        progress: Told the number of requests compared, now and then.

    Raises:
        ConfigError: A file cannot be read.
    """
    where = fields or Fields()
    sources = [Source(path=Path(a), side=0), Source(path=Path(b), side=1)]
    sources += [Source(path=Path(p), side=0, repeat=True) for p in repeats_a]
    sources += [Source(path=Path(p), side=1, repeat=True) for p in repeats_b]
    tally = Tally(
        ladder,
        content=content,
        clustered=bool(where.cluster),
        cross=cross,
        redact=redact,
    )
    made = Comparison(tally=tally, sources=sources, only=[0, 0])
    options: dict[str, Any] = {} if part_bytes is None else {"part_bytes": part_bytes}
    spill = Spill(sources, where, folder=Path(folder) if folder else None, **options)
    for lines in spill.parts():
        made.same = _is_same(sources)
        for pair in _pairs(lines, where, made, part):
            tally.add(pair, same=made.same)
        if progress is not None:
            progress(tally.requests)
    return made


def _is_same(sources: Sequence[Source]) -> bool:
    sides = [sorted(s.digest for s in sources if s.side == side) for side in (0, 1)]
    return sides[0] == sides[1]


def _pairs(
    lines: Sequence[Line], fields: Fields, made: Comparison, part: tuple[int, int]
) -> Iterator[Pair]:
    """Yield the requests of one part that both sides have."""
    groups: dict[str, list[tuple[Line, Row]]] = {}
    for line in lines:
        row = Row(line.text, fields)
        if part[1] == 1 or hash_of(row.request, "part") % part[1] == part[0]:
            groups.setdefault(row.request, []).append((line, row))
    for request, found in groups.items():
        sides: tuple[list[Draw], list[Draw]] = ([], [])
        ordered = sorted(found, key=lambda each: (each[0].source, each[1].sample))
        for line, row in ordered:
            draw = _draw(line, row, made.sources)
            if draw is not None:
                sides[made.sources[line.source].side].append(draw)
        if all(sides):
            made.surplus += sum(max(len(side) - _MOST, 0) for side in sides)
            yield _pair(request, sides, [row for _, row in ordered])
        else:
            for which in (0, 1):
                made.only[which] += bool(sides[which])


def _draw(line: Line, row: Row, sources: Sequence[Source]) -> Draw | None:
    source = sources[line.source]
    try:
        return row.draw()
    except BadRecordError as error:
        bad: Bad = source.bad
        bad.add(source.path, line.number, str(error))
        return None


def _pair(
    request: str, sides: tuple[list[Draw], list[Draw]], rows: Sequence[Row]
) -> Pair:
    a, b = (tuple(side[:_MOST]) for side in sides)
    return Pair.of(
        request,
        a,
        b,
        stratum=next((row.stratum for row in rows if row.stratum), ""),
        cluster=next((row.cluster for row in rows if row.cluster), ""),
        input=next((row.input for row in rows if row.input), ""),
    )
