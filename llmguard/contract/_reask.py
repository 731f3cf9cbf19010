"""The message that asks a model again, with what was wrong quoted."""

from __future__ import annotations

from typing import Final

from ..outcome import Kind
from ._parse import ParseMode
from ._show import hidden, shorten
from ._verdict import Verdict

__all__ = ["MAX_QUOTE", "feedback"]

MAX_QUOTE: Final = 2000
"""Characters of the refused answer that are quoted back."""

_FORM: Final = {
    "raw": "the complete corrected JSON and nothing else, no code fence either",
    "fenced": "the complete corrected JSON inside exactly one ```json code fence",
    "lenient": "the complete corrected JSON",
    "text": "the complete corrected text and nothing else",
}


def feedback(verdict: Verdict, text: str | None, *, parse: ParseMode) -> str:
    """Write the re-ask; empty for a verdict that is `ok`."""
    if verdict.kind is Kind.OK:
        return ""
    lines = ["Your answer was refused by an automatic check:", ""]
    lines += [f"- {violation}" for violation in verdict.violations] or [
        f"- {verdict.detail or verdict.kind.value}"
    ]
    if text:
        quote = shorten(hidden(text.strip()), MAX_QUOTE)
        lines += ["", "The answer was:", *(f"> {line}" for line in quote.splitlines())]
    lines += ["", f"Answer the request again. Write {_FORM[parse]}."]
    return "\n".join(lines)
