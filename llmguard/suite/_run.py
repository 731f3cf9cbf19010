"""Running a suite, and going on with a run."""

from __future__ import annotations

import asyncio
import hashlib
import random
import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..errors import ConfigError
from ..guard import Runtime, current_runtime
from ..pins import Pin
from ._arms import Version
from ._assemble import assemble
from ._budget import Budget
from ._caller import Caller
from ._evidence import Evidence
from ._facts import Facts
from ._find import find_suite
from ._journal import Journal, JournalWriter, read_journal
from ._lines import write_recording
from ._pace import Pace
from ._plan import Plan
from ._prices import Prices, read_prices
from ._runner import Runner, Watcher
from ._schedule import Schedule, order_digest
from ._suite import Suite
from ._tally import Tally
from ._types import Arm
from .stats._intervals import need_scipy

if TYPE_CHECKING:
    from ..store import EvidenceStore
    from ._report import Report

__all__ = ["CONCURRENCY", "arun", "run"]

CONCURRENCY: Final = 8
"""Calls under way at once."""

_SEED_BITS: Final = 31


def run(
    suite: Suite | str | Path, candidate: str | Pin | None = None, **options: Any
) -> Report:
    """Run a suite in a program without an event loop; see `arun`."""
    return asyncio.run(arun(suite, candidate, **options))


async def arun(
    suite: Suite | str | Path,
    candidate: str | Pin | None = None,
    *,
    incumbent: str | Pin | bool | None = None,
    baseline: str | Path | None = None,
    seed: int | None = None,
    concurrency: int = CONCURRENCY,
    max_calls: int | None = None,
    max_cost: float | None = None,
    prices: Prices | str | Path | None = None,
    full: bool = False,
    journal: str | Path | None = None,
    resume: str | Path | None = None,
    record: str | Path | None = None,
    store: EvidenceStore | None = None,
    watch: Watcher | None = None,
    runtime: Runtime | None = None,
) -> Report:
    """Call a candidate version until the suite says PROMOTE or BLOCK, or may not go on.

    Args:
        suite: A suite, or what `find_suite` takes.
        candidate: The version under test: a pin; a route or the id of a pin in
            `models.lock`; `provider:model`; `replay:FILE`. None with `resume`.
        incumbent: The version to compare with, in the same forms; True for the suite's
            own, False for none; None asks it where an assertion needs it.
        baseline: Journal of an earlier run, whose candidate stands in for the
            incumbent; each recorded answer is used once.
        seed: Seed of the dispatch order; None draws one, which the report names.
        concurrency: Calls under way at once.
        max_calls: Calls of both arms; None for the suite's own limit.
        max_cost: US dollars; None for the suite's own limit.
        prices: What calls cost: a table, or the path of one.
        full: Go on after a block, to name everything that broke.
        journal: File to write; None keeps none.
        resume: Journal to go on with; nothing in it is called again.
        record: File to write the candidate's answers to, for `replay:FILE`.
        store: Where the verdict is kept for promotion gates; None keeps none.
        watch: Told of progress with the `Runner`; its `stop()` ends the run.
        runtime: Where time and threads come from.

    Raises:
        ConfigError: The suite, a pin, a journal or a limit is wrong.
    """
    known = None if resume is None else read_journal(resume)
    found = suite if isinstance(suite, Suite) else find_suite(suite)
    found.validate()
    need_scipy()
    plan = Plan(
        suite=found,
        prices=_prices(prices),
        seed=secrets.randbits(_SEED_BITS) if seed is None else seed,
        max_calls=found.max_calls if max_calls is None else max_calls,
        max_cost=found.budget if max_cost is None else max_cost,
        concurrency=_positive("concurrency", concurrency),
        full=full,
        target="" if isinstance(suite, Suite) else str(suite),
    )
    _refuse_existing(record)
    if known is not None:
        plan.go_on(known)
    else:
        if candidate is None:
            raise ConfigError("`arun` needs a `candidate`, or a journal to `resume`")
        plan.choose(candidate, incumbent, baseline)
    execution = _Execution(plan, known, runtime or current_runtime())
    report = await execution.run(journal, watch)
    if store is not None:  # first: a full disk must not cost the verdict
        report = execution.keep(report, store)
    if record is not None:
        write_recording(record, execution.tally.pairs, found.cases)
    return report


