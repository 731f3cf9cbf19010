"""Recorded outputs, of any tool, compared from files of any size."""

from __future__ import annotations

from ._compare import Comparison, compare_files
from ._config import Settings, read_settings
from ._records import Fields

__all__ = ["Comparison", "Fields", "Settings", "compare_files", "read_settings"]
