"""Records made the quick way are the same records, and ids never repeat."""

from __future__ import annotations

import os
import pickle
from dataclasses import FrozenInstanceError, dataclass, field
from typing import Any

import pytest

from llmguard import capture, fallback_chain, static
from llmguard._quick import quick
from llmguard.adapters import Request
from llmguard.outcome import Attempt, Kind, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One field of each sort."""

    name: str
    size: int = 1
    words: list[str] = field(default_factory=list[str])


_GIVEN: list[tuple[type[Any], dict[str, Any]]] = [
    (Record, {"name": "a"}),
    (Record, {"name": "a", "size": 2, "words": ["b"]}),
    (Request, {"messages": (), "timeout": 1.0}),
    (
        Attempt,
        {
            "tier": "a",
            "tier_index": 0,
            "number": 1,
            "kind": Kind.OK,
            "started": 0.0,
            "elapsed": 1.0,
        },
    ),
    (
        Outcome,
        {
            "call_id": "1",
            "function": "f",
            "kind": Kind.OK,
            "tier": "a",
            "tier_index": 0,
        },
    ),
]


@pytest.mark.parametrize(("cls", "given"), _GIVEN)
def test_a_quick_record_is_the_record(cls: type[Any], given: dict[str, Any]) -> None:
    """Same class, same value, and it survives a pickle."""
    made = quick(cls)(**given)
    assert cls is type(made)
    assert cls(**given) == made
    assert made == pickle.loads(pickle.dumps(made))  # noqa: S301 - our own bytes


@pytest.mark.parametrize(("cls", "given"), _GIVEN)
def test_a_quick_record_is_frozen(cls: type[Any], given: dict[str, Any]) -> None:
    """Nothing can be set on it afterwards."""
    made = quick(cls)(**given)
    with pytest.raises(FrozenInstanceError):
        setattr(made, next(iter(given)), None)


def test_a_quick_record_refuses_what_the_record_refuses() -> None:
    """A missing field and an unknown one are `TypeError`s; defaults are not shared."""
    make: Any = quick(Record)
    with pytest.raises(TypeError, match="name"):
        make()
    with pytest.raises(TypeError, match="colour"):
        make(name="a", colour="red")
    assert make(name="a").words is not make(name="a").words


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_makes_other_ids() -> None:
    """The part after the milliseconds differs too."""

    @fallback_chain(static(""))
    def guarded() -> str:
        return ""

    def made() -> bytes:
        with capture() as outcomes:
            guarded()
        return outcomes[0].call_id[12:].encode()

    reading, writing = os.pipe()
    child = os.fork()
    if not child:  # pragma: no cover - another process
        os.write(writing, made())
        os._exit(0)
    os.waitpid(child, 0)
    assert made() != os.read(reading, 16)
    os.close(reading)
    os.close(writing)
