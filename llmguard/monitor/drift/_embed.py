"""A text as numbers without any model: hashed words, marks and pairs of words.

Answers become 256 numbers, by the hashing trick of Weinberger et al., "Feature hashing
for large scale multitask learning" (ICML 2009), with crc32 and signs, so that
collisions cancel in the mean. Prompts become the set of their words.
"""

from __future__ import annotations

import re
import zlib
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["BUCKETS", "HASHED", "WORDS", "Vector", "hash_text", "hash_words"]

Vector = NDArray[np.float32]

BUCKETS: Final = 256
HASHED: Final = "crc32-256/1"
"""Version of the embedding; baselines are bound to it."""
WORDS: Final = 2_048
"""Buckets that the words of a prompt fall into."""
_READ: Final = 4_000
_WORD: Final = re.compile(r"\w+")
_DIGIT: Final = re.compile(r"\d")
_TOKEN: Final = re.compile(r"\w+|[^\w\s]|\n+")
_SIGN: Final = 1 << 16


def hash_text(text: str) -> Vector:
    """Return 256 numbers of euclidean length 1; all zeros for an empty text.

    The first 4,000 characters are read; case and punctuation count.
    """
    tokens = _TOKEN.findall(text[:_READ])
    grams = [*tokens, *map(" ".join, pairwise(tokens))]
    crc = zlib.crc32
    codes = np.fromiter(
        (crc(gram.encode("utf-8", "replace")) for gram in grams), np.int64, len(grams)
    )
    signs = np.where(codes & _SIGN, 1.0, -1.0)
    counts = np.bincount(codes % BUCKETS, weights=signs, minlength=BUCKETS)
    norm = float(np.sqrt(counts @ counts))
    return (counts / norm if norm else counts).astype(np.float32)


def hash_words(text: str) -> frozenset[int]:
    """Return the buckets, below 2,048, of the distinct words of a text.

    The first 4,000 characters are read; case does not count, and of numbers only how
    many digits they have: no two orders have the same one.
    """
    words = set(_WORD.findall(_DIGIT.sub("0", text[:_READ].lower())))
    crc = zlib.crc32
    return frozenset(crc(word.encode("utf-8", "replace")) % WORDS for word in words)
