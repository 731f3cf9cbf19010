"""Post-mortems of upgrades, smooth or not, and the weekly review, from the record."""

from __future__ import annotations

from ._gather import PostMortem, gather, upgrades_of
from ._html import to_html
from ._markdown import to_markdown
from ._measures import Measure
from ._timeline import Moment, told
from ._upgrades import Upgrade, upgrades
from ._weekly import Weekly, weekly, weekly_markdown

__all__ = [
    "Measure",
    "Moment",
    "PostMortem",
    "Upgrade",
    "Weekly",
    "gather",
    "to_html",
    "to_markdown",
    "told",
    "upgrades",
    "upgrades_of",
    "weekly",
    "weekly_markdown",
]
