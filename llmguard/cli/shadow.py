"""`llmguard shadow`: how often would the challenger have behaved otherwise?"""

from __future__ import annotations

from typing import Final

import click

from ._late_group import LateGroup
from ._text import examples

__all__ = ["shadow"]

_COMMANDS: Final = {
    "compare": ("_shadow_compare", "Two recordings: what differs beyond the noise."),
    "plan": ("_shadow_plan", "How many requests, how long, what it costs."),
    "export": ("_shadow_export", "The pairs that a shadow kept, as files."),
    "report": ("_shadow_report", "What a shadow of live calls found, so far."),
    "start": ("_shadow_start", "Run a challenger beside a route, on live calls."),
    "status": ("_shadow_status", "What runs in shadow, and what has come of it."),
    "stop": ("_shadow_stop", "End what runs beside a route."),
}


class _Shadows(LateGroup):
    table = _COMMANDS


@click.group(
    cls=_Shadows,
    epilog=examples(
        "llmguard shadow start triage p-c2bb020ba1 --share 5%",
        "llmguard shadow report triage",
        after="Exit codes: 0 no alarm, 1 failed, 2 wrong usage, 3 alarm (with "
        "`--gate`: anything but PROMOTE).",
    ),
)
def shadow() -> None:
    """Run the challenger beside the incumbent, and report where they part."""
