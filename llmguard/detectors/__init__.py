"""Detectors of what a text is, and how wrong they are."""

from __future__ import annotations

from ._calibration import Calibration
from ._detector import Detection, Detector
from ._find import find_detector
from ._format import FormatFeatures, format_features, read_format
from ._labelled import Labelled, Labels, calibrate, read_labelled
from ._language import language
from ._refusal import refusal
from ._sentiment import sentiment
from ._tone import ToneFeatures, read_tone, tone

__all__ = [
    "Calibration",
    "Detection",
    "Detector",
    "FormatFeatures",
    "Labelled",
    "Labels",
    "ToneFeatures",
    "calibrate",
    "find_detector",
    "format_features",
    "language",
    "read_format",
    "read_labelled",
    "read_tone",
    "refusal",
    "sentiment",
    "tone",
]
