"""llmguard makes functions that call an LLM dependable when the model changes."""

from __future__ import annotations

__version__ = "0.1.0"
