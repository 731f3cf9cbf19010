"""Lines of several files brought together by id, in memory that does not grow.

Lines are dealt by a hash of their id to so many parts that each part fits into memory;
the parts lie in a temporary folder, unless all of it is small. A part that turns out
too large is dealt again.
"""

from __future__ import annotations

import gzip
import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, cast

from ...errors import ConfigError
from ._records import BadRecordError, Fields, Row

__all__ = ["Bad", "Line", "Source", "Spill", "hash_of"]

_PART: Final = 4 * 2**20
"""Bytes of a part; reading them takes about ten times that."""
_MOST_PARTS: Final = 128
_PACKED: Final = 8
"""Times that compressed lines grow, as a first guess."""
_TOO_LARGE: Final = 1.25
_DEEPEST: Final = 3
_SHOWN: Final = 20
_BUFFER: Final = 1 << 16
_BUFFERS: Final = 1 << 20
"""Bytes that all files of one deal hold back together."""


@dataclass(kw_only=True)
class Bad:
    """Lines that could not be used."""

    count: int = 0
    shown: list[str] = field(default_factory=list[str])

    def add(self, path: Path, number: int, why: str) -> None:
        """Count a line; the first twenty are kept for the report."""
        self.count += 1
        if len(self.shown) < _SHOWN:
            self.shown.append(f"{path.name}, line {number}: {why}")


@dataclass(kw_only=True)
class Source:
    """One file, and what was found in it.

    Attributes:
        path: JSON Lines, gzipped when its name ends in `.gz`.
        side: 0 for the incumbent, 1 for the challenger.
        repeat: True for a second run of the same version.
        lines: Lines read.
        bad: Lines that could not be used.
        digest: Digest of the lines; empty before they were read.
    """

    path: Path
    side: int
    repeat: bool = False
    lines: int = 0
    bad: Bad = field(default_factory=Bad)
    digest: str = ""

    def size(self) -> int:
        """Return about how many bytes its lines have.

        Raises:
            ConfigError: The file is missing.
        """
        try:
            size = self.path.stat().st_size
        except OSError as error:
            raise ConfigError(f"{str(self.path)!r} cannot be read: {error}") from error
        return size * (_PACKED if self.path.suffix == ".gz" else 1)

    def open(self) -> BinaryIO:
        """Open it for reading."""
        if self.path.suffix == ".gz":
            return cast("BinaryIO", gzip.open(self.path, "rb"))
        return self.path.open("rb")

    def rows(self, fields: Fields) -> Iterator[tuple[int, bytes, str]]:
        """Yield number, line and id of the lines that have one; count the others.

        Raises:
            ConfigError: The file cannot be read on.
        """
        digest = hashlib.blake2b(digest_size=16)
        number = 0
        try:
            with self.open() as file:
                for number, raw in enumerate(file, start=1):
                    line = raw.strip()
                    if not line:
                        continue
                    self.lines += 1
                    digest.update(line)
                    digest.update(b"\n")
                    try:
                        request = Row(line, fields).request
                    except BadRecordError as error:
                        self.bad.add(self.path, number, str(error))
                        continue
                    yield number, line, request
        except (OSError, EOFError) as error:
            raise ConfigError(
                f"{str(self.path)!r} cannot be read beyond line {number}: {error}"
            ) from error
        self.digest = digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Line:
    """One line, with the number of its source and its own."""

    source: int
    number: int
    text: bytes


class Spill:
    """Deals the lines of sources to parts, and gives back whole parts.

    Args:
        sources: The files.
        fields: Where in a record things are.
        folder: Where temporary files go; the system's own unless given.
        part_bytes: Bytes of a part.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        fields: Fields,
        *,
        folder: Path | None = None,
        part_bytes: int = _PART,
    ) -> None:
        self._sources, self._fields = sources, fields
        self._folder, self._part_bytes = folder, part_bytes

    def parts(self) -> Iterator[list[Line]]:
        """Yield the lines of one part after the other; an id is in one part only.

        Raises:
            ConfigError: A file cannot be read.
        """
        total = sum(source.size() for source in self._sources)
        if total <= self._part_bytes:
            yield list(self._lines())
            return
        with tempfile.TemporaryDirectory(dir=self._folder, prefix="llmguard-") as name:
            folder = Path(name)
            count = min(max(total // self._part_bytes, 2), _MOST_PARTS)
            _deal(self._keyed(), folder, count, salt="0")
            for path in sorted(folder.iterdir()):
                yield from self._part(path, 1)

    def _lines(self) -> Iterator[Line]:
        for index, source in enumerate(self._sources):
            for number, line, _ in source.rows(self._fields):
                yield Line(index, number, line)

    def _keyed(self) -> Iterator[tuple[str, Line]]:
        for index, source in enumerate(self._sources):
            for number, line, request in source.rows(self._fields):
                yield request, Line(index, number, line)

    def _part(self, path: Path, depth: int) -> Iterator[list[Line]]:
        size = path.stat().st_size
        if size <= _TOO_LARGE * self._part_bytes or depth > _DEEPEST:
            lines = list(_read(path))
            path.unlink()
            yield lines
            return
        below = path.with_suffix(f".{depth}")
        below.mkdir()
        keyed = ((Row(line.text, self._fields).request, line) for line in _read(path))
        count = min(size // self._part_bytes + 1, _MOST_PARTS)
        _deal(keyed, below, count, salt=str(depth))
        path.unlink()
        for part in sorted(below.iterdir()):
            yield from self._part(part, depth + 1)


def hash_of(request: str, salt: str = "") -> int:
    """Return a number of 64 bits for an id, the same in every process."""
    raw = f"{salt}\0{request}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), "big")


def _deal(
    lines: Iterator[tuple[str, Line]], folder: Path, count: int, *, salt: str
) -> None:
    with ExitStack() as stack:
        held = max(_BUFFERS // count, 1 << 12)
        files = [
            stack.enter_context((folder / f"{i:03}.part").open("wb", held))
            for i in range(count)
        ]
        for request, line in lines:
            file = files[hash_of(request, salt) % count]
            file.write(b"%d %d " % (line.source, line.number) + line.text + b"\n")


def _read(path: Path) -> Iterator[Line]:
    with path.open("rb", _BUFFER) as file:
        for raw in file:
            source, number, text = raw.rstrip(b"\n").split(b" ", 2)
            yield Line(int(source), int(number), text)
