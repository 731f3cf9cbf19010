"""What pytest finds by itself: fixtures, and suites of a candidate as tests."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from ..guard import Runtime
    from . import FaultServer, VirtualClock

__all__ = [
    "llmguard_clock",
    "llmguard_fault_server",
    "llmguard_refuse_remote",
    "llmguard_runtime",
    "pytest_addoption",
    "pytest_configure",
    "pytest_runtest_protocol",
    "pytest_unconfigure",
]

_MARKERS: Final = {
    "llmguard_suite": "an assertion of a suite; only with --llmguard-candidate",
    "llmguard_live": "calls a real provider, whatever `llmguard_refuse_remote` says",
}
_refusing: Final = pytest.StashKey[ExitStack]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of suites and their settings."""
    group = parser.getgroup("llmguard", "suites of llmguard, one test per assertion")
    group.addoption(
        "--llmguard-candidate",
        metavar="PIN",
        help="Run suites against this version: a route or the id of a pin in "
        "models.lock, provider:model, or replay:FILE. Without it no suite is a test.",
    )
    group.addoption(
        "--llmguard-incumbent", metavar="PIN", help="Version to compare with."
    )
    group.addoption(
        "--llmguard-suite",
        metavar="NAME",
        action="append",
        default=[],
        help="Suite to run, may be repeated; unless given, the declared ones of the "
        "candidate's route.",
    )
    group.addoption(
        "--llmguard-budget",
        metavar="USD",
        type=float,
        help="What the run of each suite may cost; needs known prices.",
    )
    group.addoption(
        "--llmguard-max-calls", metavar="N", type=int, help="Calls of each suite."
    )
    group.addoption("--llmguard-prices", metavar="FILE", help="TOML with prices.")
    group.addoption(
        "--llmguard-journal",
        metavar="DIR",
        help="Where journals go; unless given, .llmguard/suites.",
    )
    parser.addini(
        "llmguard_undecided",
        "what an undecided assertion is: fail or xfail; never passed",
        default="fail",
    )
    parser.addini(
        "llmguard_refuse_remote",
        "refuse calls that leave the machine, but for suites and llmguard_live tests",
        type="bool",
        default=False,
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register markers; begin to refuse remote calls; add suites where asked for.

    Raises:
        pytest.UsageError: `llmguard_undecided` is neither `fail` nor `xfail`.
    """
    for name, what in _MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {what}")
    undecided = config.getini("llmguard_undecided")
    if undecided not in {"fail", "xfail"}:
        raise pytest.UsageError(
            f"`llmguard_undecided` is {undecided!r}: write `fail` or `xfail`"
        )
    if config.getini("llmguard_refuse_remote"):
        config.stash[_refusing] = _refuse()
    if config.getoption("llmguard_candidate"):
        from ._suite_items import SuitePlugin

        config.pluginmanager.register(SuitePlugin(config), "llmguard-suites")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop refusing remote calls."""
    config.stash.get(_refusing, ExitStack()).close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let live tests and suites call whom they like."""
    stash = item.config.stash
    live = any(item.get_closest_marker(name) for name in _MARKERS)
    if not (live and _refusing in stash):
        return (yield)
    stash[_refusing].close()
    try:
        return (yield)
    finally:
        stash[_refusing] = _refuse()


def _refuse() -> ExitStack:
    from . import refuse_remote

    held = ExitStack()
    held.enter_context(refuse_remote())
    return held


@pytest.fixture
def llmguard_fault_server() -> Iterator[FaultServer]:
    """Run a `FaultServer` that is healthy until its `fault` is set."""
    from . import FaultServer

    with FaultServer() as server:
        yield server


@pytest.fixture
def llmguard_clock() -> VirtualClock:
    """Return a `VirtualClock` that moves when told to."""
    from . import VirtualClock

    return VirtualClock()


@pytest.fixture
def llmguard_refuse_remote() -> Iterator[None]:
    """Refuse every call that would leave this machine, for the whole test."""
    from . import refuse_remote

    with refuse_remote():
        yield


@pytest.fixture
def llmguard_runtime() -> Iterator[Runtime]:
    """Give the test breakers and retry budgets of its own."""
    from . import isolated

    with isolated() as runtime:
        yield runtime
