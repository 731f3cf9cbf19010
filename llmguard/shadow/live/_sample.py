"""Which requests are sampled: a hash of the id decides, the same in every process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Final

from ._options import ShadowOptions

__all__ = ["MAX_STRATA", "OTHER", "digest_of", "fraction", "share_of", "stratum_of"]

MAX_STRATA: Final = 50
"""Strata that one process tells apart; a label with an id in it would have millions."""
OTHER: Final = "(other)"
_BOOST: Final = 10.0
_RANGE: Final = 2.0**64
_LONGEST: Final = 80


def fraction(key: str, salt: str) -> float:
    """Return a number in [0, 1) that depends on nothing but its arguments.

    It is uniform over keys, and independent for different salts, so that what is
    sampled and what is drawn twice have nothing to do with each other, nor with how a
    route's traffic is split.
    """
    found = blake2b(key.encode(), digest_size=8, key=salt.encode()[:64]).digest()
    return int.from_bytes(found, "big") / _RANGE


def digest_of(text: str, salt: str) -> str:
    """Return 16 hex digits that stand for a text without telling it."""
    return blake2b(text.encode(), digest_size=8, key=salt.encode()[:64]).hexdigest()


def stratum_of(labels: Iterable[tuple[str, str]], by: tuple[str, ...]) -> str:
    """Return the stratum of a call's labels, such as `intent=refund, lang=de`."""
    if not by:
        return ""
    given: Mapping[str, str] = dict(labels)
    parts = [f"{name}={given[name]}" for name in by if name in given]
    return ", ".join(parts)[:_LONGEST]


def share_of(options: ShadowOptions, stratum: str, sampled: int) -> float:
    """Return the share of a stratum's calls to sample.

    A stratum of several labels takes the largest share that one of them is given.

    Args:
        options: The shadow's.
        stratum: From `stratum_of`.
        sampled: Requests of the stratum that were sampled so far.
    """
    share = options.share
    if options.shares:
        parts = stratum.split(", ")
        named = [options.shares[part] for part in parts if part in options.shares]
        share = max(named, default=share)
    if sampled < options.minimum:
        share = min(1.0, _BOOST * share)
    return share
