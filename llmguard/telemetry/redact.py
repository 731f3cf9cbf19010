"""Blank what looks like personal data or a secret before anything is kept.

A help, not a promise: names, addresses and free descriptions pass. Give your own
function as `redact=` where more is known about the data; it is called with every text
and returns what may be kept of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Final, cast

from ..errors import ConfigError

__all__ = ["Redact", "redacted", "redactor", "scrub"]

Redact = Callable[[str], str]
"""Takes a text and returns what may be stored of it."""

_LUHN: Final = 10
_IBAN_MODULUS: Final = 97
_PHONE_DIGITS: Final = range(8, 16)
_CARD_DIGITS: Final = range(13, 20)
_OCTET: Final = 255


def _card(found: re.Match[str]) -> str:
    """Blank a number whose check digit is right (Luhn, US patent 2,950,048)."""
    digits = [int(sign) for sign in found[0] if sign.isdigit()]
    if len(digits) not in _CARD_DIGITS:
        return found[0]
    doubled = [
        sum(divmod(2 * digit, _LUHN)) if place % 2 else digit
        for place, digit in enumerate(reversed(digits))
    ]
    return "[card]" if sum(doubled) % _LUHN == 0 else found[0]


def _iban(found: re.Match[str]) -> str:
    """Blank an account number whose check digits are right (ISO 13616, mod 97)."""
    text = re.sub(r"\s", "", found[0])
    moved = text[4:] + text[:4]
    number = "".join(str(int(sign, 36)) for sign in moved)
    return "[iban]" if int(number) % _IBAN_MODULUS == 1 else found[0]


def _phone(found: re.Match[str]) -> str:
    digits = sum(sign.isdigit() for sign in found[0])
    return "[phone]" if digits in _PHONE_DIGITS else found[0]


def _ip(found: re.Match[str]) -> str:
    octets = found[0].split(".")
    return "[ip]" if all(int(one) <= _OCTET for one in octets) else found[0]


Blank = str | Callable[[re.Match[str]], str]

_NAMES: Final = "(?:api[-_ ]?key|secret|token|password|passwd|pwd)"
_HEX: Final = "[0-9A-Fa-f]{1,4}"

# In this order: an account number holds what looks like a phone number.
_PATTERNS: Final[tuple[tuple[str, Blank], ...]] = (
    (r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*KEY-----|\Z)", "[key]"),
    (r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*", "[key]"),
    (r"\b(?:sk|pk|rk|gsk|xai|hf|gh[pousr]|glpat|xox[abprs])[-_][\w-]{12,}", "[key]"),
    (r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b", "[key]"),
    (r"(?i)\bbearer\s+[\w.~+/-]{8,}=*", "[key]"),
    (rf"(?i)\b({_NAMES}\s*[:=]\s*)['\"]?[^\s'\",;]{{4,}}", r"\1[key]"),
    (r"(?<=//)[^/\s:@]+:[^/\s@]+(?=@)", "[key]"),
    (r"[\w.+%-]{1,64}@(?:[\w-]{1,63}\.)+[A-Za-z]{2,24}\b", "[email]"),
    (r"\b[A-Z]{2}\d{2}(?:[ ]?[A-Z0-9]{4}){2,7}(?:[ ]?[A-Z0-9]{1,3})?\b", _iban),
    (r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-]|\.\d)", _card),
    (r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w]|\.\d)", _ip),
    (rf"(?<![\w:])(?:{_HEX}:){{7}}{_HEX}(?![\w:])", "[ip]"),
    (rf"(?<![\w:])(?:{_HEX}:){{1,6}}(?::{_HEX}){{1,6}}(?![\w:])", "[ip]"),
    (r"(?<![\w+.-])(?:\+|00)\d{1,3}[ ./()-]{0,2}(?:\d[ ./()-]{0,2}){5,12}\d", _phone),
    (r"(?<![\w+.,-])\(?0\d{1,5}\)?[ ./-]\d(?:[ ./-]?\d){4,10}(?![\w-])", _phone),
    (r"(?<![\w+.,-])\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}(?![\w-])", _phone),
)


def scrub(text: str) -> str:
    """Blank mail addresses, cards, accounts, phone numbers, keys and IP addresses.

    Card and account numbers are blanked where their check digits are right, so that
    order numbers stay readable.
    """
    for pattern, blank in _PATTERNS:
        text = re.sub(pattern, blank, text, flags=re.DOTALL)
    return text


def _keep_all(text: str) -> str:
    return text


def redactor(given: str | Redact, *, what: str = "a shadow") -> Redact:
    """Return the function that `redact=` names.

    Args:
        given: `pii`, `none`, `module:function`, or a function.
        what: Whose setting it is, for the errors.

    Raises:
        ConfigError: It cannot be imported or called.
    """
    if not isinstance(given, str):
        return given
    if given in {"pii", "none"}:
        return scrub if given == "pii" else _keep_all
    module, _, name = given.partition(":")
    try:
        found: object = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"`redact={given!r}` of {what} cannot be imported ({error}): name a "
            "function of one text, `module:function`, that the application can import"
        ) from error
    if not callable(found):
        raise ConfigError(f"`redact={given!r}` of {what} is no function")
    return cast("Redact", found)


def redacted(value: object, redact: Redact, *, most: int) -> tuple[object, bool]:
    """Return plain JSON data with every text in it redacted and cut.

    Args:
        value: Strings, numbers, lists, objects.
        redact: What to do with each text, keys of objects included.
        most: Characters kept of any one text.

    Returns:
        The data, and whether a text was cut; a cut one ends in `… [N more characters]`.
    """
    if isinstance(value, str):
        text = redact(value)
        if len(text) <= most:
            return text, False
        return f"{text[:most]}… [{len(text) - most} more characters]", True
    if isinstance(value, Mapping):
        items = cast("Mapping[object, object]", value).items()
        made = {
            redact(str(key)): redacted(each, redact, most=most) for key, each in items
        }
        cut = any(each[1] for each in made.values())
        return {key: each[0] for key, each in made.items()}, cut
    if isinstance(value, list | tuple):
        parts = [
            redacted(each, redact, most=most) for each in cast("list[object]", value)
        ]
        return [each[0] for each in parts], any(each[1] for each in parts)
    return value, False
