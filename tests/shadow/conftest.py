"""Simulated versions: how often they answer what, request by request."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from llmguard.shadow import Draw, Ladder, Pair, Tally

Simulate = Callable[..., Tally]


def answer(choice: str) -> Draw:
    """Return a draw with one decision field."""
    return Draw(text=f'{{"answer": "{choice}"}}')


def pick(rng: random.Random, shares: Sequence[tuple[str, float]]) -> Draw:
    """Return one random answer of a version."""
    names, weights = zip(*shares, strict=True)
    return answer(rng.choices(names, weights)[0])


def simulate(
    n: int,
    incumbent: Sequence[tuple[str, float]],
    challenger: Sequence[tuple[str, float]],
    *,
    seed: int = 1,
    doubled: float = 1.0,
    stratum: Callable[[int], str] = lambda _: "",
    cluster: Callable[[int], str] = lambda _: "",
    clustered: bool = False,
) -> Tally:
    """Tally `n` requests of two versions that answer by chance."""
    rng = random.Random(seed)
    tally = Tally(Ladder(), clustered=clustered)
    for i in range(n):
        twice = rng.random() < doubled
        draws = [pick(rng, incumbent) for _ in range(1 + twice)]
        theirs = [pick(rng, challenger) for _ in range(1 + twice)]
        tally.add(
            Pair.of(
                str(i),
                tuple(draws),
                tuple(theirs),
                stratum=stratum(i),
                cluster=cluster(i),
            )
        )
    return tally


@pytest.fixture(scope="session")
def simulated() -> Simulate:
    """Return the simulation."""
    return simulate
