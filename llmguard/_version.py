"""The version, where every part can read it without importing the whole."""

from __future__ import annotations

from typing import Final

__all__ = ["__version__"]

__version__: Final = "0.1.0"
"""Of the three distributions together."""
