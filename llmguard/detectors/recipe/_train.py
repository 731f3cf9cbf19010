"""Logistic regression on the sentence that looks most like a refusal.

Plain stochastic gradient descent with a seeded order and L2 shrinkage: a text's
gradient goes to the sentence that scores highest at that moment, so that an answer is
an answer in each of its sentences, and a refusal needs one that declines.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from typing import Final

from ...contract import is_refusal
from .._refusal_model import RefusalModel, place
from .._refusal_text import MAX_SENTENCES, sentences
from ._texts import Text, lengthened

__all__ = ["SEED", "cross_validate", "train"]

SEED: Final = 1
_EPOCHS: Final = 30
_RATE: Final = 0.3
_DECAY: Final = 0.3
_STEP: Final = 0.3
_BIAS_STEP: Final = 0.2
_SHRINK: Final = 0.003
_WORD_TEXTS: Final = 4
"""Texts that a word must be in to be kept; rarer ones are topics."""
_FEATURE_TEXTS: Final = 2
_DIGITS: Final = 3

_Row = list[list[str]]


def train(texts: Sequence[Text], *, seed: int = SEED) -> RefusalModel:
    """Fit the weights to texts; the same texts and seed give the same weights."""
    rng = random.Random(seed)  # noqa: S311 - the order of training is no secret
    plain = RefusalModel(vocabulary=_vocabulary(texts), weights={}, bias=0.0)
    kept = _frequent([_features(plain, each) for each in texts])
    every = [*texts, *lengthened(texts, rng)]
    data = [
        (
            [[f for f in row if f in kept] for row in _features(plain, each)],
            each.refusal,
        )
        for each in every
    ]
    weights, bias = _descend([pair for pair in data if pair[0]], rng)
    return RefusalModel(
        vocabulary=plain.vocabulary,
        weights={f: round(w, _DIGITS) for f, w in weights.items()},
        bias=round(bias, _DIGITS),
    )


def cross_validate(
    texts: Sequence[Text], *, folds: int = 5
) -> list[tuple[Text, float]]:
    """Return each text with its probability under a model that did not see it."""
    order = list(texts)
    random.Random(SEED).shuffle(order)  # noqa: S311 - the split is no secret
    scored: list[tuple[Text, float]] = []
    for fold in range(folds):
        rest = [each for i, each in enumerate(order) if i % folds != fold]
        model = train(rest)
        scored += [(each, model.judge(each.text)[0]) for each in order[fold::folds]]
    return scored


def _vocabulary(texts: Sequence[Text]) -> frozenset[str]:
    seen: Counter[str] = Counter()
    for each in texts:
        seen.update({word for words in sentences(each.text) for word in words})
    return frozenset(word for word, n in seen.items() if n >= _WORD_TEXTS)


def _features(model: RefusalModel, text: Text) -> _Row:
    read = sentences(text.text)
    if not read:
        return []
    rows = model.rows(read, lexical=is_refusal(text.text))
    return [sorted(row) for row in rows]  # sets have another order in each process


def _frequent(rows: Sequence[_Row]) -> frozenset[str]:
    seen: Counter[str] = Counter()
    for row in rows:
        seen.update({feature for sentence in row for feature in sentence})
    often = {feature for feature, n in seen.items() if n >= _FEATURE_TEXTS}
    return frozenset(often | {place(i) for i in range(MAX_SENTENCES)})


def _descend(
    data: list[tuple[_Row, bool]], rng: random.Random
) -> tuple[dict[str, float], float]:
    weights: dict[str, float] = {}
    bias = 0.0

    def score(row: list[str]) -> float:
        return math.fsum(weights.get(feature, 0.0) for feature in row)

    for epoch in range(_EPOCHS):
        rng.shuffle(data)
        rate = _RATE / (1 + _DECAY * epoch)
        for rows, refusal in data:
            best = max(rows, key=score)
            error = 1 / (1 + math.exp(-score(best) - bias)) - refusal
            bias -= rate * _BIAS_STEP * error
            for feature in best:
                old = weights.get(feature, 0.0)
                weights[feature] = old - rate * (_STEP * error + _SHRINK * old)
    return weights, bias
