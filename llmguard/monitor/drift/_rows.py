"""One output as numbers, and many of them as arrays."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._embed import BUCKETS, WORDS, Vector

__all__ = ["Flags", "Floats", "Order", "Row", "Rows", "pack", "unpack"]

Floats = NDArray[np.floating[Any]]
Flags = NDArray[np.bool_]
Order = NDArray[np.int64]
"""Indices of rows, with repetitions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What is kept of one output while a baseline is learnt: numbers, no text.

    Attributes:
        marks: What is there or not, in the order of the extractor's names.
        measures: Measured values, in the same order as their names.
        hashed: Embedding of the output, 256 numbers.
        prompt: Buckets of the prompt's words; None when it is not known.
        prompt_size: Logarithm of the prompt's length in characters.
    """

    marks: tuple[bool, ...]
    measures: tuple[float, ...]
    hashed: Vector
    prompt: frozenset[int] | None = None
    prompt_size: float = 0.0

    def to_json(self) -> str:
        """Return the row as one line of JSON, 1 to 2 kB."""
        return json.dumps(
            {
                "marks": "".join("1" if mark else "0" for mark in self.marks),
                "measures": [round(value, 6) for value in self.measures],
                "hashed": _half(self.hashed),
                "prompt": None if self.prompt is None else sorted(self.prompt),
                "prompt_size": round(self.prompt_size, 6),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Row:
        """Read what `to_json` wrote, to three significant digits.

        Raises:
            ValueError: The text is no such line.
        """
        read: Any = json.loads(text)
        prompt = read["prompt"]
        return cls(
            marks=tuple(sign == "1" for sign in read["marks"]),
            measures=tuple(read["measures"]),
            hashed=_whole(read["hashed"]),
            prompt=None if prompt is None else frozenset(prompt),
            prompt_size=read["prompt_size"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Many outputs, in the order in which they came.

    Attributes:
        marks: n x marks, 0 or 1.
        measures: n x measures.
        hashed: n x 256.
        prompts: n x 2,048, 1 where a word is there; None when a prompt is not known.
        sizes: n logarithms of prompt lengths.
    """

    marks: Floats
    measures: Floats
    hashed: Floats
    prompts: Floats | None
    sizes: Floats

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Rows:
        """Stack rows; the prompts count only when all are known."""
        known = [row.prompt for row in rows if row.prompt is not None]
        full = bool(rows) and len(known) == len(rows)
        return cls(
            marks=np.array([row.marks for row in rows], np.float64),
            measures=np.array([row.measures for row in rows], np.float64),
            hashed=np.array([row.hashed for row in rows], np.float64),
            prompts=_bags(known) if full else None,
            sizes=np.array([row.prompt_size for row in rows], np.float64),
        )

    def __len__(self) -> int:
        return len(self.marks)

    @property
    def style(self) -> Floats:
        """Marks and measures side by side."""
        return np.hstack([self.marks, self.measures])


def _bags(prompts: Sequence[frozenset[int]]) -> Floats:
    bags = np.zeros((len(prompts), WORDS), np.float32)
    for bag, words in zip(bags, prompts, strict=True):
        bag[list(words)] = 1.0
    return bags


def pack(array: Floats) -> dict[str, object]:
    """Return an array as JSON: its shape, and base64 of little-endian float32."""
    data = np.ascontiguousarray(array, "<f4").tobytes()
    return {"shape": list(array.shape), "f4": base64.b64encode(data).decode()}


def unpack(packed: Any) -> Floats:
    """Read what `pack` wrote.

    Raises:
        ValueError: The bytes do not fill the shape.
    """
    data = np.frombuffer(base64.b64decode(packed["f4"]), "<f4")
    return data.reshape(packed["shape"]).astype(np.float64)


def _half(vector: Vector) -> str:
    return base64.b64encode(vector.astype("<f2").tobytes()).decode()


def _whole(text: str) -> Vector:
    vector = np.frombuffer(base64.b64decode(text), "<f2").astype(np.float32)
    if vector.shape != (BUCKETS,):
        raise ValueError(f"an embedding has {vector.size} numbers, not {BUCKETS}")
    return vector
