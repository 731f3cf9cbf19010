"""The journal: every call of a run, appended as it ends and never changed.

One JSON object a line: a header that says what was run, then one line per call, and
events (`resumed`, `end`) between them. A line that a crash cut short is dropped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from .._nested import read_json
from ..errors import ConfigError
from ._lines import Entry, entry_of, line_of

__all__ = ["JOURNAL_FORMAT", "Journal", "JournalWriter", "read_journal"]

JOURNAL_FORMAT: Final = 1
_MARK: Final = "llmguard_journal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """What a file held.

    Attributes:
        path: The file.
        header: What was run: suite and its digest, pins, seed, settings.
        entries: The calls in dispatch order.
        events: What happened to the run, in the order it was written.
        size: Bytes up to the end of the last whole line.
    """

    path: Path
    header: Mapping[str, Any]
    entries: tuple[Entry, ...]
    events: tuple[Mapping[str, Any], ...]
    size: int

    @property
    def ended(self) -> Mapping[str, Any] | None:
        """The last `end`, when nothing was called since; None for a broken run."""
        last = self.events[-1] if self.events else None
        return last if last is not None and last["event"] == "end" else None


def read_journal(path: str | Path) -> Journal:
    """Read a journal.

    Raises:
        ConfigError: There is none, it is of a newer format, or damaged before its last
            line.
    """
    path = Path(path)
    try:
        body = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"the journal {str(path)!r} cannot be read ({error.strerror}); "
            "`llmguard suite run` writes one for each run and prints its path"
        ) from error
    found = _Reading(path)
    for number, line in enumerate(body.split(b"\n")[:-1], start=1):
        found.feed(line, number)
    return found.journal(body)


@dataclass(slots=True)
class _Reading:
    """A journal while it is read."""

    path: Path
    header: Mapping[str, Any] | None = None
    entries: dict[tuple[str, str, int], Entry] = field(
        default_factory=dict[tuple[str, str, int], Entry]
    )
    events: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])

    def feed(self, line: bytes, number: int) -> None:
        """Read one whole line."""
        try:
            document = read_json(line)
            if number == 1:
                self._begin(document)
            elif "event" in document:
                self.events.append(document)
            else:
                self._add(entry_of(document))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(
                f"{str(self.path)!r}, line {number}: no line of a journal ({error!r}); "
                "only a cut last line is repaired, so take a copy that is whole, or "
                "run the suite anew"
            ) from error

    def _begin(self, document: dict[str, Any]) -> None:
        version = document.get(_MARK)
        if version is None:
            raise ConfigError(
                f"{str(self.path)!r} is no journal: its first line lacks `{_MARK}`"
            )
        if version != JOURNAL_FORMAT:
            raise ConfigError(
                f"{str(self.path)!r} is a journal of format {version!r}, this llmguard "
                f"reads {JOURNAL_FORMAT}: `pip install --upgrade llmguard-toolkit`"
            )
        self.header = document

    def _add(self, entry: Entry) -> None:
        sample = entry.sample
        key = (sample.arm, sample.case, sample.round)
        if key in self.entries:
            raise ConfigError(
                f"{str(self.path)!r} holds round {sample.round} of case "
                f"{sample.case!r} twice: two runs wrote to it; take an earlier copy"
            )
        self.entries[key] = entry

    def journal(self, body: bytes) -> Journal:
        """Return what was read."""
        if self.header is None:
            raise ConfigError(
                f"{str(self.path)!r} is no journal: it has no whole first line"
            )
        entries = sorted(self.entries.values(), key=lambda one: one.sample.order)
        return Journal(
            path=self.path,
            header=self.header,
            entries=tuple(entries),
            events=tuple(self.events),
            size=body.rfind(b"\n") + 1,
        )


class JournalWriter:
    """Appends to a journal; what was written survives the death of this process.

    Use `create` or `resume`, and the result in a `with` block.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def create(cls, path: str | Path, header: Mapping[str, Any]) -> Self:
        """Start a journal.

        Raises:
            ConfigError: The file exists.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            made = cls(path, _open(path, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            raise ConfigError(
                f"the journal {str(path)!r} exists: go on with it with `--resume "
                f"{path}`, or name another file with `--journal`"
            ) from None
        made.write(json.dumps({_MARK: JOURNAL_FORMAT, **header}, default=str))
        return made

    @classmethod
    def resume(cls, journal: Journal, *, at: float) -> Self:
        """Go on with a journal, without the line that was cut short.

        Raises:
            ConfigError: Another process writes to it.
        """
        made = cls(journal.path, _open(journal.path, 0))
        os.ftruncate(made._descriptor, journal.size)
        made.event("resumed", at=at, entries=len(journal.entries))
        return made

    def append(self, entry: Entry) -> None:
        """Write one call."""
        self.write(line_of(entry))

    def event(self, name: str, **details: object) -> None:
        """Write what happened to the run."""
        self.write(json.dumps({"event": name, **details}, default=str))

    def write(self, line: str) -> None:
        """Write one line in one system call, so that a kill tears at most one.

        Raises:
            ConfigError: The disk is full, or the file cannot be written any more.
        """
        data = (line + "\n").encode("utf-8", "backslashreplace")
        written = 0
        try:
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        except OSError as error:
            # Without its beginning: what comes next must not be glued to it.
            with suppress(OSError):
                size = os.fstat(self._descriptor).st_size
                os.ftruncate(self._descriptor, size - written)
            raise ConfigError(
                f"the journal {str(self.path)!r} cannot be written ({error.strerror}); "
                f"free some space and go on with it: `--resume {self.path}`"
            ) from error

    def sync(self) -> None:
        """Have the disk hold what was written; done once per block."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Let others write to it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()


def _open(path: Path, flags: int) -> int:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | flags, 0o600)
    if not _locked(descriptor):
        os.close(descriptor)
        raise ConfigError(
            f"another run is writing to the journal {str(path)!r}: wait for it, or "
            "name another file with `--journal`"
        )
    return descriptor


def _locked(descriptor: int) -> bool:
    """Take the file for this process, where the system can."""
    with suppress(ImportError):
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True
