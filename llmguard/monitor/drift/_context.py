"""What of an output its prompt explains, so that other inputs are no other behaviour.

The words of the prompts, weighted by how rare they are (Sparck Jones, Journal of
Documentation 28, 1972), predict the numbers of the outputs by kernel ridge regression
(Saunders, Gammerman and Vovk, ICML 1998). The main directions of these predictions,
and the prompt's length, are the context that every family is conditioned on.

For the baseline's own outputs each prediction is that of a model which never saw the
output, nor another one to the same prompt: the closed form of leaving one out, and its
copies with it. So nothing is explained by having been learnt by heart, and a number
that prompts do not predict gets no prediction at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from ._embed import WORDS
from ._rows import Flags, Floats, Order, Rows

__all__ = ["CONTEXT", "Context", "Learnt", "regress"]

CONTEXT: Final = "words-loo/2"
"""Version of the conditioning; baselines are bound to it."""

_COMPONENTS: Final = 16
_TOPICS: Final = 16
"""Main directions of the answers' wording that the prompts are to predict too."""
_PENALTIES: Final = (1.0, 3.0, 10.0)
_WORTH: Final = 0.98
"""Share of a number's variance that must be left at most, or it is not predicted."""
_FAINT: Final = 1e-3
_PENALTY: Final = 50.0
_LEAST: Final = 1e-3
"""Smallest spread of a component, and share of a row's weight that others have: prompts
that never vary have no axes to speak of."""
_NOTHING: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """How prompts become the numbers that outputs are conditioned on.

    Attributes:
        rarity: Weight of each bucket of words, 2,048; 0 for what was never seen.
        axes: 2,048 x c.
        offset: What an average prompt gives, c.
        centre: Means of the c components and of the length; empty where prompts are
            not known.
        scale: Their standard deviations.
    """

    rarity: Floats
    axes: Floats
    offset: Floats
    centre: Floats
    scale: Floats

    def read(self, rows: Rows) -> Floats:
        """Return n x (1 + c + 1): a column of ones, the components, the length.

        Rows whose prompts are not known are taken for average ones.
        """
        if not self.centre.size:
            return np.ones((len(rows), 1))
        if rows.prompts is None:
            return np.eye(1, 1 + self.centre.size).repeat(len(rows), axis=0)
        found = _weighted(rows.prompts, self.rarity) @ self.axes - self.offset
        return self.standard(np.column_stack([found, rows.sizes]))

    @property
    def prompts(self) -> bool:
        """True when prompts were known."""
        return bool(self.centre.size)

    def strangeness(self, rows: Rows) -> Floats:
        """Return the share, by weight, of each prompt's words that are new, n."""
        if rows.prompts is None or not self.centre.size:
            return np.zeros(len(rows))
        return _strangeness(rows.prompts, self.rarity, self.rarity == 0)

    def standard(self, seen: Floats) -> Floats:
        """Return components and lengths as numbers of one size, behind a one."""
        return np.hstack([np.ones((len(seen), 1)), (seen - self.centre) / self.scale])


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """A context, and what it makes of the baseline that it was learnt from.

    Attributes:
        context: Reads prompts.
        seen: What it reads in each of the baseline's without having seen that one,
            n x (1 + c + 1), or n x 1 where prompts are not known.
        full: What it will read in them if they come again.
        strange: The share of each prompt's words that are in no other one, n.
        marks: c x marks: from the components to what they say of each mark.
    """

    context: Context
    seen: Floats
    full: Floats
    strange: Floats
    marks: Floats

    @property
    def known(self) -> bool:
        """True when prompts were known."""
        return bool(self.context.centre.size)

    @classmethod
    def of(cls, rows: Rows) -> Learnt:
        """Learn from a baseline."""
        marks = rows.marks.shape[1]
        if rows.prompts is None:
            none = np.zeros(0)
            context = Context(
                rarity=np.zeros(WORDS),
                axes=np.zeros((WORDS, 0)),
                offset=none,
                centre=none,
                scale=none,
            )
            return cls(
                context=context,
                seen=np.ones((len(rows), 1)),
                full=np.ones((len(rows), 1)),
                strange=np.zeros(len(rows)),
                marks=np.zeros((0, marks)),
            )
        rarity = _rarity(rows.prompts)
        bags = _weighted(rows.prompts, rarity)
        mean = bags.mean(axis=0)
        bags -= mean
        same = _same(rows.prompts)
        unseen, weights = _predict(bags, _targets(rows), same)
        turn = _directions(unseen)
        axes = bags.T @ weights @ turn
        seen = np.column_stack([unseen @ turn, rows.sizes])
        context = Context(
            rarity=rarity,
            axes=axes,
            offset=mean @ axes,
            centre=seen.mean(axis=0),
            scale=np.maximum(seen.std(axis=0), _LEAST),
        )
        back = context.scale[:-1, None] * turn[:marks].T
        return cls(
            context=context,
            seen=context.standard(seen),
            full=context.read(rows),
            strange=_strangeness(rows.prompts, rarity, _once(rows.prompts, same)),
            marks=back,
        )


