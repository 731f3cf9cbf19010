"""The fault campaign: what is done to llmguard, and what may not be lost by it.

A trial takes a `Room`: a folder, chance, a size, and where it notes what it tried and
what was lost. Lost is an acknowledged ticket or row that is gone, a call that nobody
answered although a tier could, an answer that breaks its contract, an error of no
declared type, a process that hangs. A trial that cannot run here says why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from ._calls import fault_pairs, fault_tiers
from ._clocks import clock_steps, faked_clocks
from ._day import a_day
from ._disks import full_disk, full_files
from ._files import damaged_store, damaged_texts
from ._limits import few_descriptors, few_threads, forks
from ._outages import held_store, killed_workers, postgres_outages, redis_outages
from ._room import Room, SkippedError

__all__ = ["TRIALS", "Room", "SkippedError", "Trial"]

Trial = Callable[[Room], None]

TRIALS: Final[Mapping[str, Trial]] = {
    "faults in each tier": fault_tiers,
    "faults in two tiers at once": fault_pairs,
    "workers killed": killed_workers,
    "store held by others": held_store,
    "PostgreSQL down and back": postgres_outages,
    "Redis frozen, killed, emptied": redis_outages,
    "disk full": full_disk,
    "files that may not grow": full_files,
    "wall clock steps": clock_steps,
    "commands under a false clock": faked_clocks,
    "forks amid calls": forks,
    "no more threads": few_threads,
    "no more descriptors": few_descriptors,
    "damaged lock, journal, spill": damaged_texts,
    "damaged store": damaged_store,
    "24 hours of virtual time": a_day,
}
