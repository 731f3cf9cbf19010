"""Other inputs, or other behaviour? Which of the two the prompts speak for.

Shares of the answers move when the version changes, and when other things are asked.
If the answers of one version are only mixed anew, the prompts of each kind of answer
are what they were (the label shift of Lipton, Wang and Smola, ICML 2018): a desk that
gets twice as many bills reads twice as many prompts about bills. If the version has
changed, the answers move and the prompts stay. So the baseline tells how far prompts
should have moved for the answers that are seen, and the likelihood ratio of "that far"
against "not at all" is the evidence, less what chance alone makes of it. Where prompts
say nothing about the answers it stays at zero, whatever happens.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from ._context import Learnt
from ._rows import Floats

__all__ = ["EXPLAINED", "STRANGE", "Mix", "Mixing"]

EXPLAINED: Final = 1.0
"""Log likelihood ratio from which on other inputs explain what is seen."""
STRANGE: Final = 4.0
"""Standard errors from which on prompts are others than the baseline's."""

_RATE: Final = 0.01
_RIDGE: Final = 0.05
_SHRINK: Final = 0.25
"""Variance that answers never explain: a few hundred of them know no certainties."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """How the prompts of a baseline go with its answers.

    Attributes:
        centre: Mean of each number of the answers, d.
        answers: d x c: how far answers pull the prompts, in whitened units.
        prompts: c x c: whitens what the answers leave open of the prompts.
        chance: What chance alone adds to the squared pull of one answer, one number.
        strange: Mean and standard deviation of the share of words that are in no other
            prompt.
        outputs: Outputs of the baseline, one number.
    """

    centre: Floats
    answers: Floats
    prompts: Floats
    chance: Floats
    strange: Floats
    outputs: Floats

    @classmethod
    def learn(cls, style: Floats, learnt: Learnt) -> Mix:
        """Learn from the numbers of the answers, n x d, and from their prompts."""
        n, prompts, strange = len(style), learnt.seen[:, 1:], learnt.strange
        centre = style.mean(axis=0)
        spread: Floats = np.sqrt(style.var(axis=0) + (n + 1) / (n + 2) ** 2)
        answers: Floats = (style - centre) / spread
        gram: Floats = answers.T @ answers + _RIDGE * n * np.eye(answers.shape[1])
        pull: Floats = np.linalg.solve(gram, answers.T @ prompts)
        rest: Floats = prompts - answers @ pull
        left: Floats = rest.T @ rest / n + _SHRINK * np.eye(rest.shape[1])
        whiten: Floats = np.linalg.cholesky(np.linalg.inv(left))
        pulled: Floats = answers @ pull @ whiten
        return cls(
            centre=centre,
            answers=pull @ whiten / spread[:, None],
            prompts=whiten,
            chance=np.array([np.square(pulled).sum() / n]),
            strange=np.array([strange.mean(), strange.std() + 1 / (n + 2)]),
            outputs=np.array([float(n)]),
        )

    def arrays(self) -> Mapping[str, Floats]:
        """Return everything it knows, for storage."""
        return {
            "centre": self.centre,
            "answers": self.answers,
            "prompts": self.prompts,
            "chance": self.chance,
            "strange": self.strange,
            "outputs": self.outputs,
        }


class Mixing:
    """Follows R streams; the last 200 outputs count most.

    Args:
        mix: What the baseline tells.
        streams: How many.
    """

    __slots__ = (
        "_answers",
        "_kept",
        "_mix",
        "_prompts",
        "_strange",
        "strange",
    )

    def __init__(self, mix: Mix, streams: int = 1) -> None:
        self._mix = mix
        self._prompts = np.zeros((streams, len(mix.prompts)))
        self._answers = np.zeros_like(self._prompts)
        self._strange = np.zeros(streams)
        self.strange = np.zeros(streams)
        """Standard errors by which prompts have more new words than they had."""
        self._kept = 1.0

    def step(self, style: Floats, context: Floats, strange: Floats) -> Floats:
        """Take the next output of each stream; return R log likelihood ratios.

        Args:
            style: Numbers of the answers, R x d.
            context: What is read in their prompts, R x (1 + c).
            strange: Shares of new words in them, R.
        """
        mix = self._mix
        asked = context[:, 1:] @ mix.prompts
        pulled = (style - mix.centre) @ mix.answers
        self._prompts += _RATE * (asked - self._prompts)
        self._answers += _RATE * (pulled - self._answers)
        self._strange += _RATE * (strange - mix.strange[0] - self._strange)
        self._kept *= 1 - _RATE
        # Means of all outputs so far, weighted: their weights do not sum to one yet.
        whole = 1 - self._kept
        prompts, answers = self._prompts / whole, self._answers / whole
        share = _RATE / (2 - _RATE) * (1 - self._kept**2) / whole**2
        n = 1 / (share + 1 / mix.outputs[0])
        self.strange = self._strange / whole * math.sqrt(n) / mix.strange[1]
        chance = n * share * mix.chance[0]
        ratio: Floats = n * ((prompts - answers / 2) * answers).sum(axis=1) - chance / 2
        return ratio
