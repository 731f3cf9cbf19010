"""Small embedded GGUF models for llmguard's demo and tests, with what pins them."""

from __future__ import annotations

from ._catalog import PROMPT, card, demo_tickets, manifest, path, prompt

__all__ = ["PROMPT", "card", "demo_tickets", "manifest", "path", "prompt"]
