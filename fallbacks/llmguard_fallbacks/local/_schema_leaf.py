"""Strings, numbers and literals with bounds: the leaves of a finite schema."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ._schema_types import LeafCheck, Limits, Node

__all__ = ["FORMATS", "Leaves", "fixed_key_pattern"]

_GROWTHS: Final = 7
_WORD = "[a-z0-9]{1,16}"
_TIME = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
_DATE = "(19|20)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])"
_BYTE = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_HOST = rf"{_WORD}(\.{_WORD}){{0,2}}\.[a-z]{{2,6}}"
_PATH = "(/[A-Za-z0-9_-]{1,16}){0,4}"

FORMATS: Final[dict[str, tuple[str, int]]] = {
    "date": (_DATE, 10),
    "time": (f"{_TIME}Z", 9),
    "date-time": (f"{_DATE}T{_TIME}Z", 20),
    "duration": ("P([1-9][0-9]{0,2}D|T[1-9][0-9]{0,2}[HMS])", 6),
    "email": (rf"{_WORD}([.+_-]{_WORD})?@{_HOST}", 93),
    "idn-email": (rf"{_WORD}([.+_-]{_WORD})?@{_HOST}", 93),
    "hostname": (_HOST, 57),
    "idn-hostname": (_HOST, 57),
    "ipv4": (rf"({_BYTE}\.){{3}}{_BYTE}", 15),
    "ipv6": ("([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}", 39),
    "uri": (f"https?://{_HOST}{_PATH}", 133),
    "iri": (f"https?://{_HOST}{_PATH}", 133),
    "uri-reference": (f"(https?://{_HOST})?{_PATH}", 133),
    "iri-reference": (f"(https?://{_HOST})?{_PATH}", 133),
    "uri-template": (f"https?://{_HOST}{_PATH}", 133),
    "uuid": ("[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", 36),
    "json-pointer": ("(/[A-Za-z0-9_]{1,16}){0,4}", 68),
    "relative-json-pointer": ("[0-9](/[A-Za-z0-9_]{1,16}){0,4}", 69),
    "regex": ("[A-Za-z0-9_]{0,32}", 32),
}
"""Per format of JSON Schema: a bounded pattern that only it accepts, and its length.

Each is a subset chosen so that nothing needs a calendar or a look-up: days stop at
28, times are UTC, hosts are lower-case ASCII (RFC 3339, RFC 5321, RFC 3986).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaves:
    """Builds leaf schemas and reports what the grammar cannot hold.

    Attributes:
        limits: Bounds for what is open.
        refuses: Asks the grammar engine whether it takes a schema.
        report: Called with (path, keyword, reason) for what is not enforced.
    """

    limits: Limits
    refuses: LeafCheck
    report: Callable[[str, str, str], None]

    def string(self, flat: Node, path: str) -> Node | None:
        """Return a bounded string schema; None when no string can satisfy it."""
        low = int(flat.get("minLength", 0))
        high = flat.get("maxLength", math.inf)
        if low > high:
            return None
        patterns = list(flat.get("patterns", ()))
        longest = min(high, max(low, self.limits.string))
        name = flat.get("format")
        if name in FORMATS:
            longest, patterns = self._format(flat, path, patterns, longest, high)
        leaf: Node = {"type": "string", "minLength": low, "maxLength": int(longest)}
        return self._patterned(leaf, patterns, path, high)

    def _format(
        self, flat: Node, path: str, patterns: list[str], longest: float, high: float
    ) -> tuple[float, list[str]]:
        pattern, length = FORMATS[flat["format"]]
        if not patterns and high >= length:
            return max(longest, length), [f"^({pattern})$"]
        self.report(path, "format", "stands beside `pattern` or a short `maxLength`")
        return longest, patterns

    def _patterned(
        self, leaf: Node, patterns: list[str], path: str, high: float
    ) -> Node | None:
        kept = [p for p in patterns if self._takes(p, path)]
        if not kept:
            return leaf
        # A pattern may need more characters than the limit allows: let it grow, in
        # small steps, because room that is not needed would be filled.
        problem, longest = "", leaf["maxLength"]
        for _ in range(_GROWTHS):
            found = _with_patterns({**leaf, "maxLength": int(longest)}, kept)
            problem = self.refuses(found)
            if not problem:
                return found
            longest = min(high, 2 * longest)
        if "nsatisfiable" in problem:
            return None
        self.report(path, "pattern", f"is beyond the grammar engine: {problem}")
        return leaf

    def _takes(self, pattern: str, path: str) -> bool:
        problem = self.refuses({"type": "string", "pattern": pattern})
        if problem and "nsatisfiable" not in problem:
            self.report(path, "pattern", f"is beyond the grammar engine: {problem}")
            return False
        return True

    def number(self, flat: Node, path: str, *, whole: bool) -> Node | None:
        """Return a bounded number schema; None when no number satisfies it."""
        low, high = _bounds(flat, self.limits.magnitude)
        step = flat.get("multipleOf")
        if step is not None and not float(step).is_integer():
            self.report(path, "multipleOf", "is not exact in binary floating point")
        if whole:
            return self._integer(low, high, step, path)
        if step is None:
            step = _step(low.value, high.value, self.limits.step)
        return self._decimal(low, high, float(step))

    def _integer(
        self, low: _Bound, high: _Bound, step: float | None, path: str
    ) -> Node | None:
        first = math.floor(low.value) + 1 if low.open else math.ceil(low.value)
        last = math.ceil(high.value) - 1 if high.open else math.floor(high.value)
        if first > last:
            return None
        leaf: Node = {"type": "integer", "minimum": first, "maximum": last}
        if step is not None and float(step).is_integer():
            stepped = {**leaf, "multipleOf": int(step)}
            if first // int(step) == last // int(step) and first % int(step):
                return None
            problem = self.refuses(stepped)
            if not problem:
                return stepped
            self.report(path, "multipleOf", f"is beyond the grammar engine: {problem}")
        return leaf

    def _decimal(self, low: _Bound, high: _Bound, step: float) -> Node | None:
        # llguidance 1.9 lets an excluded bound through when there is a multipleOf,
        # so excluded bounds move in by one step.
        digits = max(0, -math.floor(math.log10(step)) + 2) if step < 1 else 2
        first = round(low.value + step, digits) if low.open else low.value
        last = round(high.value - step, digits) if high.open else high.value
        if first > last:
            return None
        leaf: Node = {
            "type": "number",
            "minimum": first,
            "maximum": last,
            "multipleOf": step,
        }
        if not self.refuses(leaf):
            return leaf
        whole = self._integer(low, high, None, "")
        return whole if whole and step <= 1 else None


