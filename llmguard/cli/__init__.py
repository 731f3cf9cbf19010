"""The `llmguard` command; every verb group is a module that is imported on use."""

from __future__ import annotations

from ._main import cli, main

__all__ = ["cli", "main"]
