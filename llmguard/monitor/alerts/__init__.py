"""Telling people: what an alert says, and where it goes."""

from __future__ import annotations

from ._alert import Alert, Severity

__all__ = ["Alert", "Severity"]
