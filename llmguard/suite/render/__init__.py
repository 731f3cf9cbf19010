"""A report for each reader: terminal, program, CI, reviewer, browser."""

from __future__ import annotations

from ._document import document, json, load
from ._html import html
from ._junit import junit
from ._markdown import markdown
from ._text import details, text

__all__ = ["details", "document", "html", "json", "junit", "load", "markdown", "text"]
