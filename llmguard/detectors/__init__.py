"""Detectors of what a text is, and how wrong they are."""

from __future__ import annotations

from ._calibration import Calibration
from ._detector import Detection, Detector

__all__ = ["Calibration", "Detection", "Detector"]
