"""Semantic checks: what they may return, where they point, what is refused."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from pydantic import AliasChoices, AliasPath, BaseModel, Field, RootModel

from llmguard.contract import Check, Contract
from llmguard.contract.checks import check
from llmguard.errors import ConfigError
from llmguard.outcome import Kind, Violation
from llmguard.reply import Reply

WHOLE = "(whole answer)"
ONE = Violation(path="/a", message="is odd", check="mine")


class Line(BaseModel):
    """A line of an order."""

    price: float = Field(alias="unitPrice")


class Lines(RootModel[list[Line]]):
    """Lines, as a model of its own."""


@dataclasses.dataclass
class Party:
    """A dataclass inside a model."""

    name: str


class Order(BaseModel):
    """An order."""

    total: float
    lines: list[Line] = []
    more: Lines = Lines([])
    party: Party | None = None
    extra: dict[str, int] = {}
    open: Any = None
    odd: int = Field(default=1, validation_alias=AliasChoices("Odd", "o"))
    deep: int = Field(default=2, validation_alias=AliasPath("d", 0))


TEXT = (
    '{"total": 3, "lines": [{"unitPrice": 1}, {"unitPrice": -2}], "extra": {"k": 7}, '
    '"more": [{"unitPrice": 5}], "party": {"name": "x"}}'
)


def judge(function: Any, **options: Any) -> tuple[Kind, list[str], str]:
    """Judge the number 1 by one check."""
    made = function if isinstance(function, Check) else check(**options)(function)
    verdict = Contract(int, checks=[made]).judge(Reply(text="1"), {"limit": 3})
    return verdict.kind, [str(one) for one in verdict.violations], verdict.detail


@pytest.mark.parametrize("result", [True, None, [], np.True_, 0.7, 1, np.float32(0.7)])
def test_no_objection(result: object) -> None:
    """True, nothing, no violations, and a score that is high enough."""
    assert Kind.OK is judge(lambda value: result, threshold=0.7 - 1e-6)[0]


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (False, ["(whole answer): does not satisfy the check `c`"]),
        (np.False_, ["(whole answer): does not satisfy the check `c`"]),
        ("is wrong", ["(whole answer): is wrong"]),
        (ONE, ["/a: is odd"]),
        ([ONE, "and wrong"], ["/a: is odd", "(whole answer): and wrong"]),
        (
            0.25,
            [f"{WHOLE}: is too low on `c`: it scores 0.25, and 0.7 is needed"],
        ),
        (0, [f"{WHOLE}: is too low on `c`: it scores 0, and 0.7 is needed"]),
        (
            float("nan"),
            [f"{WHOLE}: is too low on `c`: it scores nan, and 0.7 is needed"],
        ),
    ],
)
def test_objections(result: object, expected: list[str]) -> None:
    """Every form of an objection becomes violations."""
    kind, found, _ = judge(lambda value: result, name="c", threshold=0.7)
    assert Kind.SEMANTIC is kind
    assert expected == found


def test_the_message_of_the_check_is_used() -> None:
    """An author can say what a model should do."""
    say = "must be even"
    assert f"(whole answer): {say}" in judge(lambda value: False, message=say)[1]
    assert say in judge(lambda value: 0.1, message=say, threshold=1)[1][0]


def test_a_violation_without_a_check_gets_its_name() -> None:
    """Metrics are by check."""
    bare = Violation(path="/x", message="m")
    contract = Contract(int, checks=[check(name="c")(lambda value: bare)])
    assert "c" == contract.judge(Reply(text="1")).violations[0].check


def test_a_check_may_yield_its_violations() -> None:
    """A generator is drained, up to a limit."""

    def endless(value: int) -> Iterator[str]:
        while True:
            yield f"{value} is wrong"

    kind, found, _ = judge(endless)
    assert (Kind.SEMANTIC, 10) == (kind, len(found))


async def _coroutine() -> bool:
    return True


@pytest.mark.parametrize(
    ("function", "needle"),
    [
        (lambda value: 1 / 0, 'raised ZeroDivisionError: "division by zero"'),
        (lambda value: 0.5, "without a threshold"),
        (lambda value: object(), "returned object"),
        (lambda value: {"a": 1}, "returned dict"),
        (lambda value: b"no", "returned bytes"),
        (lambda value: [3], "returned int among its violations"),
        (lambda value: _coroutine(), "returned coroutine"),
        (lambda value, inputs: inputs["absent"], "raised KeyError"),
    ],
)
def test_a_check_that_fails_says_nothing_about_the_answer(
    function: Callable[..., object], needle: str
) -> None:
    """The kind is `error`: no breaker counts it against the model."""
    kind, found, detail = judge(function, name="c")
    assert (Kind.ERROR, []) == (kind, found)
    assert "the check `c` raised" in detail
    assert needle in detail


def test_a_breach_found_for_certain_outweighs_a_check_that_failed() -> None:
    """Other checks still run, and the first error is only told when none objects."""
    checks = [lambda value: 1 / 0, lambda value: value[0], lambda value: False]
    verdict = Contract(int, checks=checks).judge(Reply(text="1"))
    assert (Kind.SEMANTIC, 1) == (verdict.kind, len(verdict.violations))
    verdict = Contract(int, checks=checks[:2]).judge(Reply(text="1"))
    assert "ZeroDivisionError" in verdict.detail


def by_value(value: int) -> bool:
    """Take the value only."""
    return value == 1


def by_both(value: int, inputs: Mapping[str, object]) -> bool:
    """Take both."""
    return value < inputs["limit"]  # type: ignore[operator] - a number


def by_option(value: int, inputs: Mapping[str, object] | None = None) -> bool:
    """Take the inputs if there are any."""
    return inputs is not None


def by_star(*args: object) -> bool:
    """Take anything."""
    return len(args) == 2


def with_default(value: int, unrelated: int = 3) -> bool:
    """Have a parameter that is not for the inputs."""
    return unrelated == 3


class Callable_:  # noqa: N801 - named after what it is
    """A callable object."""

    def __call__(self, value: int) -> bool:
        return value == 1


@pytest.mark.parametrize(
    "function",
    [
        by_value,
        by_both,
        by_option,
        by_star,
        with_default,
        Callable_(),
        functools.partial(by_both, inputs={"limit": 9}),
        bool,
        {1: True}.get,
    ],
)
def test_a_check_is_called_as_its_signature_asks(function: Any) -> None:
    """With the value, or with the value and the inputs."""
    assert Kind.OK is judge(function)[0]


async def later(value: int) -> bool:
    """Be a coroutine function."""
    return True


async def stream(value: int) -> Any:
    """Be an async generator."""
    yield True


class Later:
    """An object whose call is async."""

    async def __call__(self, value: int) -> bool:
        return True


def three(value: int, inputs: object, more: object) -> bool:
    """Need too much."""
    return True


def keyword(value: int, *, more: object) -> bool:
    """Need a keyword."""
    return True


@pytest.mark.parametrize(
    ("make", "needle"),
    [
        (lambda: check(later), "`later` is async"),
        (lambda: check(stream), "`stream` is async"),
        (lambda: check(Later()), "`Later` is async"),
        (lambda: Contract(int, checks=[three]), "`three` cannot be called"),
        (lambda: Contract(int, checks=[keyword]), "`keyword` cannot be called"),
        (lambda: check(threshold=float("nan"))(bool), "threshold nan"),
        (lambda: check(3), "must be a function, not 3"),
        (lambda: Check(name="", function=bool), "needs a name"),
        (lambda: Contract(Order, checks=[check(field="totl")(bool)]), "mean `total`?"),
        (
            lambda: Contract(Order, checks=[check(path="more.0.x")(bool)]),
            "no field 'x'",
        ),
        (lambda: Contract(Order, checks=[check(field="a..b")(bool)]), "an empty part"),
    ],
)
def test_a_wrong_check_is_refused_when_the_contract_is_made(
    make: Callable[[], object], needle: str
) -> None:
    """Nothing waits for the first call to fail."""
    with pytest.raises(ConfigError) as caught:
        make()
    assert needle in str(caught.value)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("total", {"/total": 3.0}),
        ("/total", {"/total": 3.0}),
        ("lines.*.price", {"/lines/0/unitPrice": 1.0, "/lines/1/unitPrice": -2.0}),
        ("lines.1.unitPrice", {"/lines/1/unitPrice": -2.0}),
        ("lines.7.price", {}),
        ("more.0.price", {"/more/0/unitPrice": 5.0}),
        ("party.name", {"/party/name": "x"}),
        ("extra.k", {"/extra/k": 7}),
        ("extra.*", {"/extra/k": 7}),
        ("extra.absent", {}),
        ("open.anything", {}),
        ("odd", {"/Odd": 1}),
        ("deep", {"/deep": 2}),
        ("total.*", None),
    ],
)
def test_a_field_is_reached_under_its_own_name_or_its_alias(
    field: str, expected: dict[str, object] | None
) -> None:
    """The violation's path is what the model has to write."""
    seen: dict[str, object] = {}

    def look(value: object) -> str:
        seen["last"] = value
        return f"saw {value!r}"

    if expected is None:
        with pytest.raises(ConfigError):
            Contract(Order, checks=[check(field=field)(look)])
        return
    contract = Contract(Order, checks=[check(field=field)(look)])
    found = contract.judge(Reply(text=TEXT)).violations
    assert {path: f"saw {value!r}" for path, value in expected.items()} == {
        one.path: one.message for one in found
    }


def test_a_null_field_is_not_checked() -> None:
    """Whether it may be null is the schema's business."""
    contract = Contract(Order, checks=[check(field="party")(lambda party: False)])
    assert contract.judge(Reply(text='{"total": 1}')).ok
    assert not contract.judge(Reply(text=TEXT)).ok


def test_a_check_of_the_whole_value_may_point_at_a_part() -> None:
    """`path` is where its violations go."""
    whole = check(path="total")(lambda order: order.total > 5)
    verdict = Contract(Order, checks=[whole]).judge(Reply(text=TEXT))
    assert "/total" == verdict.violations[0].path
