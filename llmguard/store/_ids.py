"""Ids that sort by time and collide with nothing."""

from __future__ import annotations

import secrets

__all__ = ["new_id", "new_token"]

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base32, lower case
_TIME_DIGITS = 9  # 45 bits of milliseconds: until the year 3084
_RANDOM_DIGITS = 8  # 40 bits: one collision in 1e6 ids of the same millisecond


def _base32(number: int, digits: int) -> str:
    text = ""
    for _ in range(digits):
        number, rest = divmod(number, 32)
        text = _ALPHABET[rest] + text
    return text


def new_id(now: float) -> str:
    """Return a new 17-character id.

    Args:
        now: Seconds since the epoch; ids sort by it to the millisecond.
    """
    random = secrets.randbits(5 * _RANDOM_DIGITS)
    return _base32(int(now * 1000), _TIME_DIGITS) + _base32(random, _RANDOM_DIGITS)


def new_token() -> str:
    """Return a lease token that nobody can guess (60 bits)."""
    return _base32(secrets.randbits(60), 12)
