"""The outer form of a text: fence, JSON, table, list, Markdown, code or plain prose."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from ._detector import Detection, Detector

__all__ = ["FormatFeatures", "format_features", "read_format"]

_FENCE: Final = re.compile(r"^[ \t]{0,3}```([\w+#.-]*)", re.MULTILINE)
_HEADING: Final = re.compile(r"^#{1,6} \S", re.MULTILINE)
_BULLET: Final = re.compile(r"^[ \t]*[-*+\u2022] \S", re.MULTILINE)
_NUMBERED: Final = re.compile(r"^[ \t]*\d{1,3}[.)] \S", re.MULTILINE)
_TABLE: Final = re.compile(r"^[ \t]*\|?[ \t]*:?-{3,}:?[ \t]*\|[-:| \t]*$", re.MULTILINE)
_BOLD: Final = re.compile(r"\*\*\S(?:[^*\n]*\S)?\*\*|__\S(?:[^_\n]*\S)?__")
_LINK: Final = re.compile(r"\[[^\]\n]+\]\([^)\s]+\)")
_CODE_LINE: Final = re.compile(
    r"^[ \t]*(?:def \w+\(|class \w+|import \w|from \w[\w.]* import |#include\b|return\b"
    r"|public |const \w|let \w+ =|function \w*\(|for \(|if \(|SELECT .+ FROM |<\w+>"
    r"|\}|.*[;{]$)",
    re.MULTILINE,
)
_EMOJI: Final = re.compile("[\u2600-\u27bf\U0001f300-\U0001faff]")
_MANY: Final = 2
_LABELS: Final = (
    "empty",
    "json",
    "fenced",
    "table",
    "list",
    "markdown",
    "code",
    "prose",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatFeatures:
    """What the outer form of a text shows.

    Attributes:
        chars: Length in characters.
        lines: Lines that hold something.
        json: The whole text is a JSON object or array.
        fences: Code fences opened.
        fence_language: Label of the first fence; empty for none.
        unclosed: A fence is opened and never closed, as in a truncated answer.
        fenced: The whole text is one fence and nothing else.
        headings: Markdown headings.
        bullets: Bulleted lines.
        numbered: Numbered lines.
        tables: Markdown tables.
        bold: Bold spans.
        links: Markdown links.
        code_lines: Lines outside of fences that look like program code.
        emoji: Emoji.
    """

    chars: int
    lines: int
    json: bool
    fences: int
    fence_language: str
    unclosed: bool
    fenced: bool
    headings: int
    bullets: int
    numbered: int
    tables: int
    bold: int
    links: int
    code_lines: int
    emoji: int

    @property
    def markdown(self) -> bool:
        """True when a reader that does not render Markdown would see marks."""
        marks = (self.fences, self.headings, self.bullets, self.tables, self.bold)
        return any((*marks, self.links))


def format_features() -> Detector:
    """Return a detector of the outer form of a text.

    Labels, the first that fits: `empty`; `json`, all of it; `fenced`, a code fence
    anywhere; `table`; `list`, at least two bulleted or numbered lines; `markdown`;
    `code`, at least half of the lines; `prose`. The score is the number of marks
    counted. `format_features().other_than("json")` finds answers that are not bare
    JSON; `read_format` gives every count.
    """
    return Detector(
        id="format/1",
        detect=_detect,
        labels=_LABELS,
        positive=frozenset(_LABELS) - {"prose"},
    )


def read_format(text: str) -> FormatFeatures:
    """Return everything that the outer form of a text shows."""
    fences = [match.group(1) for match in _FENCE.finditer(text)]
    outside = _outside(text)
    bare = text.strip()
    return FormatFeatures(
        chars=len(text),
        lines=sum(1 for line in text.splitlines() if line.strip()),
        json=_is_json(bare),
        fences=(len(fences) + 1) // 2,
        fence_language=fences[0] if fences else "",
        unclosed=len(fences) % 2 == 1,
        fenced=len(fences) == _MANY and not outside.strip(),
        headings=len(_HEADING.findall(outside)),
        bullets=len(_BULLET.findall(outside)),
        numbered=len(_NUMBERED.findall(outside)),
        tables=len(_TABLE.findall(outside)),
        bold=len(_BOLD.findall(outside)),
        links=len(_LINK.findall(outside)),
        code_lines=len(_CODE_LINE.findall(outside)),
        emoji=len(_EMOJI.findall(outside)),
    )


def _outside(text: str) -> str:
    """Return the lines that stand outside of code fences."""
    kept: list[str] = []
    inside = False
    for line in text.splitlines():
        if _FENCE.match(line):
            inside = not inside
        elif not inside:
            kept.append(line)
    return "\n".join(kept)


def _is_json(bare: str) -> bool:
    if not bare.startswith(("{", "[")):
        return False
    try:
        json.loads(bare)
    except (ValueError, RecursionError):
        return False
    return True


def _detect(text: str) -> Detection:
    seen = read_format(text)
    items = seen.bullets + seen.numbered
    marks = seen.fences + seen.headings + items + seen.tables + seen.bold + seen.links
    found = (
        ("empty", not seen.lines),
        ("json", seen.json),
        ("fenced", seen.fences > 0),
        ("table", seen.tables > 0),
        ("list", items >= _MANY),
        ("markdown", seen.markdown),
        ("code", seen.lines > 0 and seen.code_lines * 2 >= seen.lines),
        ("prose", True),
    )
    label = next(name for name, holds in found if holds)
    return Detection(label=label, score=float(marks), why=_why(seen))


def _why(seen: FormatFeatures) -> str:
    counts = {
        "fences": seen.fences,
        "headings": seen.headings,
        "bullets": seen.bullets,
        "numbered": seen.numbered,
        "tables": seen.tables,
        "bold": seen.bold,
        "links": seen.links,
    }
    parts = [f"{name} {n}" for name, n in counts.items() if n]
    return ", ".join([*parts, "a fence is not closed"] if seen.unclosed else parts)