def regress(context: Floats, values: Floats) -> Floats:
    """Return coefficients, context x values, by ridge regression; the mean is free."""
    penalty = np.full(context.shape[1], _PENALTY)
    penalty[0] = 0.0
    gram = context.T @ context + np.diag(penalty)
    return np.linalg.solve(gram, context.T @ values)


def _rarity(bags: Floats) -> Floats:
    n, seen = len(bags), bags.sum(axis=0, dtype=np.float64)
    return np.where(seen > 0, np.log((1 + n) / (1 + seen)) + 1, 0.0)


def _strangeness(bags: Floats, rarity: Floats, new: Flags) -> Floats:
    weights = np.where(new, np.log(1 + len(rarity)) + 1, rarity)
    total = np.maximum(bags @ weights, _NOTHING)
    share: Floats = (bags @ (weights * new)) / total
    return share


def _weighted(bags: Floats, rarity: Floats) -> Floats:
    weighted = bags * rarity
    size = np.sqrt(np.einsum("ij,ij->i", weighted, weighted))
    scaled: Floats = weighted / np.maximum(size, _NOTHING)[:, None]
    return scaled


def _targets(rows: Rows) -> Floats:
    """Return what prompts are to predict, standardised: style, and main wording."""
    style, n = rows.style, len(rows)
    # As if each had been one more and one less once: what never varies stays small.
    spread = np.sqrt(style.var(axis=0) + (n + 1) / (n + 2) ** 2)
    wording = rows.hashed - rows.hashed.mean(axis=0)
    axes = np.linalg.eigh(wording.T @ wording)[1][:, ::-1][:, :_TOPICS]
    topics = wording @ axes
    topics /= np.maximum(topics.std(axis=0), _LEAST)
    return np.hstack([(style - style.mean(axis=0)) / spread, topics])


def _same(bags: Floats) -> Order:
    """Return which distinct prompt each row has, n indices."""
    number: dict[bytes, int] = {}
    return np.array([number.setdefault(bag.tobytes(), len(number)) for bag in bags])


def _once(bags: Floats, same: Order) -> Flags:
    """Tell of each bucket whether one distinct prompt alone has it."""
    first = np.unique(same, return_index=True)[1]
    alone: Flags = bags[first].sum(axis=0) == 1
    return alone


def _predict(bags: Floats, values: Floats, same: Order) -> tuple[Floats, Floats]:
    """Return each row's prediction by the others, and the dual weights of all, n x d.

    Rows of the same prompt are left out together: a desk that is asked the same thing
    thrice would otherwise know its answers by heart. For m equal rows the block of the
    hat matrix is the leverage h in every place, so that the prediction of a model
    without them is (fitted - h * sum of their values) / (1 - m * h).

    The penalty is chosen for each value by the error on rows left out; infinity, which
    predicts nothing, among them.
    """
    n, copies = len(bags), np.bincount(same)[same]
    sums = np.zeros((int(same.max()) + 1, values.shape[1]))
    np.add.at(sums, same, values)
    whole = sums[same]
    power, basis = _spectrum(bags)
    turned = basis.T @ values
    best: Floats = _WORTH * (values**2).mean(axis=0)
    unseen, weights = np.zeros_like(values), np.zeros_like(values)
    for penalty in _PENALTIES:
        shrink = power / (power + penalty)
        leverage = (basis**2) @ shrink
        fitted = basis @ (shrink[:, None] * turned)
        # The mean was estimated too, which costs each row another 1 / n.
        kept = np.maximum(1 - copies * (leverage + 1 / n), _LEAST)
        left = (fitted - leverage[:, None] * whole) / kept[:, None]
        error: Floats = ((values - left) ** 2).mean(axis=0)
        better: Flags = error < best
        best = np.where(better, error, best)
        unseen[:, better] = left[:, better]
        dual: Floats = basis @ (turned / (power + penalty)[:, None])
        weights[:, better] = dual[:, better]
    return unseen, weights


def _spectrum(bags: Floats) -> tuple[Floats, Floats]:
    """Return the squared singular values of the rows, and their left vectors."""
    if len(bags) <= WORDS:
        power, basis = np.linalg.eigh(bags @ bags.T)
        return np.maximum(power, 0.0), basis
    power, axes = np.linalg.eigh(bags.T @ bags)
    kept = power > _NOTHING
    return power[kept], bags @ (axes[:, kept] / np.sqrt(power[kept]))


def _directions(unseen: Floats) -> Floats:
    power, axes = np.linalg.eigh(unseen.T @ unseen / len(unseen))
    kept = int(min((power > _FAINT).sum(), _COMPONENTS))
    return axes[:, ::-1][:, :kept]
