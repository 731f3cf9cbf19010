"""A runtime of the tests' own: seeded jitter, fresh breakers."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from llmguard.guard import Runtime, use_runtime


@pytest.fixture(autouse=True)
def runtime() -> Iterator[Runtime]:
    """Give every test breakers and budgets that no other test has touched."""
    with use_runtime(Runtime(rng=random.Random(7))) as made:
        yield made
