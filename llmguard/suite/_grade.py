"""Judging a journal again: no version is called."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from ._assemble import assemble
from ._facts import Facts, pin_from
from ._find import find_suite
from ._journal import Journal, read_journal
from ._suite import Suite
from ._tally import Pair, Tally
from ._types import Verdict

if TYPE_CHECKING:
    from ._report import Report

__all__ = ["grade", "suite_for"]


def grade(journal: str | Path, *, suite: Suite | str | Path | None = None) -> Report:
    """Judge a journal again without any call, with changed rates or checks if wanted.

    Args:
        journal: What a run wrote.
        suite: What to judge it with; None for the suite it was run for, as it is now.

    Raises:
        ConfigError: The journal cannot be read, or the suite does not fit it.
    """
    read = read_journal(journal)
    found = suite_for(read, suite)
    found.validate()
    header = read.header
    recorded = any(entry.recorded for entry in read.entries)
    incumbent = header["incumbent"] and pin_from(header["incumbent"])
    tally = Tally(found, paired=incumbent is not None)
    whole = _grade(tally, read)
    times = [entry.sample.at for entry in read.entries if not entry.recorded]
    end = read.ended or {}
    stopped = "decided" if not whole else str(end.get("stopped", "interrupted"))
    costs = [e.sample.cost for e in read.entries if not e.recorded]
    facts = Facts(
        candidate=pin_from(header["candidate"]),
        incumbent=incumbent,
        recorded=recorded,
        seed=header["seed"],
        stopped=stopped,
        reason=str(end.get("reason", "")),
        started=header["started"],
        elapsed=max(times, default=0.0) - min(times, default=0.0),
        cost=None if None in costs else sum(c or 0.0 for c in costs),
        journal=str(read.path),
        notes=_graded_notes(found, header),
    )
    return assemble(tally, facts)


def _grade(tally: Tally, journal: Journal) -> bool:
    """Feed a journal; True when all of it was used and nothing ended it before."""
    whole = _feed(tally, journal)
    tally.finish()
    return whole


def _feed(tally: Tally, journal: Journal) -> bool:
    """Feed it as the run did: to the end, or to the first decision."""
    full = bool(journal.header["settings"]["full"])
    rounds: dict[int, list[Pair]] = defaultdict(list)
    for pair in _pairs(journal, tally):
        rounds[pair.round].append(pair)
    closed = {one["number"] for one in journal.events if one["event"] == "round"}
    for number, pairs in sorted(rounds.items()):
        for pair in pairs:
            tally.take(pair)
            if _done(tally, full=full) and pair is not pairs[-1]:
                return False
        if number in closed:  # nothing is accepted within a round
            tally.close()
        if _done(tally, full=full):
            return False
    return True


def _done(tally: Tally, *, full: bool) -> bool:
    """Tell whether the run stopped here."""
    if not full or tally.verdict is Verdict.ERROR:
        return _settled(tally)
    return _settled(tally) and not any(map(tally.open, tally.cases))


def _settled(tally: Tally) -> bool:
    return tally.verdict is not Verdict.UNDECIDED


def _pairs(journal: Journal, tally: Tally) -> list[Pair]:
    """Return the journal's pairs in dispatch order; a case that is gone is left out."""
    others = {
        (one.sample.case, one.sample.round): one
        for one in journal.entries
        if one.sample.arm == "incumbent"
    }
    found = [
        Pair(s.case, s.round, entry, others.get((s.case, s.round)))
        for entry in journal.entries
        if (s := entry.sample).arm == "candidate" and s.case in tally.cases
    ]
    if not found:
        raise ConfigError(
            f"{str(journal.path)!r} holds no call of a case of suite "
            f"`{tally.suite.name}`: name the suite it was run for"
        )
    return found


def suite_for(journal: Journal, suite: Suite | str | Path | None = None) -> Suite:
    """Return the suite to judge a journal with: the one given, else its own.

    Raises:
        ConfigError: Its own cannot be found any more.
    """
    if isinstance(suite, Suite):
        return suite
    if suite is not None:
        return find_suite(suite)
    header = journal.header
    source = str(header["source"])
    if source.endswith(".toml") and Path(source).is_file():
        return find_suite(source)
    return find_suite(header["target"] or header["suite"])


def _graded_notes(suite: Suite, header: Mapping[str, Any]) -> tuple[str, ...]:
    if suite.digest == header["suite_digest"]:
        return ()
    what = "judged anew with a suite that differs from the one it was run for"
    return (f"{what}; calls were chosen by the old one",)
