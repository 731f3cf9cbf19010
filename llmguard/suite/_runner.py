"""The run itself: rounds of calls, at most so many at once, until it is decided.

Everything that decides is elsewhere and pure: the order in `_schedule`, the judging in
`_tally`, the statistics in `stats`. What is here calls, waits, writes and stops.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ..outcome import Kind
from ._assemble import INFRASTRUCTURE_SHARE
from ._lines import Entry
from ._schedule import Schedule, Turn
from ._tally import Pair, Tally
from ._types import Arm, Case, Finding, Sample, Verdict

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ._arms import Version
    from ._assertion import Assertion
    from ._budget import Budget
    from ._caller import Caller
    from ._journal import JournalWriter

__all__ = ["Runner", "Watcher"]

_SURPRISE: Final = 1e-3
_FATAL: Final = frozenset({Kind.AUTH, Kind.WRONG_MODEL})
_GRACE: Final = 5.0
_TAKES: Final = ("", "budget")
"""Why no more calls begin, while those that were paid for are still judged."""

Watcher = Callable[["Runner"], None]
"""Told after each pair and each round; must be quick."""


@dataclass(slots=True, kw_only=True, eq=False)
class Runner:
    """One run.

    Attributes:
        tally: Judges and decides.
        schedule: Deals out the calls.
        versions: The candidate, and the incumbent where it is asked.
        caller: Makes calls.
        budget: What may be spent.
        concurrency: Workers.
        journal: Where calls are written; None for nowhere.
        known: Calls of an earlier part of this run, by arm, case and round.
        baseline: Recorded samples of the incumbent per case, each used once.
        full: Go on after a block, to name everything that broke.
        watch: Told of progress.
        executor: Threads of judges that wait.
        round: The round it is in.
        stopped: Why it ended; empty while it runs.
        reason: More about an error.
    """

    tally: Tally
    schedule: Schedule
    versions: Mapping[Arm, Version]
    caller: Caller
    budget: Budget
    concurrency: int
    journal: JournalWriter | None = None
    known: Mapping[tuple[str, str, int], Entry] = field(
        default_factory=dict[tuple[str, str, int], Entry]
    )
    baseline: Mapping[str, Sequence[Sample]] | None = None
    full: bool = False
    watch: Watcher | None = None
    executor: Executor | None = None
    round: int = 0
    stopped: str = ""
    reason: str = ""
    _workers: Sequence[asyncio.Task[None]] = ()

    async def run(self) -> None:
        """Call until it is decided, or may not go on; `stopped` says which."""
        self._tell()
        for turn, cases in self.schedule.rounds():
            self.round = turn
            asked = [
                (one, self._both(one, turn)) for one in cases if self._asks(one, turn)
            ]
            if not asked:
                self.stopped = "recording" if self._wanted() else ""
                break
            await self._run_round(self.schedule.deal(turn, asked))
            if self.stopped:
                break
        self.tally.finish()
        self._look(at_end=True)
        self.stopped = self.stopped or "cap"

    def stop(self) -> None:
        """Begin no more calls and leave those under way: a person asked for it."""
        self.stopped = self.stopped or "interrupted"
        for worker in self._workers:
            worker.cancel()

    # Who is asked

    def _asks(self, case: str, turn: int) -> bool:
        known = self.tally.cases[case]
        return self.tally.open(case) and self.versions["candidate"].has(known, turn)

    def _both(self, case: str, turn: int) -> bool:
        if "incumbent" not in self.versions:
            return False
        return self.versions["incumbent"].has(self.tally.cases[case], turn)

    def _wanted(self) -> bool:
        """Tell whether any case would still be asked if it could be."""
        return any(map(self.tally.open, self.tally.cases))

    # One round

    async def _run_round(self, turns: Sequence[Turn]) -> None:
        calls = _Calls(turns)
        self._workers = [
            asyncio.create_task(self._work(calls))
            for _ in range(min(self.concurrency, calls.count))
        ]
        try:
            await self._gather(self._workers)
        finally:
            for worker in self._workers:
                worker.cancel()
            await asyncio.gather(*self._workers, return_exceptions=True)
        if calls.whole:
            self.tally.close()
            if self.journal is not None:
                self.journal.event("round", number=self.tally.round)
                self.journal.sync()
        self._look()
        self._tell()

    async def _gather(self, workers: Sequence[asyncio.Task[None]]) -> None:
        """Wait for the workers; once it is decided only so long."""
        pending = set(workers)
        while pending:
            done, pending = await asyncio.wait(
                pending, return_when=asyncio.FIRST_COMPLETED
            )
            for worker in done:
                if not worker.cancelled():
                    worker.result()
            if self.stopped not in _TAKES and pending:
                # Calls under way are paid for: have them in the journal.
                await asyncio.wait(pending, timeout=_GRACE)
                return

    async def _work(self, calls: _Calls) -> None:
        while not self.stopped and (call := calls.next()) is not None:
            place, arm, order = call
            turn = calls.turns[place]
            entry = await self._entry(arm, turn, order)
            if entry is None:
                return
            calls.put(place, arm, entry)
            while (
                self.stopped in _TAKES
                and (pair := calls.head(self._recorded)) is not None
            ):
                self.tally.take(pair)
                self._look()
                self._tell()

    async def _entry(self, arm: Arm, turn: Turn, order: int) -> Entry | None:
        """Return one call: from the journal, or made now and written to it."""
        version, case = self.versions[arm], self.tally.cases[turn.case]
        known = self.known.get((arm, turn.case, turn.round))
        if known is not None:
            if version.replays:  # read on to where the recording was left
                await self.caller.ask(version, case, turn.round, order)
            self.budget.begin()
            self.budget.end(known.sample)
            return known
        if not self.budget.allows():
            self.stopped = self.stopped or "budget"
            return None
        self.budget.begin()
        sample = await self.caller.ask(version, case, turn.round, order)
        self.budget.end(sample)
        findings = await self._judge(case, sample)
        entry = Entry(sample=sample, findings=findings)
        if self.journal is not None:
            self.journal.append(entry)
        return entry

    async def _judge(self, case: Case, sample: Sample) -> Mapping[str, Finding | None]:
        """Have judges that ask a model do so now, beside other calls, and once."""
        costly = () if sample.infrastructure else self.tally.costly(case.id)
        return {each.name: await self._ask_judge(each, case, sample) for each in costly}

    async def _ask_judge(
        self, each: Assertion, case: Case, sample: Sample
    ) -> Finding | None:
        """Ask one of them on a thread; what it raises ends the run with a report."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self.executor, each.judge, case, sample)
        except Exception as error:  # noqa: BLE001 - the suite's own code may raise anything
            self.tally.raised(each, case, error)
            return None

    def _recorded(self, turn: Turn) -> Entry | None:
        """Return the baseline's sample for a turn and write it to this journal too."""
        found = () if self.baseline is None else self.baseline.get(turn.case, ())
        if turn.round > len(found):
            return None
        known = self.known.get(("incumbent", turn.case, turn.round))
        if known is not None:
            return known
        entry = Entry(sample=found[turn.round - 1], recorded=True)
        if self.journal is not None:
            self.journal.append(entry)
        return entry

    # When to stop

    def _look(self, *, at_end: bool = False) -> None:
        """Stop when it is decided, or when it never can be."""
        if self.stopped not in _TAKES:
            return
        verdict = self.tally.verdict
        if verdict is Verdict.ERROR:
            self.stopped, self.reason = "error", self.tally.broken
        elif verdict is not Verdict.UNDECIDED and not (
            self.full and not at_end and self._wanted()
        ):
            self.stopped = "decided"
        elif why := self._infrastructure():
            self.stopped, self.reason = "error", why

    def _infrastructure(self) -> str:
        """Return why calls will not come to anything; empty while they may."""
        kinds = self.tally.kinds
        for arm, counts in kinds.items():
            for kind in _FATAL & counts.keys():
                return f"a call of the {arm} ended in `{kind}`: {self._detail(kind)}"
        bad = sum(self.tally.infrastructure.values())
        if _surprising(bad, self.tally.calls):
            worst = Kind(next(iter(self.tally.infrastructure)))
            return (
                f"{bad} of {self.tally.calls} calls failed without saying anything, "
                f"most in `{worst}`: {self._detail(worst)}"
            )
        return ""

    def _detail(self, kind: Kind) -> str:
        for pair in reversed(self.tally.pairs):
            for entry in pair.entries():
                if entry.sample.kind is kind:
                    return entry.sample.detail
        return ""

    def _tell(self) -> None:
        if self.watch is not None:
            self.watch(self)


