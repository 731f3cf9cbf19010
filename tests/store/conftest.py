"""One conformance suite for every backend: a new one is one more factory here."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llmguard.store import NewTicket, SqliteStore, Store, fingerprint
from llmguard.testing import VirtualClock

SCHEMA = {
    "type": "object",
    "properties": {
        "category": {"enum": ["billing", "shipping"]},
        "order_id": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    },
    "required": ["category"],
    "additionalProperties": False,
}


def _sqlite(folder: Path, clock: VirtualClock) -> Store:
    return SqliteStore(folder / "store.db", clock=clock)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(epoch=1_000_000.0)


@pytest.fixture(params=[pytest.param(_sqlite, id="sqlite")])
def open_again(
    request: pytest.FixtureRequest, tmp_path: Path, clock: VirtualClock
) -> Iterator[Callable[[], Store]]:
    """Open the same store once more, as another process would."""
    opened: list[Store] = []

    def make() -> Store:
        opened.append(request.param(tmp_path, clock))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def store(open_again: Callable[[], Store]) -> Store:
    return open_again()


@pytest.fixture
def new_ticket() -> Callable[..., NewTicket]:
    """Make tickets that differ in id, key and content unless told otherwise."""
    numbers = itertools.count(1)

    def make(**fields: object) -> NewTicket:
        number = next(numbers)
        given: dict[str, object] = {
            "id": f"t{number:04}",
            "queue": "triage",
            "key": f"key-{number}",
            "fingerprint": fingerprint(number),
            "inputs": {"ticket": f"text {number}"},
            "schema": SCHEMA,
        }
        return NewTicket(**{**given, **fields})  # type: ignore[arg-type]  # a helper's free keywords

    return make
