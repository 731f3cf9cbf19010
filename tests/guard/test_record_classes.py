"""Our `dataclass` makes the classes that the standard one makes."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import re
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard import _dataclass
from llmguard.adapters import Chunk, Message, Request
from llmguard.breaker import BreakerPolicy
from llmguard.guard import RetryPolicy, TierOptions
from llmguard.outcome import Attempt, Kind, Outcome, Violation
from llmguard.reply import Reply

OPTIONS = [
    {"frozen": True, "slots": True, "kw_only": True},
    {"frozen": True, "kw_only": True},
    {"frozen": True, "slots": True},
    {"slots": True, "kw_only": True},
    {"slots": True},
    {"slots": True, "kw_only": True, "eq": False},
]
MADE: list[tuple[type[Any], type[Any]]] = []


def _make(decorate: Callable[..., Any], number: int, maker: str) -> type[Any]:
    """Make one class of every sort of field, that pickle can find again."""

    class Sample:
        """One field of each sort."""

        name: str
        size: int = 1
        words: list[str] = dataclasses.field(default_factory=list[str])
        fixed: bool = dataclasses.field(default=True, init=False)
        hidden: str = dataclasses.field(default="h", repr=False, compare=False)

        def __post_init__(self) -> None:
            if self.size < 0:
                raise ValueError(self.size)

    Sample.__qualname__ = Sample.__name__ = f"Sample{number}{maker}"
    made: type[Any] = decorate(**OPTIONS[number])(Sample)
    setattr(sys.modules[__name__], made.__name__, made)
    return made


for place in range(len(OPTIONS)):
    ours: Any = _dataclass.dataclass
    MADE.append((_make(dataclasses.dataclass, place, "S"), _make(ours, place, "O")))

pairs = pytest.mark.parametrize(("standard", "own"), MADE)


def _said(make: Callable[[], object]) -> object:
    """Return what comes of it, names of classes aside."""
    try:
        return _nameless(repr(make()))
    except Exception as error:  # noqa: BLE001 - to be compared
        return type(error), _nameless(str(error))


def _nameless(text: str) -> str:
    return re.sub(r"Sample\d[OS]", "Sample", text)


@pairs
@given(data=st.data())
def test_they_take_and_refuse_the_same(
    standard: type[Any], own: type[Any], data: st.DataObject
) -> None:
    """Arguments by place and by name, missing, unknown and bad ones."""
    args = data.draw(st.lists(st.sampled_from(["a", 2, -1]), max_size=4))
    names = st.sampled_from(["name", "size", "words", "hidden", "fixed", "colour"])
    kwargs = data.draw(st.dictionaries(names, st.sampled_from([0, -1, 3]), max_size=4))
    shown = [_said(lambda c=c: c(*args, **kwargs)) for c in (standard, own)]
    assert shown[0] == shown[1]


@pairs
def test_they_behave_alike(standard: type[Any], own: type[Any]) -> None:
    """Equality, hash, repr, freezing, pickles, copies, what the class says."""
    for act in (
        lambda c: c(name="a") == c(name="a"),
        lambda c: c(name="a") == c(name="a", size=2),
        lambda c: c(name="a", words=["x"]) == c(name="a", words=["x"]),
        lambda c: c(name="a", words=()) == 3,
        lambda c: hash(c(name="a", words=())) == hash(c(name="a", words=())),
        lambda c: hash(c(name="a")) and None,
        lambda c: setattr(c(name="a"), "name", "b"),
        lambda c: delattr(c(name="a"), "name"),
        lambda c: pickle.loads(pickle.dumps(c(name="a"))),  # noqa: S301 - our own bytes
        lambda c: copy.deepcopy(c(name="a", words=["x"])),
        lambda c: dataclasses.replace(c(name="a"), size=5),
        lambda c: dataclasses.asdict(c(name="a")),
        lambda c: c.__match_args__,
        lambda c: repr(c.__dataclass_params__),
        lambda c: c(name="a").words is c(name="a").words,
    ):
        assert _said(lambda act=act: act(standard)) == _said(lambda act=act: act(own))


@pairs
def test_no_other_attribute_can_be_set(standard: type[Any], own: type[Any]) -> None:
    """Unless the class has a place for it; the standard one may say so oddly."""
    if own.__dataclass_params__.frozen:
        with pytest.raises(dataclasses.FrozenInstanceError):
            own(name="a").other = "b"
    elif hasattr(own, "__slots__"):
        with pytest.raises(AttributeError):
            own(name="a").other = "b"
    with pytest.raises((AttributeError, TypeError)):
        standard(name="a").other = "b"


@pytest.mark.parametrize(
    "cls", [Attempt, Outcome, Violation, Reply, Message, Request, Chunk, TierOptions]
)
def test_the_public_records_stay_dataclasses(cls: type[Any]) -> None:
    """Frozen, with parameters by name only, for editors and for `replace`."""
    assert dataclasses.is_dataclass(cls)
    assert cls.__dataclass_params__.frozen  # type: ignore[attr-defined]  # - private to the module
    parameters = inspect.signature(cls).parameters
    assert [f.name for f in dataclasses.fields(cls)] == list(parameters)
    assert {inspect.Parameter.KEYWORD_ONLY} == {p.kind for p in parameters.values()}


def test_a_record_that_holds_itself_can_be_shown() -> None:
    """The repr of a cycle ends."""
    reply = Reply(value=[])
    held: Any = reply.value
    held.append(reply)
    assert "..." in repr(reply)
    assert Kind.OK in Kind
    assert BreakerPolicy() == BreakerPolicy()
    assert RetryPolicy(base=1.0) != RetryPolicy()
