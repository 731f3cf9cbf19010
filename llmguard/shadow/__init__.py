"""Shadow mode: how often the challenger behaves otherwise, its own noise subtracted."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ._draw import LOST, Act, Draw, Pair
    from ._evidence import Figure, ShadowEvidence, ShadowVerdict
    from ._ladder import Ladder
    from ._rule import Rule, decision, free_text, ignored, number, unordered
    from ._rungs import DIRECTIONS, Divergence, Rung, Severity

__all__ = [
    "DIRECTIONS",
    "LOST",
    "Act",
    "Divergence",
    "Draw",
    "Figure",
    "Ladder",
    "Pair",
    "Rule",
    "Rung",
    "Severity",
    "ShadowEvidence",
    "ShadowVerdict",
    "decision",
    "free_text",
    "ignored",
    "number",
    "unordered",
]

_HOME: Final = {
    "DIRECTIONS": "_rungs",
    "LOST": "_draw",
    "Act": "_draw",
    "Divergence": "_rungs",
    "Draw": "_draw",
    "Figure": "_evidence",
    "Ladder": "_ladder",
    "Pair": "_draw",
    "Rule": "_rule",
    "Rung": "_rungs",
    "Severity": "_rungs",
    "ShadowEvidence": "_evidence",
    "ShadowVerdict": "_evidence",
    "decision": "_rule",
    "free_text": "_rule",
    "ignored": "_rule",
    "number": "_rule",
    "unordered": "_rule",
}


def __getattr__(name: str) -> object:
    # A guarded function is decorated long before anything is compared.
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
