"""Formats that jsonschema's own checkers read too loosely.

Its `email` accepts `@`, its `duration` accepts signs, its `time` refuses leap seconds.
These follow the RFCs that JSON Schema names; all other formats stay jsonschema's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from ._ecma import python_regex

if TYPE_CHECKING:
    from jsonschema import FormatChecker

__all__ = ["ALONE", "stricter"]

_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_WIDE_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+"
_QUOTED: Final = r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\[\x20-\x7e])*"'
_WIDE_QUOTED: Final = r'"(?:[^\x00-\x1f\x7f"\\]|\\[\x20-\x7e])*"'
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_OCTET: Final = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"

_EMAIL: Final = re.compile(rf"(?:{_ATOM}(?:\.{_ATOM})*|{_QUOTED})@(.+)", re.DOTALL)
_IDN_EMAIL: Final = re.compile(
    rf"(?:{_WIDE_ATOM}(?:\.{_WIDE_ATOM})*|{_WIDE_QUOTED})@(\S+)"
)
_HOST: Final = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_LITERAL: Final = re.compile(
    rf"\[(?:{_OCTET}(?:\.{_OCTET}){{3}}|IPv6:([0-9A-Fa-f:.]+))\]"
)
# RFC 3339, appendix A; the date parts may each end the list, none may be left out.
_DAYS: Final = r"(?:\d+D|\d+M(?:\d+D)?|\d+Y(?:\d+M(?:\d+D)?)?)"
_HOURS: Final = r"T(?:\d+S|\d+M(?:\d+S)?|\d+H(?:\d+M(?:\d+S)?)?)"
_DURATION: Final = re.compile(rf"P(?:{_DAYS}(?:{_HOURS})?|{_HOURS}|\d+W)", re.ASCII)
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TIME: Final = re.compile(
    r"(\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:[zZ]|([+-])(\d\d):(\d\d))", re.ASCII
)
_RELATIVE: Final = re.compile(r"(?:0|[1-9][0-9]*)(?:#|(?:/(?:[^~/]|~[01])*)*)")
# RFC 6570, section 2.
_VARIABLE: Final = r"(?:\w|%[0-9A-Fa-f]{2})(?:\.?(?:\w|%[0-9A-Fa-f]{2}))*"
_SPEC: Final = rf"{_VARIABLE}(?:\*|:[1-9]\d{{0,3}})?"
_TEMPLATE: Final = re.compile(
    rf"(?:[^\x00-\x20\x7f\"<>%\\^`{{|}}]|%[0-9A-Fa-f]{{2}}"
    rf"|\{{[+#./;?&=,!@|]?{_SPEC}(?:,{_SPEC})*\}})*",
    re.ASCII,
)
# RFC 3987, section 2.2: ucschar, and in queries iprivate too.
_PLANES: Final = "".join(
    f"{chr(0x10000 * plane)}-{chr(0x10000 * plane + 0xFFFD)}" for plane in range(1, 15)
)
_WIDE: Final = re.compile(f"[\xa0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef{_PLANES}]+")
_WIDE_QUERY: Final = re.compile(
    f"[\xa0-\ud7ff\ue000-\ufdcf\ufdf0-\uffef{_PLANES}\U000f0000-\U0010fffd]+"
)
_PYTHON_ONLY: Final = re.compile(r"\(\?(?:P|#|[aiLmsux]+\))|(?<!\\)\\[aAZ]")


def _email(text: str) -> bool:
    match = _EMAIL.fullmatch(text)
    return match is not None and _domain(match[1])


def _idn_email(text: str) -> bool:
    match = _IDN_EMAIL.fullmatch(text)
    return match is not None and (not match[1].isascii() or _domain(match[1]))


def _domain(text: str) -> bool:
    if _HOST.fullmatch(text):
        return True
    literal = _LITERAL.fullmatch(text)
    if literal is None or literal[1] is None:
        return literal is not None
    from ipaddress import AddressValueError, IPv6Address

    try:
        IPv6Address(literal[1])
    except AddressValueError:
        return False
    return True


def _hostname(text: str) -> bool:
    """Follow RFC 1123, and RFC 5890 for labels in their ASCII form."""
    if not _HOST.fullmatch(text):
        return False
    return all(_a_label(label) for label in text.lower().split("."))


def _a_label(label: str) -> bool:
    if label[2:4] != "--":
        return True
    if not label.startswith("xn--"):
        return False
    from idna import IDNAError, ulabel

    try:
        return bool(ulabel(label))
    except IDNAError:
        return False


def _time(text: str) -> bool:
    match = _TIME.fullmatch(text)
    if match is None:
        return False
    hour, minute, second = (int(match[group]) for group in (1, 2, 3))
    away = (int(match[5] or 0), int(match[6] or 0))
    if hour > 23 or minute > 59 or second > 60 or away[0] > 23 or away[1] > 59:  # noqa: PLR2004 - a clock
        return False
    # A leap second is the last one of a day in UTC.
    sign = -1 if match[4] == "+" else 1
    in_utc = (hour * 60 + minute + sign * (away[0] * 60 + away[1])) % 1440
    return second < 60 or in_utc == 1439  # noqa: PLR2004 - as above


def _date(text: str) -> bool:
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _date_time(text: str) -> bool:
    return text[10:11] in {"T", "t"} and _date(text[:10]) and _time(text[11:])


def _regex(text: str) -> bool:
    if _PYTHON_ONLY.search(text):
        return False
    try:
        re.compile(python_regex(text))
    except re.error:
        return False
    return True


def _iri(text: str) -> bool:
    """Check an IRI as the URI that RFC 3987, section 3.1, maps it to."""
    from rfc3986_validator import (
        validate_rfc3986,  # pyright: ignore[reportUnknownVariableType] - untyped
    )

    return "\n" not in text and bool(validate_rfc3986(_as_uri(text), rule="URI"))


def _iri_reference(text: str) -> bool:
    from rfc3986_validator import (
        validate_rfc3986,  # pyright: ignore[reportUnknownVariableType] - untyped
    )

    return bool(validate_rfc3986(_as_uri(text), rule="URI_reference"))


def _as_uri(text: str) -> str:
    """Percent-encode what an IRI may hold beyond a URI; the rest stays, and fails."""
    head, mark, query = text.partition("?")
    return _WIDE.sub(_encoded, head) + mark + _WIDE_QUERY.sub(_encoded, query)


def _encoded(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode())


def _matches(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: pattern.fullmatch(text) is not None


_CHECKS: Final[Mapping[str, Callable[[str], bool]]] = {
    "date": _date,
    "date-time": _date_time,
    "duration": _matches(_DURATION),
    "email": _email,
    "hostname": _hostname,
    "idn-email": _idn_email,
    "iri": _iri,
    "iri-reference": _iri_reference,
    "regex": _regex,
    "relative-json-pointer": _matches(_RELATIVE),
    "time": _time,
    "uri-template": _matches(_TEMPLATE),
    "uuid": _matches(_UUID),
}


ALONE: Final = frozenset({"iri", "iri-reference"})
"""Formats checked here although jsonschema has no checker for them installed."""


def stricter(base: FormatChecker, names: frozenset[str]) -> FormatChecker:
    """Copy a format checker, with ours in the place of its looser ones.

    Args:
        base: The checker of a draft.
        names: The formats that the draft defines.
    """
    from jsonschema import FormatChecker

    made = FormatChecker(())
    made.checkers = dict(base.checkers)
    for name in names & _CHECKS.keys() & (made.checkers.keys() | ALONE):
        made.checkers[name] = (_only_text(_CHECKS[name]), ())
    return made


def _only_text(test: Callable[[str], bool]) -> Callable[[Any], bool]:
    """Formats say something about strings only."""
    return lambda value: not isinstance(value, str) or test(value)
