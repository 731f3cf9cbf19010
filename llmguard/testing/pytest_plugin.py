"""Fixtures for suites that test guarded functions; pytest finds them by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ..guard import Runtime
    from . import FaultServer, VirtualClock

__all__ = [
    "llmguard_clock",
    "llmguard_fault_server",
    "llmguard_refuse_remote",
    "llmguard_runtime",
]


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
