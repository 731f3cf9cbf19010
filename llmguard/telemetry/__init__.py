"""What leaves a call: hooks, counters, spans. Nothing here can slow or fail a call."""

from __future__ import annotations

from ._hooks import Hook, add_hook, dropped, emit, remove_hook

__all__ = ["Hook", "add_hook", "dropped", "emit", "remove_hook"]
