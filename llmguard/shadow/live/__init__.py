"""Shadow mode on live traffic: a challenger that sees real requests and serves none."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from ...telemetry.redact import scrub
from ._options import Redact, ShadowOptions
from ._shadows import SHADOWS, Shadows
from ._spec import shadow

if TYPE_CHECKING:
    from ._export import Exported, export_pairs
    from ._manage import find_runs, start_shadow, stop_shadow
    from ._read import ShadowStatus, report_of, status_of

__all__ = [
    "SHADOWS",
    "Exported",
    "Redact",
    "ShadowOptions",
    "ShadowStatus",
    "Shadows",
    "export_pairs",
    "find_runs",
    "report_of",
    "scrub",
    "shadow",
    "start_shadow",
    "status_of",
    "stop_shadow",
]

# What people and commands ask for, not what a serving process needs.
_LATER: Final = {
    "Exported": "_export",
    "ShadowStatus": "_read",
    "export_pairs": "_export",
    "find_runs": "_manage",
    "report_of": "_read",
    "start_shadow": "_manage",
    "status_of": "_read",
    "stop_shadow": "_manage",
}


def __getattr__(name: str) -> object:
    if name in _LATER:
        return getattr(import_module(f".{_LATER[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
