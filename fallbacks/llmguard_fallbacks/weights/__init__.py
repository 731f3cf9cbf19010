"""Weights as pinned artifacts: what a GGUF file is, where it came from, how fast."""

from __future__ import annotations

from ._gguf import GGUFError, GGUFHeader, read_header
from ._record import WeightsRecord, describe_file

__all__ = [
    "GGUFError",
    "GGUFHeader",
    "WeightsRecord",
    "describe_file",
    "read_header",
]
