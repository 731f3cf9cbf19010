"""What runs now, what is degraded, why, and what a person should do about it."""

from __future__ import annotations

from ._gather import Report, gather
from ._routing import RoutingLine, routing_lines
from ._tiers import TierLine, tier_lines
from ._versions import VersionLine, endings, version_lines

__all__ = [
    "Report",
    "RoutingLine",
    "TierLine",
    "VersionLine",
    "endings",
    "gather",
    "routing_lines",
    "tier_lines",
    "version_lines",
]