class _Execution:
    """One run of a plan."""

    def __init__(self, plan: Plan, known: Journal | None, outer: Runtime) -> None:
        self.plan = plan
        self.known = known
        self.outer = outer
        self.tally = Tally(
            plan.suite,
            paired=plan.incumbent is not None,
            reference=plan.known_reference,
        )

    async def run(self, path: str | Path | None, watch: Watcher | None) -> Report:
        """Call, decide and report."""
        clock = self.outer.clock
        started, at = clock.monotonic(), clock.time()
        versions = self.plan.versions()
        with ExitStack() as stack:
            threads = ThreadPoolExecutor(self.plan.concurrency, "llmguard-suite")
            # Threads that hang are left behind, as those of guarded calls are.
            stack.callback(threads.shutdown, wait=False, cancel_futures=True)
            writer = self._writer(path, at)
            if writer is not None:
                stack.enter_context(writer)
            runner = self._runner(versions, threads, writer)
            runner.watch = watch
            await runner.run()
            facts = self._facts(
                runner, at=at, elapsed=clock.monotonic() - started, writer=writer
            )
            report = assemble(self.tally, facts)
            if writer is not None:
                _end(writer, report, facts, at=clock.time())
        return report

    def _writer(self, path: str | Path | None, at: float) -> JournalWriter | None:
        if self.known is not None:
            return JournalWriter.resume(self.known, at=at)
        if path is None:
            return None
        return JournalWriter.create(path, self.plan.header(at))

    def _runner(
        self,
        versions: Mapping[Arm, Version],
        threads: ThreadPoolExecutor,
        writer: JournalWriter | None,
    ) -> Runner:
        plan, outer = self.plan, self.outer
        entries = () if self.known is None else self.known.entries
        return Runner(
            tally=self.tally,
            schedule=Schedule(
                [case.id for case in plan.suite.cases],
                seed=plan.seed,
                cap=plan.suite.cap,
                paired="incumbent" in versions,
            ),
            versions=versions,
            caller=Caller(
                # Nothing of a run goes to the project's store, breakers or budgets.
                runtime=Runtime(
                    clock=outer.clock,
                    rng=outer.rng,
                    couriers=outer.couriers,
                    retry=outer.retry,
                ),
                pace=Pace(plan.concurrency, clock=outer.clock),
                prices=plan.prices,
                rng=random.Random(plan.seed),  # noqa: S311 - jitter, no secret
                executor=threads,
            ),
            budget=Budget(max_calls=plan.max_calls, max_cost=plan.max_cost),
            concurrency=plan.concurrency,
            journal=writer,
            known={
                (one.sample.arm, one.sample.case, one.sample.round): one
                for one in entries
            },
            baseline=plan.baseline,
            full=plan.full,
            executor=threads,
        )

    def _facts(
        self, runner: Runner, *, at: float, elapsed: float, writer: JournalWriter | None
    ) -> Facts:
        plan = self.plan
        return Facts(
            candidate=plan.candidate,
            incumbent=plan.incumbent,
            recorded=plan.baseline is not None,
            seed=plan.seed,
            stopped=runner.stopped,
            reason=runner.reason,
            started=at if self.known is None else self.known.header["started"],
            elapsed=elapsed,
            cost=runner.budget.known_cost,
            journal="" if writer is None else str(writer.path),
            notes=_notes(plan, runner),
        )

    def keep(self, report: Report, store: EvidenceStore) -> Report:
        """Keep the verdict in the store; return the report with its address."""
        plan, journal = self.plan, ""
        if report.journal:
            body = Path(report.journal).read_bytes()
            journal = f"sha256:{hashlib.sha256(body).hexdigest()}"
        evidence = Evidence.of(
            report,
            pin_digest=plan.candidate.identity,
            order_digest=self._order(),
            incumbent_digest="" if plan.incumbent is None else plan.incumbent.identity,
            journal_digest=journal,
        )
        store.put_evidence(evidence.row())
        return replace(report, evidence=evidence.digest)

    def _order(self) -> str:
        entries = [
            entry.sample
            for pair in self.tally.pairs
            for entry in pair.entries()
            if not entry.recorded
        ]
        entries.sort(key=lambda one: one.order)
        return order_digest((one.arm, one.case, one.round) for one in entries)


def _end(writer: JournalWriter, report: Report, facts: Facts, *, at: float) -> None:
    writer.event(
        "end",
        at=at,
        stopped=facts.stopped,
        verdict=str(report.verdict),
        reason=facts.reason,
    )
    writer.sync()


def _notes(plan: Plan, runner: Runner) -> tuple[str, ...]:
    notes: list[str] = []
    if runner.caller.pace.throttled:
        notes.append(
            f"the provider asked to slow down {runner.caller.pace.throttled} times"
        )
    if "seed" in plan.candidate.params:
        notes.append(
            f"the pin fixes `seed` at {plan.candidate.params['seed']!r}: repeats "
            "of a case are the same draw wherever the provider honours it"
        )
    if plan.baseline is not None:
        notes.append(
            f"the incumbent was not called: {plan.baseline_path!r} stands for it"
        )
    return tuple(notes)


def _refuse_existing(record: str | Path | None) -> None:
    if record is not None and Path(record).exists():
        raise ConfigError(
            f"the recording {str(record)!r} exists, and would hold two runs: name "
            "another file with `--record`"
        )


def _prices(given: Prices | str | Path | None) -> Prices:
    if given is None:
        return Prices()
    return given if isinstance(given, Prices) else read_prices(given)


def _positive(name: str, value: int) -> int:
    if value < 1:
        raise ConfigError(f"`{name}={value!r}` must be 1 or more")
    return value
