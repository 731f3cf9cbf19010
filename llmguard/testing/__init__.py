"""What you need to test guarded functions: faults, fakes, virtual time, assertions."""

from __future__ import annotations

from ._fault_server import FaultServer, GoodAnswer, ServedRequest
from ._faults import FAULTS, Fault, fault_table
from ._leaks import no_leaks
from ._remote import refuse_remote
from ._virtual_clock import VirtualClock
from ._virtual_loop import VirtualEventLoop, run_virtual, virtual_loop

__all__ = [
    "FAULTS",
    "Fault",
    "FaultServer",
    "GoodAnswer",
    "ServedRequest",
    "VirtualClock",
    "VirtualEventLoop",
    "fault_table",
    "no_leaks",
    "refuse_remote",
    "run_virtual",
    "virtual_loop",
]
