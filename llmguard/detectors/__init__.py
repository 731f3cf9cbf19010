"""Detectors of what a text is, and how wrong they are."""

from __future__ import annotations

__all__: list[str] = []
