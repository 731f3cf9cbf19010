"""What a reply says before its text is read, and what unreadable text means."""

from __future__ import annotations

from typing import Final

from ..outcome import Kind, Violation
from ..reply import Reply
from ._parse import ParseMode, Unparsed, hint
from ._show import hidden, oxford, shorten
from ._verdict import Verdict, refused

__all__ = ["before_text", "unreadable"]

_QUOTE: Final = 120
_CUT: Final = frozenset({"content_filter", "length", "refusal"})


def before_text(reply: Reply, *, length_ok: bool) -> Verdict | None:
    """Judge by what the provider marked; None when there is an answer to read."""
    text = reply.text
    answers = reply.has_value or bool(text and not text.isspace())
    if answers and reply.finish_reason not in _CUT and not reply.refusal:
        return None
    if reply.finish_reason == "content_filter":
        return refused(Kind.FILTERED, detail="the provider's filter cut the answer")
    if reply.refusal or reply.finish_reason == "refusal":
        said = " ".join((reply.refusal or "it said nothing").split())
        quote = shorten(hidden(said), _QUOTE)
        return refused(Kind.REFUSAL, detail=f"the model declined: {quote}")
    if reply.finish_reason == "length" and not (length_ok and answers):
        detail = "the answer stops at the length limit; raise the limit on tokens"
        return refused(Kind.TRUNCATED, detail=detail)
    return None if answers else refused(Kind.EMPTY, detail=_nothing(reply))


def _nothing(reply: Reply) -> str:
    if not reply.tool_calls:
        return "the answer has no text"
    names = [f"`{call.name}`" for call in reply.tool_calls]
    return f"the model asked for {oxford(names, last='and')} and wrote no answer"


def unreadable(
    parsed: Unparsed, reply: Reply, text: str, *, mode: ParseMode, starts: str
) -> Verdict:
    """Judge text that no JSON could be read from.

    JSON that stops early is `truncated`, unless the provider says that the model
    stopped by itself: then the model wrote it so, and may be asked again.
    """
    if parsed.incomplete and reply.finish_reason != "stop":
        return refused(Kind.TRUNCATED, detail=f"the answer {parsed.message}")
    other = hint(text, mode, starts=starts)
    message = f"{parsed.message} ({other})" if other else parsed.message
    violation = Violation(path="", message=message, check="json")
    return refused(Kind.BAD_JSON, [violation])
