"""One run per suite and test session, however many processes share the session."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..suite import Report, Suite

__all__ = ["SuiteError", "SuiteRuns"]

_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class SuiteError:
    """Why a run ended without a report; says nothing about the candidate."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(slots=True, kw_only=True)
class SuiteRuns:
    """Runs each suite when its first assertion is asked for, and keeps the report.

    Attributes:
        folder: Shared by the processes of one session: reports, and one lock a suite.
        journals: Where journals are written.
        candidate: The version under test, as a command line names it.
        options: More arguments of `llmguard.suite.run`.
    """

    folder: Path
    journals: Path
    candidate: str
    options: dict[str, Any]
    _found: dict[str, Report | SuiteError] = field(
        default_factory=dict["str", "Report | SuiteError"]
    )

    def report(self, suite: Suite) -> Report | SuiteError:
        """Return the report of a suite's only run in this session, or why none is."""
        if suite.name not in self._found:
            with self._alone(suite):
                self._found[suite.name] = self.known(suite) or self._run(suite)
        return self._found[suite.name]

    def known(self, suite: Suite) -> Report | SuiteError | None:
        """Return what some process of this session has found; None for nothing yet."""
        from ..suite import render

        try:
            document = json.loads(self._path(suite, "json").read_text("utf-8"))
        except FileNotFoundError:
            return None
        if "failed" in document:
            return SuiteError(document["failed"])
        return render.load(document)

    @contextmanager
    def _alone(self, suite: Suite) -> Generator[None]:
        """Wait until no other process runs the suite.

        SQLite's file lock works on every system, and that of a process that died is
        free again.
        """
        path = self._path(suite, "lock")
        with closing(sqlite3.connect(path, timeout=_DAY, isolation_level=None)) as held:
            held.execute("BEGIN EXCLUSIVE")
            yield

    def _run(self, suite: Suite) -> Report | SuiteError:
        from ..errors import LLMGuardError
        from ..store import open_store
        from ..suite import render, run

        try:
            report = run(
                suite,
                self.candidate,
                store=open_store(),
                **self._journal(suite),
                **self.options,
            )
        except (LLMGuardError, OSError) as error:
            self._keep(suite, json.dumps({"failed": str(error)}))
            return SuiteError(str(error))
        self._keep(suite, render.json(report))
        return report

    def _keep(self, suite: Suite, text: str) -> None:
        """Write what was found, in one step."""
        part = self._path(suite, "part")
        part.write_text(text, encoding="utf-8")
        part.replace(self._path(suite, "json"))

    def _journal(self, suite: Suite) -> dict[str, Any]:
        """Return the journal to write, or to go on with where a process died."""
        note = self._path(suite, "journal")
        if note.exists():
            begun = Path(note.read_text("utf-8"))
            if begun.exists() and begun.stat().st_size:
                return {"resume": begun}
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
        path, number = self.journals / f"{suite.name}-{stamp}.jsonl", 1
        while path.exists():
            number += 1
            path = self.journals / f"{suite.name}-{stamp}-{number}.jsonl"
        note.write_text(str(path.resolve()), encoding="utf-8")
        return {"journal": path}

    def _path(self, suite: Suite, ending: str) -> Path:
        return self.folder / f"{suite.name}.{ending}"
