"""Any argument of a guarded function as JSON."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import json
import pathlib
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from llmguard_fallbacks.queue._json import jsonable, stable_text


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


@dataclasses.dataclass
class Line:
    name: str
    price: decimal.Decimal


class Order(BaseModel):
    id: int
    at: dt.datetime


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no")


AT = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (2.5, 2.5),
        (float("nan"), {"__float__": "nan"}),
        (float("-inf"), {"__float__": "-inf"}),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (AT, "2026-01-02T03:04:05+00:00"),
        (AT.date(), "2026-01-02"),
        (dt.timedelta(minutes=1), 60.0),
        (decimal.Decimal("1.10"), "1.10"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (pathlib.PurePosixPath("/a"), "/a"),
        (b"\xff", {"__bytes__": "/w=="}),
        ((1, [2]), [1, [2]]),
        ({3, 1, 2}, [1, 2, 3]),
        ({1: "a", Level.HIGH: {"b": None}}, {"1": "a", "3": {"b": None}}),
        (Line("x", decimal.Decimal(1)), {"name": "x", "price": "1"}),
        (Order(id=1, at=AT), {"id": 1, "at": "2026-01-02T03:04:05Z"}),
    ],
)
def test_usual_values(value: object, expected: object) -> None:
    """Each usual type has one plain form, and nothing is lost."""
    assert jsonable(value) == (expected, True)
    assert type(jsonable(value)[0]) is type(expected)


@pytest.mark.parametrize("value", [object(), Broken(), Order, len, SecretStr("x")])
def test_other_values_are_shown(value: object) -> None:
    """Anything else is its marked `repr`, and the loss is told."""
    plain, exact = jsonable({"x": value})
    assert exact is False
    assert isinstance(plain, dict)
    assert set(plain["x"]) == {"__repr__", "__type__"}


def test_failing_dump_is_shown() -> None:
    """A model whose dump raises is shown instead."""

    class Stubborn:
        def model_dump(self, *, mode: str) -> object:
            raise RuntimeError(mode)

    assert jsonable(Stubborn())[1] is False


def test_large_bytes_are_a_digest() -> None:
    """A file among the inputs does not fill the store."""
    plain, exact = jsonable(b"x" * 100_000)
    assert isinstance(plain, dict)
    assert (plain["size"], str(plain["__bytes__"])[:7], exact) == (
        100_000,
        "sha256:",
        True,
    )


def test_circles_end() -> None:
    """A structure that contains itself is cut."""
    circle: list[object] = []
    circle.append(circle)
    plain, exact = jsonable(circle)
    assert (len(json.dumps(plain)) < 10_000, exact) == (True, False)


def test_addresses_do_not_count() -> None:
    """The same question asked again has the same text, wherever its objects are."""
    one, other = (jsonable({"x": object()})[0] for _ in range(2))
    assert stable_text(one) == stable_text(other)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON)
def test_json_is_left_alone(value: object) -> None:
    """What is JSON already stays as it is, and survives the store's encoding."""
    plain, exact = jsonable(value)
    assert (plain, exact) == (value, True)
    assert json.loads(json.dumps(plain, allow_nan=False)) == value
