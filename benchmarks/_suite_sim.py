"""Suites simulated with numpy, thousands of runs at once, compared with the decider.

The rules of the decision are written a second time here, on arrays: `same_verdicts`
sends the same outcomes through `Decider` and compares call by call.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llmguard.suite import Status
from llmguard.suite.stats import BetaMixture, Decider, PairedBetting, Rule
from llmguard.suite.stats._claim import Claim

__all__ = ["End", "hot", "naive_blocks", "same_verdicts", "simulate", "spread"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

OPEN, BLOCKED, ACCEPTED = 0, 1, 2
_EARLY: Final = 200
_QUARTER: Final = 0.25
_NAIVE_ROUNDS: Final = 20


@dataclass(frozen=True)
class End:
    """How many runs of one rule ended."""

    status: Ints
    calls: Ints

    def share(self, status: int) -> float:
        return float(np.mean(self.status == status))


def spread(
    rng: np.random.Generator, rate: float, icc: float, runs: int, prompts: int
) -> Array:
    """Draw prompts' rates; the mean of every suite is exactly `rate`."""
    if not icc or not 0 < rate < 1:
        return np.full((runs, prompts), rate)
    weight = 1 / icc - 1
    drawn = rng.beta(rate * weight, (1 - rate) * weight, (runs, prompts))
    for _ in range(200):
        gap = rate - drawn.mean(axis=1, keepdims=True)
        room = np.where(gap > 0, 1 - drawn, drawn)
        total = np.maximum(room.sum(axis=1, keepdims=True), 1e-300)
        drawn = np.clip(drawn + gap * prompts * room / total, 0, 1)
    return drawn


def hot(rate: float, runs: int, prompts: int) -> Array:
    """As few prompts as can be carry all failures."""
    whole, rest = divmod(rate * prompts, 1)
    row = np.zeros(prompts)
    row[: int(whole)] = 1.0
    if rest:
        row[int(whole)] = rest
    return np.tile(row, (runs, 1))


class _Rounds:
    """Outcomes of all runs, one round at a time, in shuffled order."""

    def __init__(
        self,
        rng: np.random.Generator,
        rates: Array,
        base: Array | None,
        *,
        shuffled: bool,
    ) -> None:
        self.rng, self.rates, self.base, self.shuffled = rng, rates, base, shuffled
        # Worst case of an order that is not drawn: the weakest prompts first.
        self.fixed = np.argsort(-rates, axis=1)

    def draw(self, alive: Ints) -> tuple[Ints, Array, Array]:
        shape = (len(alive), self.rates.shape[1])
        order = self.fixed[alive]
        if self.shuffled:
            order = np.argsort(self.rng.random(shape), axis=1)
        rates = np.take_along_axis(self.rates[alive], order, axis=1)
        failed = (self.rng.random(shape) < rates).astype(float)
        other = np.zeros(shape)
        if self.base is not None:
            rates = np.take_along_axis(self.base[alive], order, axis=1)
            other = (self.rng.random(shape) < rates).astype(float)
        return order, failed, other


def simulate(
    rule: Rule,
    rates: Array,
    *,
    seed: int,
    base: Array | None = None,
    alpha: float = 0.01,
    beta: float = 0.05,
    min_rounds: int = 3,
    cap: int = 50,
    shuffled: bool = True,
    keep: list[tuple[Ints, Ints, Array, Array]] | None = None,
) -> End:
    """Run a rule about a suite's mean on many suites at once.

    Args:
        rule: The rule.
        rates: Of the candidate, runs x prompts.
        seed: Of orders and outcomes.
        base: Of the incumbent, for relative rules.
        alpha: As for `Decider`.
        beta: As for `Decider`.
        min_rounds: As for `Decider`.
        cap: As for `Decider`.
        shuffled: False asks the weakest prompts first.
        keep: Gets alive runs, orders and outcomes of each round.
    """
    runs, prompts = rates.shape
    rounds = _Rounds(np.random.default_rng(seed), rates, base, shuffled=shuffled)
    status, calls = np.zeros(runs, dtype=np.int64), np.full(runs, cap * prompts)
    state = _State(rule, runs, prompts, math.log(1 / alpha))
    for number in range(1, cap + 1):
        alive = np.flatnonzero(status == OPEN)
        if not len(alive):
            break
        order, failed, other = rounds.draw(alive)
        if keep is not None:
            keep.append((alive, order, failed, other))
        for at, who in state.play(alive, failed, other, number):
            status[who], calls[who] = BLOCKED, (number - 1) * prompts + at
        alive = alive[status[alive] == OPEN]
        if number >= min_rounds:
            won = alive[state.accept(alive, number) >= -math.log(beta)]
            status[won], calls[won] = ACCEPTED, number * prompts
    return End(status, calls)


