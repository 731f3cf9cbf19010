"""Shadow mode on live traffic: a challenger that sees real requests and serves none."""

from __future__ import annotations

from ._options import Redact, ShadowOptions
from ._redact import scrub
from ._shadows import SHADOWS, Shadows
from ._spec import shadow

__all__ = ["SHADOWS", "Redact", "ShadowOptions", "Shadows", "scrub", "shadow"]
