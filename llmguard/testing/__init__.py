"""What you need to test guarded functions: faults, fakes, virtual time, assertions."""

from __future__ import annotations

from ._asserts import assert_contract_valid, assert_degrades_to, assert_outcome
from ._fake_model import FakeModel, fake_pin
from ._fake_tier import FakeTier, fake_tier
from ._fault_server import FaultServer, GoodAnswer, ServedRequest
from ._faults import FAULTS, Fault, fault_table
from ._isolated import isolated
from ._leaks import no_leaks
from ._remote import refuse_remote
from ._script import (
    Cut,
    Empty,
    Filtered,
    Hang,
    HttpError,
    Refusal,
    Slow,
    ToolUse,
    Truncated,
    WrongModel,
)
from ._virtual_clock import VirtualClock
from ._virtual_loop import VirtualEventLoop, run_virtual, virtual_loop

__all__ = [
    "FAULTS",
    "Cut",
    "Empty",
    "FakeModel",
    "FakeTier",
    "Fault",
    "FaultServer",
    "Filtered",
    "GoodAnswer",
    "Hang",
    "HttpError",
    "Refusal",
    "ServedRequest",
    "Slow",
    "ToolUse",
    "Truncated",
    "VirtualClock",
    "VirtualEventLoop",
    "WrongModel",
    "assert_contract_valid",
    "assert_degrades_to",
    "assert_outcome",
    "fake_pin",
    "fake_tier",
    "fault_table",
    "isolated",
    "no_leaks",
    "refuse_remote",
    "run_virtual",
    "virtual_loop",
]