class _State:
    def __init__(self, rule: Rule, runs: int, prompts: int, block_at: float) -> None:
        claim = Claim(rule)
        self.rule, self.prompts, self.block_at = rule, prompts, block_at
        self.worse, self.better = np.zeros(runs), np.zeros(runs)
        self.low = claim.low
        self.grid = np.array(claim.block_grid)
        self.logs = np.zeros((runs, len(self.grid)))
        share = prompts / (prompts + _EARLY)
        self.share, self.rest = math.log(share), math.log1p(-share)

    def play(
        self, alive: Ints, failed: Array, other: Array, number: int
    ) -> Iterator[tuple[int, Ints]]:
        """Walk through a round; yield who is blocked, and after how many calls."""
        going = np.ones(len(alive), dtype=bool)
        if not self.rule.relative:
            other = np.zeros_like(failed)
        for k in range(self.prompts):
            step = failed[:, k] - other[:, k]
            self.worse[alive] += step > 0
            self.better[alive] += step < 0
            if number == 1:
                self._bet(alive, step, k)
            left = self.prompts - k - 1
            rounds = self._closed(alive, number, left)
            early = _log_mean_exp(self.logs[alive])
            total = np.logaddexp(self.rest + rounds, self.share + early)
            over = going & (total >= self.block_at)
            if over.any():
                going &= ~over
                yield k + 1, alive[over]
            if not going.any():
                return

    def _bet(self, alive: Ints, step: Array, k: int) -> None:
        if k > self.prompts * _QUARTER:
            return
        mean = self.rule.tolerate
        bound = (self.prompts * mean - k * self.low) / (self.prompts - k)
        if bound < 1:
            gain = (step - bound) / (bound - self.low)
            self.logs[alive] += np.log1p(gain[:, None] * self.grid)

    def _closed(self, alive: Ints, number: int, left: int) -> Array:
        n = number * self.prompts
        if self.rule.relative:
            better = self.better[alive] + left
            return _wealth(self.rule, n, self.worse[alive], better, accept=False)
        mixture = BetaMixture(
            tolerate=self.rule.tolerate, unacceptable=self.rule.unacceptable
        )
        return _look_up(lambda s: mixture.log_block(n, s), self.worse[alive])

    def accept(self, alive: Ints, number: int) -> Array:
        n = number * self.prompts
        if self.rule.relative:
            counts = (self.worse[alive], self.better[alive])
            return _wealth(self.rule, n, *counts, accept=True)
        mixture = BetaMixture(
            tolerate=self.rule.tolerate, unacceptable=self.rule.unacceptable
        )
        return _look_up(lambda s: mixture.log_accept(n, s), self.worse[alive])


def _look_up(log_e: Callable[[int], float], counts: Array) -> Array:
    values, where = np.unique(counts, return_inverse=True)
    return np.array([log_e(int(value)) for value in values])[where]


def _wealth(rule: Rule, n: int, worse: Array, better: Array, *, accept: bool) -> Array:
    pair = PairedBetting(tolerate=rule.tolerate, unacceptable=rule.unacceptable)
    edge, up, down = rule.tolerate, worse, better
    if accept:
        edge, up, down = -rule.unacceptable, better, worse
    grid = np.array(pair.grid)
    won = np.log1p(grid * (1 - edge) / (1 + edge))
    tied = np.log1p(-grid * edge / (1 + edge))
    logs = up[:, None] * won + down[:, None] * np.log1p(-grid)
    return _log_mean_exp(logs + (n - up - down)[:, None] * tied)


def _log_mean_exp(logs: Array) -> Array:
    top = logs.max(axis=1)
    return top + np.log(np.exp(logs - top[:, None]).mean(axis=1))


def naive_blocks(
    rule: Rule, rates: Array, *, seed: int, shuffled: bool, alpha: float = 0.01
) -> float:
    """Return how often the plain mixture blocks when looked at after every call.

    Twenty rounds.
    """
    runs, prompts = rates.shape
    rounds = _Rounds(np.random.default_rng(seed), rates, None, shuffled=shuffled)
    mixture = BetaMixture(tolerate=rule.tolerate, unacceptable=rule.unacceptable)
    failures, blocked = np.zeros(runs), np.zeros(runs, dtype=bool)
    everyone = np.arange(runs)
    for number in range(_NAIVE_ROUNDS):
        _, failed, _ = rounds.draw(everyone)
        for k in range(prompts):
            failures += failed[:, k]
            n = number * prompts + k + 1
            log_e = _look_up(lambda s, n=n: mixture.log_block(n, s), failures)
            blocked |= log_e >= -math.log(alpha)
    return float(blocked.mean())


def same_verdicts(rule: Rule, rates: Array, base: Array | None, *, seed: int) -> int:
    """Send the same outcomes through both; return how many runs agree call by call."""
    kept: list[tuple[Ints, Ints, Array, Array]] = []
    ends = simulate(rule, rates, seed=seed, base=base, keep=kept)
    prompts = rates.shape[1]
    agree = 0
    codes = {Status.OPEN: OPEN, Status.BLOCKED: BLOCKED, Status.ACCEPTED: ACCEPTED}
    for run in range(len(rates)):
        decider = Decider([rule], cases=prompts)
        for alive, order, failed, other in kept:
            at = np.flatnonzero(alive == run)
            if not len(at):
                break
            row = int(at[0])
            for case, mine, its in zip(
                order[row], failed[row], other[row], strict=True
            ):
                decider.feed(rule.name, str(case), bool(mine), bool(its))
            decider.end_round()
        state = decider.state(rule.name)
        found = (codes[state.status], state.n)
        agree += found == (int(ends.status[run]), int(ends.calls[run]))
    return agree
