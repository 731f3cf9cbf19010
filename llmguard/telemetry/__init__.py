"""What leaves a call: hooks, counters, spans. Nothing here can slow or fail a call."""

from __future__ import annotations

from ._hooks import Hook, add_hook, dropped, emit, remove_hook
from .answers import Answer, AnswerHook, add_answer_hook, remove_answer_hook

__all__ = [
    "Answer",
    "AnswerHook",
    "Hook",
    "add_answer_hook",
    "add_hook",
    "dropped",
    "emit",
    "remove_answer_hook",
    "remove_hook",
]
