"""Finds calls of language models that no guard watches and no lock pins."""

from __future__ import annotations

from ._files import Unread, scan
from ._find import Finding, find

__all__ = ["Finding", "Unread", "find", "scan"]