@dataclass(frozen=True, slots=True)
class _Bound:
    value: float
    open: bool


def _bounds(flat: Node, magnitude: int) -> tuple[_Bound, _Bound]:
    low = _tightest(flat, "minimum", "exclusiveMinimum", max)
    high = _tightest(flat, "maximum", "exclusiveMaximum", min)
    if low is None:
        low = _Bound(
            min(-magnitude, high.value - magnitude) if high else -magnitude, False
        )
    if high is None:
        high = _Bound(max(magnitude, low.value + magnitude), False)
    return low, high


def _tightest(flat: Node, plain: str, exclusive: str, pick: Any) -> _Bound | None:
    found = [
        _Bound(flat[k], k == exclusive)
        for k in (plain, exclusive)
        if isinstance(flat.get(k), (int, float)) and not isinstance(flat[k], bool)
    ]
    if len(found) == 2 and found[0].value == found[1].value:  # noqa: PLR2004 - both given
        return found[1]
    return pick(found, key=_value) if found else None


def _value(bound: _Bound) -> float:
    return bound.value


def _step(low: float, high: float, step: float) -> float:
    """Return a decimal step that leaves at least a hundred values in a range."""
    width = high - low
    if width <= 0 or width >= 100 * step:
        return step
    return 10.0 ** (math.floor(math.log10(width)) - 2)


def _with_patterns(leaf: Node, patterns: list[str]) -> Node:
    if len(patterns) == 1:
        return {**leaf, "pattern": patterns[0]}
    return {**leaf, "allOf": [{"pattern": p} for p in patterns]}


_OPEN_REPEAT = re.compile(r"(?<!\\)(\*|\+|\{(\d+),\})\??")


def fixed_key_pattern(pattern: str, *, longest: int) -> str:
    """Return a pattern for whole keys: finitely many of those that `pattern` matches.

    Open repeats are cut at `longest`; an open end may go on with word characters.
    """

    def cut(match: re.Match[str]) -> str:
        if match[1].startswith("{"):
            return f"{{{match[2]},{max(longest, int(match[2]))}}}"
        return f"{{{0 if match[1] == '*' else 1},{longest}}}"

    body = re.sub(
        r"\[(?:\\.|[^\]\\])*\]|" + _OPEN_REPEAT.pattern,
        lambda m: m[0] if m[0].startswith("[") else cut(m),
        pattern,
    )
    if re.search(r"(?<!\\)\|", pattern):
        return f"^({body})$"
    head = body if body.startswith("^") else f"^{body}"
    closed = head.endswith("$") and not head.endswith("\\$")
    return head if closed else f"{head}[A-Za-z0-9_]{{0,{longest}}}$"