class _Calls:
    """The calls of one round: handed out and collected."""

    __slots__ = ("_found", "_left", "_next", "turns")

    def __init__(self, turns: Sequence[Turn]) -> None:
        self.turns = turns
        calls: list[tuple[int, Arm, int]] = [
            (place, arm, order)
            for place, turn in enumerate(turns)
            for arm, order in turn.arms
        ]
        self._left = iter(calls)
        self._found: list[dict[Arm, Entry]] = [{} for _ in turns]
        self._next = 0

    @property
    def count(self) -> int:
        """Calls in it."""
        return sum(len(turn.arms) for turn in self.turns)

    @property
    def whole(self) -> bool:
        """True when every pair was taken."""
        return self._next == len(self.turns)

    def next(self) -> tuple[int, Arm, int] | None:
        """Return a call to make: place of its turn, arm, order; None for no more."""
        return next(self._left, None)

    def put(self, place: int, arm: Arm, entry: Entry) -> None:
        """Keep a call that ended."""
        self._found[place][arm] = entry

    def head(self, recorded: Callable[[Turn], Entry | None]) -> Pair | None:
        """Return the next pair in dispatch order; None while it is under way."""
        if self.whole:
            return None
        turn, found = self.turns[self._next], self._found[self._next]
        if len(found) < len(turn.arms):
            return None
        self._next += 1
        other = found.get("incumbent") or recorded(turn)
        return Pair(turn.case, turn.round, found["candidate"], other)


def _surprising(bad: int, calls: int) -> bool:
    """Tell whether so many failures are out of the question at the tolerated share.

    The chance of `bad` or more in `calls` at a rate of 2 %, exactly, below 1 in 1000.
    """
    if bad <= max(2, INFRASTRUCTURE_SHARE * calls):
        return False
    share = INFRASTRUCTURE_SHARE
    below = sum(
        math.comb(calls, k) * share**k * (1 - share) ** (calls - k) for k in range(bad)
    )
    return 1 - below < _SURPRISE
