"""What the model says, before it is put into a provider's wire format."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Literal

__all__ = ["ANSWER_FAULTS", "OTHER_MODEL", "REFUSAL_TEXT", "Answer", "as_text"]

REFUSAL_TEXT: Final = "I'm sorry, but I can't help with that request."
OTHER_MODEL: Final = "another-model-2020-01-01"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One model answer, provider-neutral.

    Attributes:
        id: Unique suffix for the wire format's ids.
        model: Model id to echo.
        text: The answer; None for no content.
        finish: `stop`, `length`, `content_filter` or `tool_calls`.
        refusal: Text of the refusal field.
        tool: Name of the tool to call instead of answering; empty for none.
        choices: `one`, or how the list of choices is broken: `none` or `null`.
        fingerprint: System fingerprint to echo.
        created: Epoch seconds.
    """

    id: str
    model: str
    text: str | None
    finish: str = "stop"
    refusal: str | None = None
    tool: str = ""
    choices: Literal["one", "none", "null"] = "one"
    fingerprint: str | None = None
    created: int = 0

    @property
    def pieces(self) -> list[str]:
        """The text in the pieces a stream sends, at least two where it can."""
        text = self.text or ""
        size = max(1, -(-len(text) // 4))
        return [text[i : i + size] for i in range(0, len(text), size)]

    @property
    def tokens(self) -> tuple[int, int]:
        """Invented but stable token counts: (input, output)."""
        return 8, len((self.text or self.refusal or "").split())


def as_text(answer: object) -> str:
    """Return what the model writes for `answer`: text as it is, else JSON."""
    return answer if isinstance(answer, str) else json.dumps(answer)


def _cut(answer: Answer) -> Answer:
    text = answer.text or ""
    return replace(answer, text=text[: len(text) // 2], finish="length")


ANSWER_FAULTS: Final[Mapping[str, Callable[[Answer], Answer]]] = MappingProxyType(
    {
        "bad_json": lambda a: replace(a, text='{"answer": yes, "sure'),
        "wrong_schema": lambda a: replace(a, text='{"unexpected": [1, 2, 3]}'),
        "truncated": _cut,
        "length_valid": lambda a: replace(a, finish="length"),
        "refusal": lambda a: replace(a, text=None, refusal=REFUSAL_TEXT),
        "refusal_text": lambda a: replace(a, text=REFUSAL_TEXT),
        "content_filter": lambda a: replace(a, text="", finish="content_filter"),
        "empty_content": lambda a: replace(a, text=""),
        "null_content": lambda a: replace(a, text=None),
        "wrong_model": lambda a: replace(a, model=OTHER_MODEL),
        "tool_call": lambda a: replace(
            a, text=None, tool="look_up", finish="tool_calls"
        ),
        "no_choices": lambda a: replace(a, choices="none"),
        "null_choices": lambda a: replace(a, choices="null"),
    }
)
"""Faults that change what the model says, and leave the protocol intact."""
