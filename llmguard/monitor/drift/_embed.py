"""A text as 256 numbers: hashed words, marks and pairs of them, without any model.

The hashing trick of Weinberger et al., "Feature hashing for large scale multitask
learning" (ICML 2009), with crc32 and signs, so that collisions cancel in the mean.
"""

from __future__ import annotations

import re
import zlib
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["BUCKETS", "HASHED", "Vector", "hash_text"]

Vector = NDArray[np.float32]

BUCKETS: Final = 256
HASHED: Final = "crc32-256/1"
"""Version of the embedding; baselines are bound to it."""
_READ: Final = 4_000
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
