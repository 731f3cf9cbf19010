"""From the text of an answer to one JSON document, by the declared parse mode.

* `raw`: the whole text is the JSON, white space around it aside.
* `fenced`: the JSON stands in the one code fence labelled `json`; when no fence is
  labelled so, in the one fence without a label. Text around the fence is ignored.
* `lenient`: `raw`, else `fenced`, else the first object or array found in the text.
  Raw line breaks inside strings and trailing commas are allowed in this mode only.
* `text`: no JSON at all; the text itself is the value.

In every JSON mode `NaN`, `Infinity`, numbers beyond a double, doubled keys, lone
surrogates and nesting deeper than `MAX_DEPTH` are refused: two readers would not agree
on them, or could not read them at all.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from typing import Final, Literal, NamedTuple, NoReturn, cast

from .._dataclass import dataclass
from ._show import excerpt

__all__ = ["MAX_DEPTH", "ParseMode", "Parsed", "Unparsed", "hint", "parse_text"]

ParseMode = Literal["raw", "fenced", "lenient", "text"]
"""How a text becomes a document; see `docs/contract.md`."""

MAX_DEPTH: Final = 128
"""Levels of nesting; below what any of the parsers involved stops at (200)."""

_DEEP: Final = f"is nested deeper than {MAX_DEPTH} levels"

_MAX_CANDIDATES: Final = 32
"""Places in prose at which the lenient mode tries to read; bounds its cost."""


class Parsed(NamedTuple):
    """A JSON document and the strict JSON text it can be read from."""

    document: object
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unparsed:
    """Why no document could be read.

    Attributes:
        message: A sentence for the violation.
        incomplete: True when the text stops before its JSON is complete.
    """

    message: str
    incomplete: bool = False


class _NotJSONError(ValueError):
    """Valid by the grammar, or nearly, but not an interoperable document."""


def _refuse_constant(name: str) -> NoReturn:
    raise _NotJSONError(f"must be JSON, which has no `{name}`; write null or a number")


def _finite(text: str) -> float:
    number = float(text)
    if math.isfinite(number):
        return number
    raise _NotJSONError(f"has the number {excerpt(text)}, which is too large to read")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    names = [name for name, _ in pairs]
    doubled = next(name for name in names if names.count(name) > 1)
    raise _NotJSONError(
        f"has the key {excerpt(doubled)} twice in one object; write each key once"
    )


_STRICT: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refuse_constant
)
_scan: Final = cast(
    "Callable[[str, int], tuple[object, int]]", vars(_STRICT)["scan_once"]
)
_RELAXED: Final = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_float=_finite,
    parse_constant=_refuse_constant,
    strict=False,
)
_STRING_OR_COMMA: Final = r'(?s)"(?:[^"\\]|\\.)*(?:"|\\?\Z)|,(?=\s*[}\]])'
_CUT: Final = (
    r"t|tr|tru|f|fa|fal|fals|n|nu|nul|-|\.|(?:\.\d*)?[eE][+-]?|\\?u[0-9a-fA-F]{0,4}|"
)
"""What a token may look like where a text was cut; nothing at all, most often."""
_FENCE: Final = r"[ \t]{0,3}(`{3,})[ \t]*([\w+#.-]*)[ \t]*"


def parse_text(text: str, mode: ParseMode, *, starts: str = "{[") -> Parsed | Unparsed:
    """Read one JSON document out of `text`; never raises.

    Args:
        text: The answer as the model wrote it.
        mode: The declared parse mode.
        starts: Characters at which the lenient mode may find the document in prose.
    """
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return Unparsed(message="has characters that UTF-8 cannot write")
    if mode == "raw":
        return _parse_raw(text)
    if mode == "fenced":
        return _parse_fenced(text)
    if mode == "text":
        return Parsed(document=text, text=json.dumps(text))
    return _parse_lenient(text, starts)


def hint(text: str, mode: ParseMode, *, starts: str = "{[") -> str:
    """Say which other parse mode would have read the text; empty when none would."""
    if _reads(text, "raw"):
        return "the answer is bare JSON; declare parse='raw'"
    if mode == "raw" and _reads(text, "fenced"):
        return "the answer is JSON inside a code fence; declare parse='fenced'"
    if mode != "lenient" and _reads(text, "lenient", starts):
        return (
            "the answer has readable JSON with other text, line breaks in strings or "
            "trailing commas; declare parse='lenient' to accept that"
        )
    return ""


def _reads(text: str, mode: ParseMode, starts: str = "") -> bool:
    return isinstance(parse_text(text, mode, starts=starts), Parsed)


def _parse_raw(text: str) -> Parsed | Unparsed:
    try:
        try:
            document, end = _scan(text, 0)
        except StopIteration:
            document, end = None, -1
        if end != len(text):  # not bare JSON, the usual answer: look for blanks
            document = cast("object", _STRICT.decode(text))
    except (ValueError, RecursionError) as error:
        return _explain(error, text)
    return _interoperable(document, text)


def _explain(error: Exception, text: str, *, before: str = "") -> Unparsed:
    """Turn what the decoder raised into a sentence and a verdict on completeness.

    Args:
        error: What was raised.
        text: What was decoded.
        before: What stands before it in the answer, whose lines count too.
    """
    if isinstance(error, RecursionError):
        return Unparsed(message=_DEEP)
    if isinstance(error, _NotJSONError):
        return Unparsed(message=str(error))
    if not isinstance(error, json.JSONDecodeError):
        return Unparsed(message="has a number with too many digits to read")
    if error.msg.startswith("Extra data"):
        return Unparsed(
            message="has text after the JSON, from "
            f"{excerpt(text[error.pos : error.pos + 40])}; write the JSON alone"
        )
    # The decoder reports an unterminated string at its start, all else where it is.
    rest = text[error.pos : error.pos + 40].rstrip()
    started = text.lstrip()[:1] in {"{", "[", '"'}
    cut = error.msg.startswith("Unterminated string") or re.fullmatch(_CUT, rest)
    if started and cut:
        return Unparsed(
            message=f"stops before its JSON is complete, at {excerpt(text[-30:])}",
            incomplete=True,
        )
    found = excerpt(rest[:30]) if rest else "the end"
    at = json.JSONDecodeError("", before + text, len(before) + error.pos)
    return Unparsed(
        message=f"must be JSON; line {at.lineno} column {at.colno}, "
        f"at {found}: {error.msg[:1].lower()}{error.msg[1:]}"
    )


def _interoperable(document: object, text: str) -> Parsed | Unparsed:
    """Refuse what only some parsers would read the same way."""
    brackets = text.count("[") + text.count("{") if len(text) > MAX_DEPTH else 0
    if brackets > MAX_DEPTH and _too_deep(document):
        return Unparsed(message=_DEEP)
    if "\\u" in text:
        try:
            json.dumps(document, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return Unparsed(message="has an escape that is half of a character pair")
    return Parsed(document=document, text=text)


def _too_deep(document: object) -> bool:
    level: list[object] = [document]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in _containers(node)]
    return bool(level)


def _containers(node: object) -> list[object]:
    members: Iterable[object] = ()
    if isinstance(node, dict):
        members = cast("dict[str, object]", node).values()
    elif isinstance(node, list):
        members = cast("list[object]", node)
    return [member for member in members if isinstance(member, dict | list)]


def _fences(text: str) -> list[tuple[str, str, bool]]:
    """List every code fence: its label, its content, and whether it is closed."""
    found: list[tuple[str, str, bool]] = []
    label, ticks, content = "", "", list[str]()
    for line in text.splitlines(keepends=True):
        match = re.fullmatch(_FENCE, line.rstrip("\r\n"))
        if not ticks:
            if match:
                ticks, label, content = match[1], match[2].lower(), []
        elif match and not match[2] and len(match[1]) >= len(ticks):
            found.append((label, "".join(content), True))
            ticks = ""
        else:
            content.append(line)
    if ticks:
        found.append((label, "".join(content), False))
    return found


def _parse_fenced(text: str) -> Parsed | Unparsed:
    fences = _fences(text)
    chosen = [fence for fence in fences if fence[0] == "json"]
    chosen = chosen or [fence for fence in fences if not fence[0]]
    if len(chosen) != 1:
        return Unparsed(
            message="must be JSON inside exactly one ```json code fence; there are "
            f"{len(chosen) or 'none'}"
        )
    _, content, closed = chosen[0]
    parsed = _parse_raw(content)
    if isinstance(parsed, Parsed) and not closed:
        return Unparsed(message="opens a code fence and never closes it")
    return parsed


def _parse_lenient(text: str, starts: str) -> Parsed | Unparsed:
    whole = _parse_raw(text)
    if isinstance(whole, Parsed):
        return whole
    fenced = _parse_fenced(text)
    if isinstance(fenced, Parsed):
        return fenced
    found = _search(text, starts)
    return found if found is not None else whole


def _search(text: str, starts: str) -> Parsed | Unparsed | None:
    """Read the first object or array in prose; None when there is none.

    After a place that turns out not to be JSON, the search goes on behind what was
    read there: a part of a broken document is never taken for the document.
    """
    position = 0
    failure: Parsed | Unparsed | None = None
    for _ in range(_MAX_CANDIDATES):
        begins = [at for mark in starts if (at := text.find(mark, position)) >= 0]
        if not begins:
            break
        start = min(begins)
        failure, further = _read_at(text, start)
        if further is None:
            return failure
        position = max(further, start + 1)
    return failure


def _read_at(text: str, start: int) -> tuple[Parsed | Unparsed, int | None]:
    """Read a document at `start`: what was found, and where to go on if at all."""
    # Blanks take the place of trailing commas, so that positions stay the same.
    source = re.sub(
        _STRING_OR_COMMA,
        lambda match: match[0] if match[0] != "," else " ",
        text[start:],
    )
    try:
        document, _ = cast("tuple[object, int]", _RELAXED.raw_decode(source))
    except json.JSONDecodeError as error:
        why = _explain(error, source, before=text[:start])
        return why, None if why.incomplete else start + error.pos
    except (ValueError, RecursionError) as error:
        return _explain(error, source), None
    return _rewrite(document), None


def _rewrite(document: object) -> Parsed | Unparsed:
    """Give a document that was read leniently its strict JSON text."""
    if _too_deep(document):
        return Unparsed(message=_DEEP)
    return _interoperable(document, json.dumps(document))
