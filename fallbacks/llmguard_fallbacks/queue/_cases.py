"""People's answers as cases of a contract suite."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from llmguard.errors import ConfigError
from llmguard.store import ProposedCase, Store

__all__ = ["CasesWritten", "case_document", "export_cases"]

_MOST = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CasesWritten:
    """What an export did.

    Attributes:
        written: Cases added to the file.
        known: Cases that it had, by their id.
        redacted: Ids of cases left out because their inputs hide something: a suite
            would call the function with what is not there.
    """

    written: int
    known: int
    redacted: tuple[str, ...]


def case_document(case: ProposedCase) -> dict[str, object]:
    """Return a case as a line of a suite's cases file has it."""
    return {
        "id": f"ticket-{case.ticket_id}",
        "inputs": dict(case.inputs),
        "expected": case.expected,
        "tags": ["queue"],
        "meta": {
            "ticket": case.ticket_id,
            "function": case.function,
            "contract": case.contract,
            "accepted_by": case.decided_by,
        },
    }


def export_cases(
    store: Store, path: Path, *, function: str | None = None
) -> CasesWritten:
    """Add accepted cases to a JSONL file of a suite; those it has stay as they are.

    Args:
        store: Has the cases.
        path: The file; made when missing, replaced as a whole.
        function: Only cases of this function.

    Raises:
        ConfigError: The file cannot be read or written, or is no JSONL of cases.
    """
    if path.suffix.lower() not in {".jsonl", ".ndjson"}:
        raise ConfigError(
            f"cases are added to JSONL files: {str(path)!r} should end in `.jsonl`"
        )
    found = store.feedback.cases(state="accepted", function=function, limit=_MOST)
    known = _known(path)
    fresh = [case for case in found if f"ticket-{case.ticket_id}" not in known]
    hidden = [case.ticket_id for case in fresh if case.redacted]
    usable = [case for case in fresh if not case.redacted]
    if usable:
        _append(path, usable)
    return CasesWritten(
        written=len(usable), known=len(found) - len(fresh), redacted=tuple(hidden)
    )


def _known(path: Path) -> set[str]:
    if not path.exists():
        return set()
    from llmguard.suite._cases import read_cases

    return {case.id for case in read_cases(path)}


def _append(path: Path, cases: Iterable[ProposedCase]) -> None:
    """Write a new file beside the old one and put it in its place."""
    lines = [json.dumps(case_document(case)) for case in cases]
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        before = path.read_text("utf-8") if path.exists() else ""
        if before and not before.endswith("\n"):
            before += "\n"
        draft.write_text(before + "\n".join(lines) + "\n", encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise ConfigError(
            f"the cases file {str(path)!r} cannot be written: {error}"
        ) from error
