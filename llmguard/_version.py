"""The version and the pages, where every part can read them without the whole."""

from __future__ import annotations

from typing import Final

__all__ = ["DOCS", "__version__"]

__version__: Final = "0.1.0"
"""Of the three distributions together."""

DOCS: Final = "https://github.com/llmguard/llmguard/blob/main/docs"
"""Where the pages are that messages point at; an installed package has none."""
