"""What a draw shows: the act, the form, the document; read once, compared often."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Final

from ..contract import Contract
from ..contract._parse import Parsed, ParseMode, parse_text
from ..contract._pointer import MISSING
from ..outcome import Kind
from ..reply import Reply, ToolCall
from ._draw import LOST, Act, Draw, plain
from ._register import is_clarification

__all__ = ["NO_DOCUMENT", "Reader", "Reading"]

NO_DOCUMENT: Final = MISSING
"""Stands where there is no JSON; None is a document."""

_ACTS: Final = {
    Kind.REFUSAL: Act.REFUSAL,
    Kind.FILTERED: Act.FILTERED,
    Kind.TRUNCATED: Act.TRUNCATED,
    Kind.EMPTY: Act.EMPTY,
    Kind.ERROR: Act.ERROR,
}
_FINISHES: Final = {"length": Act.TRUNCATED, "content_filter": Act.FILTERED}
_MODES: Final[tuple[ParseMode, ...]] = ("raw", "fenced", "lenient")
_SURE: Final[tuple[ParseMode, ...]] = ("raw", "fenced")


class Reading:
    """A draw, read.

    Attributes:
        lost: The kind of a draw that cannot be compared; empty otherwise.
        act: What the version did.
        form: `raw`, `fenced`, `lenient`, `no JSON`, `value`; empty for prose.
        document: The JSON, or `NO_DOCUMENT`.
        valid: `valid` or the kind of breach; empty when no contract judged.
        text: The text, empty for none.
        calls: Names and arguments of tool calls.
        executed: Verdict of execution; empty for none.
        traits: Traits of the text that were looked at, by name.
    """

    __slots__ = (
        "act",
        "calls",
        "document",
        "executed",
        "form",
        "lost",
        "text",
        "traits",
        "valid",
    )

    def __init__(self, act: Act, *, text: str = "", executed: str = "") -> None:
        self.lost = ""
        self.act = act
        self.form = ""
        self.document: object = NO_DOCUMENT
        self.valid = ""
        self.text = text
        self.calls: tuple[tuple[str, object], ...] = ()
        self.executed = executed
        self.traits: dict[str, str] = {}

    def trait(self, name: str, find: Callable[[str], str]) -> str:
        """Return a trait of the text, found once."""
        if name not in self.traits:
            self.traits[name] = find(self.text)
        return self.traits[name]


class Reader:
    """Reads draws, as a ladder was told to.

    Args:
        contract: Judges draws that no guard has judged.
        json: Whether text is JSON: True, False, or None to look at each text.
        refusal: Tells a refusal by its words; None does not look.
        clarification: Tells a text that asks back.
        execute: Gives the verdict of running a draw, where none is recorded.
    """

    __slots__ = ("_clarification", "_contract", "_execute", "_json", "_refusal")

    def __init__(
        self,
        *,
        contract: Contract | None,
        json: bool | None,
        refusal: Callable[[str], bool] | None,
        clarification: bool,
        execute: Callable[[Draw], str] | None,
    ) -> None:
        self._contract, self._json = contract, json
        self._refusal, self._clarification = refusal, clarification
        self._execute = execute

    def read(self, draw: Draw) -> Reading:
        """Read one draw."""
        executed = draw.executed or (self._execute(draw) if self._execute else "")
        found = Reading(Act.ANSWER, text=draw.text or "", executed=executed)
        if draw.kind in LOST:
            found.lost = str(draw.kind)
            return found
        kind, found.valid = self._judged(draw)
        found.calls = tuple((call.name, _arguments(call)) for call in draw.calls)
        self._document(found, draw)
        found.act = self._act(found, draw, kind)
        return found

    def _judged(self, draw: Draw) -> tuple[Kind | None, str]:
        """Return the kind, and what the contract said of the form."""
        kind = draw.kind
        if kind is None and self._contract is not None and not draw.calls:
            reply = Reply(
                text=draw.text,
                value=draw.value,
                has_value=draw.has_value,
                finish_reason=draw.finish_reason,
                refusal=draw.refusal,
            )
            kind = self._contract.judge(reply).kind
        elif kind is None:
            return None, ""
        if kind in _ACTS:
            return kind, ""
        good = kind in {Kind.OK, Kind.LOW_CONFIDENCE}
        return kind, "valid" if good else f"breaks the contract ({kind})"

    def _document(self, found: Reading, draw: Draw) -> None:
        if draw.has_value:
            value = plain(draw.value)
            if isinstance(value, str) and self._json is not True:
                found.text = found.text or value
                return
            found.document, found.form = value, "value"
            return
        if found.text and self._json is not False:
            found.document, found.form = _parse(found.text, sure=self._json is None)

    def _act(self, found: Reading, draw: Draw, kind: Kind | None) -> Act:
        if kind is not None and kind in _ACTS:
            return _ACTS[kind]
        if kind is None and draw.refusal:
            return Act.REFUSAL
        if kind is None and draw.finish_reason in _FINISHES:
            return _FINISHES[draw.finish_reason]
        if found.calls:
            return Act.CALL
        if found.document is not NO_DOCUMENT:
            return Act.ANSWER
        return self._of_words(found.text)

    def _of_words(self, text: str) -> Act:
        if not text.strip():
            return Act.EMPTY
        if self._refusal is not None and self._refusal(text):
            return Act.REFUSAL
        if self._clarification and is_clarification(text):
            return Act.CLARIFICATION
        return Act.ANSWER


def _parse(text: str, *, sure: bool) -> tuple[object, str]:
    """Return the JSON in a text and how it stands there.

    Args:
        text: The text.
        sure: Only texts that are plainly JSON: prose with a bracket in it is prose.
    """
    head = text.lstrip()[:1]
    if sure and head not in {"{", "["} and "```json" not in text:
        return NO_DOCUMENT, ""
    for mode in _SURE if sure and head not in {"{", "["} else _MODES:
        if mode == "raw" and head == "`":
            continue
        if mode == "fenced" and "```" not in text:
            continue
        parsed = parse_text(text, mode)
        if isinstance(parsed, Parsed):
            return parsed.document, mode
    return NO_DOCUMENT, "no JSON"


def _arguments(call: ToolCall) -> object:
    try:
        return json.loads(call.arguments)
    except (ValueError, RecursionError):
        return call.arguments


def names_of(calls: Sequence[tuple[str, object]]) -> list[str]:
    """Return the tools that were called, in order."""
    return [name for name, _ in calls]
