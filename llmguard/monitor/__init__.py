"""Watching what models say, per pinned version, against a frozen baseline.

    import llmguard.monitor

    llmguard.monitor.start()

From then on answers are read off the callers' path, a baseline is frozen for every
version, drift raises alarms that a paired probe judges, and a version that is worse
than the one before it is rolled back.
"""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ._downstream import report_correction, report_downstream
    from ._intake import IntakeCounts
    from ._monitor import Monitor
    from ._respond import Responder
    from ._start import current, start, stop
    from .drift import Alarm, Baseline, Classifier
    from .probe import Probe

__all__ = [
    "Alarm",
    "Baseline",
    "Classifier",
    "IntakeCounts",
    "Monitor",
    "Probe",
    "Responder",
    "current",
    "report_correction",
    "report_downstream",
    "start",
    "stop",
]

# numpy, the store and the promotion of versions are for programs that watch.
_LATER: Final = MappingProxyType(
    {
        "Alarm": "drift",
        "Baseline": "drift",
        "Classifier": "drift",
        "IntakeCounts": "_intake",
        "Monitor": "_monitor",
        "Probe": "probe",
        "Responder": "_respond",
        "current": "_start",
        "report_correction": "_downstream",
        "report_downstream": "_downstream",
        "start": "_start",
        "stop": "_start",
    }
)


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f".{_LATER[name]}", __name__), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
