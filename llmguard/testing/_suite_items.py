"""Suites as tests: one per assertion, which all read the same single run."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from ..errors import LLMGuardError
from ._suite_runs import SuiteError, SuiteRuns

if TYPE_CHECKING:
    from ..suite import Assertion, Report, Suite
    from ..suite._report import AssertionReport

__all__ = ["SuiteItem", "SuitePlugin"]

_SHARED = "llmguard_folder"
_N = TypeVar("_N", bound="pytest.Item | pytest.Collector")


class _Suite(pytest.Collector):
    """The tests of one suite; no file holds it."""

    def __init__(
        self, *, suite: Suite, runs: SuiteRuns, undecided: str, **given: Any
    ) -> None:
        super().__init__(**given)
        self.suite = suite
        self.runs = runs
        self.undecided = undecided

    def collect(self) -> Iterable[SuiteItem]:
        """Return one test per assertion."""
        for each in self.suite.assertions:
            item = _made(SuiteItem, self, name=each.name)
            for mark in self._marks():
                item.add_marker(mark)
            item.tell(self.suite, each)
            yield item

    def _marks(self) -> Iterator[pytest.MarkDecorator]:
        yield pytest.mark.llmguard_suite
        plugins = self.config.pluginmanager
        if plugins.hasplugin("xdist"):
            yield pytest.mark.xdist_group(f"llmguard-{self.suite.name}")
        if plugins.hasplugin("timeout"):
            yield pytest.mark.timeout(0)  # a run has limits of its own


class SuiteItem(pytest.Item):
    """One assertion of a suite.

    What cannot be judged is an error of the test's setup, as pytest reports errors;
    what is blocked or undecided is a failure.
    """

    parent: _Suite
    found: AssertionReport

    def tell(self, suite: Suite, assertion: Assertion) -> None:
        """Note what other tools show of a test."""
        self.user_properties += [
            ("llmguard_suite", suite.name),
            ("llmguard_candidate", self.parent.runs.candidate),
            ("llmguard_gating", str(assertion.gating).lower()),
        ]

    def setup(self) -> None:
        """Run the suite, unless that was done; refuse what cannot be judged."""
        from ..suite import Status, Verdict

        report = self.parent.runs.report(self.parent.suite)
        if isinstance(report, SuiteError):
            pytest.fail(f"ERROR  {report}", pytrace=False)
        self.user_properties.append(("llmguard_verdict", str(report.verdict)))
        if report.verdict is Verdict.ERROR:
            pytest.fail(f"ERROR  {report.reason}", pytrace=False)
        (self.found,) = (one for one in report.assertions if one.name == self.name)
        if self.found.status is Status.ERROR:
            pytest.fail(self._words(), pytrace=False)

    def runtest(self) -> None:
        """Fail unless the assertion was accepted."""
        from ..suite import Status

        if self.found.status is Status.ACCEPTED:
            return
        if not self.found.gating:
            pytest.xfail(f"does not gate: {self._words()}")
        if self.found.status is Status.OPEN and self.parent.undecided == "xfail":
            pytest.xfail(f"UNDECIDED: {self.found.sentence}")
        pytest.fail(self._words(), pytrace=False)

    def _words(self) -> str:
        from ..suite.render import details

        return details(self.found)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return where the suite is defined, and a heading."""
        suite = self.parent.suite
        file = suite.source.rpartition(":")[0] or suite.source
        place = Path(file) if file and Path(file).is_file() else self.path
        return place, None, f"{suite.name}: {self.name}"


class SuitePlugin:
    """Adds suites to a session whose command line names a candidate."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        shared = getattr(config, "workerinput", {}).get(_SHARED)
        self.own = shared is None
        self.folder = Path(shared or tempfile.mkdtemp(prefix="llmguard-"))
        self.suites: tuple[Suite, ...] = ()
        self.runs: SuiteRuns

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker of pytest-xdist where results are shared."""
        node.workerinput[_SHARED] = str(self.folder)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Find the suites before anything else is done; a wrong name ends it here."""
        try:
            self.runs = self._runs()
            self.suites = _suites(self.config, self.runs.candidate)
        except LLMGuardError as error:
            raise pytest.UsageError(str(error)) from error

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(
        self, session: pytest.Session, items: list[pytest.Item]
    ) -> None:
        """Add the tests, before `-k` and `-m` choose among all of them."""
        undecided = str(self.config.getini("llmguard_undecided"))
        for suite in self.suites:
            node = _made(
                _Suite,
                session,
                name=suite.name,
                nodeid=f"llmguard:{suite.name}",
                suite=suite,
                runs=self.runs,
                undecided=undecided,
            )
            items += node.collect()

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say what each suite found, once."""
        found = [(suite, self.runs.known(suite)) for suite in self.suites]
        if not any(report for _, report in found):
            return
        terminalreporter.section("llmguard suites")
        for suite, report in found:
            if report is not None:
                terminalreporter.write_line(f"{suite.name}: {_line(report)}")

    def pytest_unconfigure(self) -> None:
        """Remove what processes shared; journals and evidence stay."""
        if self.own:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _runs(self) -> SuiteRuns:
        from .. import config

        option = self.config.getoption
        place: str | None = option("llmguard_journal")
        return SuiteRuns(
            folder=self.folder,
            journals=Path(place or config.load().root / ".llmguard" / "suites"),
            candidate=str(option("llmguard_candidate")),
            options={
                "incumbent": option("llmguard_incumbent"),
                "max_cost": option("llmguard_budget"),
                "max_calls": option("llmguard_max_calls"),
                "prices": option("llmguard_prices"),
            },
        )


def _made(kind: type[_N], parent: pytest.Collector, **given: Any) -> _N:
    """Return a node; `from_parent` has no types for what it hands on."""
    make: Callable[..., _N] = getattr(kind, "from_parent")  # noqa: B009 - see above
    return make(parent, **given)


def _suites(config: pytest.Config, candidate: str) -> tuple[Suite, ...]:
    """Return the suites that are named, else those that the candidate may answer for.

    Raises:
        ConfigError: A suite or pin is wrong, or there is no suite for it.
    """
    from ..errors import ConfigError
    from ..suite import all_suites, find_suite

    named: list[str] = config.getoption("llmguard_suite") or []
    found = tuple(find_suite(name) for name in named) or tuple(
        suite for suite in all_suites() if _answers(candidate, suite)
    )
    if not found:
        raise ConfigError(
            f"no suite is declared for the candidate {candidate!r}: name one with "
            "`--llmguard-suite NAME`, or declare suites under `[tool.llmguard]`; "
            "`llmguard suite list` shows those there are"
        )
    for suite in found:
        suite.validate()
    return found


def _answers(candidate: str, suite: Suite) -> bool:
    """Tell whether a candidate's route, where it has one, is that of the function."""
    if ":" in candidate:
        return True
    from ..suite._arms import pin_of

    return pin_of(candidate, suite.guard).route == suite.guard.pin_name


def _line(report: Report | SuiteError) -> str:
    if isinstance(report, SuiteError):
        return f"ERROR  {report}"
    spent = "" if report.cost is None else f", ${report.cost:.4f}"
    kept = f"; journal {report.journal}" if report.journal else ""
    return f"{report.verdict}  {report.reason} ({report.calls} calls{spent}{kept})"
