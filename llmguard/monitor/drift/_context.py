"""What of an output its prompt explains, so that other inputs are no other behaviour.

A ridge regression (Hoerl and Kennard, Technometrics 12, 1970) on 32 principal
components of the prompts' hashed words and on their length; what it does not explain
is watched. On real shifts of the prompt mix that is the difference between an alarm in
half of the healthy streams and one in almost none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from ._embed import BUCKETS
from ._rows import Floats, Order, Rows

__all__ = ["CONTEXT", "Context", "regress"]

CONTEXT: Final = "ridge-32/1"
"""Version of the conditioning; baselines are bound to it."""

_COMPONENTS: Final = 32
_PER_COMPONENT: Final = 8
"""Outputs that each component needs at least."""
_PENALTY: Final = 50.0
_LEAST: Final = 1e-3
"""Smallest spread of a component: prompts that never vary have no axes to speak of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """How prompts become the numbers that outputs are conditioned on.

    Attributes:
        mean: Mean embedding of the baseline's prompts, 256.
        axes: Principal axes, 256 x c; c = 0 where prompts are not known.
        centre: Means of the c components and the length.
        scale: Their standard deviations.
    """

    mean: Floats
    axes: Floats
    centre: Floats
    scale: Floats

    @classmethod
    def fit(cls, rows: Rows, order: Order) -> Context:
        """Learn from the rows named by `order`, an array of indices."""
        if rows.prompts is None:
            empty = np.zeros(0)
            return cls(
                mean=np.zeros(BUCKETS),
                axes=np.zeros((BUCKETS, 0)),
                centre=empty,
                scale=empty,
            )
        prompts = rows.prompts[order]
        mean = prompts.mean(axis=0)
        wanted = min(_COMPONENTS, len(order) // _PER_COMPONENT)
        covariance = np.cov(prompts, rowvar=False)
        axes = np.linalg.eigh(covariance)[1][:, ::-1][:, :wanted]
        seen = np.column_stack([(prompts - mean) @ axes, rows.sizes[order]])
        centre = seen.mean(axis=0)
        scale = np.maximum(seen.std(axis=0), _LEAST)
        return cls(mean=mean, axes=axes, centre=centre, scale=scale)

    @property
    def known(self) -> bool:
        """True when prompts were known."""
        return bool(self.centre.size)

    def read(self, rows: Rows) -> Floats:
        """Return n x (1 + c + 1): a column of ones, the components, the length.

        Rows whose prompts are not known are taken for average ones.
        """
        ones = np.ones((len(rows), 1))
        if not self.known:
            return ones
        if rows.prompts is None:
            return np.hstack([ones, np.zeros((len(rows), self.centre.size))])
        seen = np.column_stack([(rows.prompts - self.mean) @ self.axes, rows.sizes])
        return np.hstack([ones, (seen - self.centre) / self.scale])


def regress(context: Floats, values: Floats) -> Floats:
    """Return coefficients, context x values, by ridge regression; the mean is free."""
    penalty = np.full(context.shape[1], _PENALTY)
    penalty[0] = 0.0
    gram = context.T @ context + np.diag(penalty)
    return np.linalg.solve(gram, context.T @ values)
