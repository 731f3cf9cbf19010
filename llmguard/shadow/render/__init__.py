"""A shadow report for people and machines: terminal, JSON, HTML."""

from __future__ import annotations

from ._document import document, json, load
from ._html import html, need_jinja
from ._text import text

__all__ = ["document", "html", "json", "load", "need_jinja", "text"]
