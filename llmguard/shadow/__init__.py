"""Shadow mode: how often the challenger behaves otherwise, its own noise subtracted."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from . import render
    from ._draw import LOST, Act, Draw, Pair
    from ._estimate import Estimate
    from ._evidence import Figure, ShadowEvidence, ShadowVerdict
    from ._examples import Example
    from ._judge import Thresholds
    from ._ladder import Ladder
    from ._plan import Plan, plan
    from ._rates import Rates
    from ._report import Report, Version, report
    from ._rule import Rule, decision, free_text, ignored, number, unordered
    from ._rungs import DIRECTIONS, Divergence, Rung, Severity
    from ._tally import Tally
    from .files import Comparison, compare_files, read_settings
    from .live import ShadowOptions, shadow

__all__ = [
    "DIRECTIONS",
    "LOST",
    "Act",
    "Comparison",
    "Divergence",
    "Draw",
    "Estimate",
    "Example",
    "Figure",
    "Ladder",
    "Pair",
    "Plan",
    "Rates",
    "Report",
    "Rule",
    "Rung",
    "Severity",
    "ShadowEvidence",
    "ShadowOptions",
    "ShadowVerdict",
    "Tally",
    "Thresholds",
    "Version",
    "compare_files",
    "decision",
    "free_text",
    "ignored",
    "number",
    "plan",
    "read_settings",
    "render",
    "report",
    "shadow",
    "unordered",
]

_HOME: Final = {
    "DIRECTIONS": "_rungs",
    "LOST": "_draw",
    "Act": "_draw",
    "Comparison": "files",
    "Divergence": "_rungs",
    "Draw": "_draw",
    "Estimate": "_estimate",
    "Example": "_examples",
    "Figure": "_evidence",
    "Ladder": "_ladder",
    "Pair": "_draw",
    "Plan": "_plan",
    "Rates": "_rates",
    "Report": "_report",
    "Rule": "_rule",
    "Rung": "_rungs",
    "Severity": "_rungs",
    "ShadowEvidence": "_evidence",
    "ShadowOptions": "live",
    "ShadowVerdict": "_evidence",
    "Tally": "_tally",
    "Thresholds": "_judge",
    "Version": "_report",
    "compare_files": "files",
    "decision": "_rule",
    "free_text": "_rule",
    "ignored": "_rule",
    "number": "_rule",
    "plan": "_plan",
    "read_settings": "files",
    "report": "_report",
    "shadow": "live",
    "unordered": "_rule",
}


def __getattr__(name: str) -> object:
    # A guarded function is decorated long before anything is compared.
    if name == "render":
        return import_module(".render", __name__)
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
