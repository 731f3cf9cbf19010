"""Choosing a token, and how sure the model was of it."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Sampler", "Sampling"]

Logits = npt.NDArray[np.float32]
Tokens = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How tokens are drawn.

    Attributes:
        temperature: 0 takes the likeliest token; 1 draws from the model as it is.
        top_p: Share of the probability that is kept, likeliest tokens first.
        seed: Makes draws repeatable.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0


class Sampler:
    """Draws tokens for one answer."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        # Made ten times as fast as NumPy's, of which one number a token is needed.
        self._random = random.Random(sampling.seed)  # noqa: S311 - no secret

    def pick(self, logits: Logits, allowed: Tokens | None) -> tuple[int, float]:
        """Return a token and its probability among the allowed ones.

        The probability is the softmax at temperature 1 over the allowed tokens, so
        it does not depend on how the answer was sampled.
        """
        scores = logits if allowed is None else logits[allowed]
        best = int(np.argmax(scores))
        shifted = scores - scores[best]
        index = best if self._sampling.temperature <= 0 else self._draw(shifted, best)
        chance = float(np.exp(shifted[index]) / np.exp(shifted).sum())
        return (index if allowed is None else int(allowed[index])), chance

    def _draw(self, shifted: Logits, best: int) -> int:
        weights = np.exp(shifted.astype(np.float64) / self._sampling.temperature)
        if self._sampling.top_p < 1:
            weights /= weights.sum()
            order = np.argsort(-weights, kind="stable")
            before = np.cumsum(weights[order]) - weights[order]
            weights[order[before >= self._sampling.top_p]] = 0
        total = np.cumsum(weights)
        at = self._random.random() * float(total[-1])
        index = int(total.searchsorted(at, side="right"))
        # The product may be rounded up to the whole, beyond the last of them.
        return index if index < len(weights) else best
