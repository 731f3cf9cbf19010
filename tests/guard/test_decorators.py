"""What the decorators accept, refuse, and leave as it was."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from itertools import permutations
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from llmguard import INJECTED, Model, capture, contract, fallback_chain, pinned, static
from llmguard.contract import Contract
from llmguard.contract.checks import check
from llmguard.errors import ConfigError
from llmguard.guard import guard_of, guarded_functions
from llmguard.testing import fake_pin


class Answer(BaseModel):
    category: Literal["billing", "other"]


OTHER = Answer(category="other")
GOOD = '{"category": "billing"}'


def _stack(order: tuple[int, ...], replies: list[Any]) -> Callable[[Any], Any]:
    decorators = [
        contract(Answer),
        pinned(fake_pin(replies)),
        fallback_chain(static(OTHER)),
    ]

    def apply(function: Any) -> Any:
        for place in order:
            function = decorators[place](function)
        return function

    return apply


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_order_does_not_matter_sync(order: tuple[int, ...]) -> None:
    """Six orders, one behaviour."""

    @_stack(order, [GOOD, "no json"])
    def triage(ticket: str, *, model: Model = INJECTED) -> Answer:
        return model.complete(ticket)

    with capture() as outcomes:
        assert Answer(category="billing") == triage("t")
        assert OTHER == triage("t2")
    assert [False, True] == [o.degraded for o in outcomes]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_order_does_not_matter_async(order: tuple[int, ...]) -> None:
    """The same for coroutine functions."""

    @_stack(order, [GOOD, "no json"])
    async def triage(ticket: str, *, model: Model = INJECTED) -> Answer:
        return await model.acomplete(ticket)

    async def both() -> tuple[Answer, Answer]:
        return await triage("t"), await triage("t2")

    assert (Answer(category="billing"), OTHER) == asyncio.run(both())
    assert inspect.iscoroutinefunction(triage)


def test_the_signature_hides_the_model() -> None:
    """Frameworks see the arguments a caller gives, with real types."""

    @contract(Answer)
    @pinned(fake_pin([GOOD]))
    def triage(ticket: str, urgent: bool = False, *, model: Model) -> Answer:
        """Sort a ticket."""
        return model.complete(ticket)

    shown = inspect.signature(triage)
    assert ["ticket", "urgent"] == list(shown.parameters)
    assert str is shown.parameters["ticket"].annotation
    assert Answer is shown.return_annotation
    assert "triage" == triage.__name__
    assert "Sort a ticket." == triage.__doc__
    assert "model" not in triage.__annotations__


def test_kinds_are_kept() -> None:
    """Generators stay generators, async generators async generators."""

    @contract(str)
    @pinned(fake_pin(["a"]))
    def spoken(text: str, *, model: Model = INJECTED) -> Iterator[str]:
        yield from model.stream(text)

    @contract(str)
    @pinned(fake_pin(["a"]))
    async def heard(text: str, *, model: Model = INJECTED) -> AsyncIterator[str]:
        async for chunk in model.astream(text):
            yield chunk

    assert inspect.isgeneratorfunction(spoken)
    assert inspect.isasyncgenfunction(heard)


def test_methods_and_class_level_decorators() -> None:
    """Methods bind; classmethod and staticmethod go on top."""

    class Service:
        greeting = "hello"

        @contract(str)
        @pinned(fake_pin(lambda request: request.messages[-1].content))
        def method(self, name: str, *, model: Model = INJECTED) -> str:
            return model.complete(f"{self.greeting} {name}")

        @classmethod
        @contract(str)
        def of_class(cls, name: str) -> str:
            return f"{cls.greeting} {name}"

        @staticmethod
        @contract(str)
        def alone(name: str) -> str:
            return name

    assert "hello Ada" == Service().method("Ada")
    assert "hello Bo" == Service.of_class("Bo")
    assert "Cy" == Service.alone("Cy")


def test_a_leading_model_parameter_is_filled() -> None:
    """`model` may come first, where type checkers can take it away."""

    @contract(str)
    @pinned(fake_pin(lambda request: request.messages[-1].content))
    def echo(model: Model, text: str, suffix: str = "!") -> str:
        return model.complete(text + suffix)

    assert "a!" == echo("a")
    assert "a?" == echo("a", suffix="?")
    assert "b?" == echo(text="b", suffix="?")


def test_bare_contract_takes_the_annotation() -> None:
    """Without a schema, the return annotation is the contract."""

    @contract
    def bare(ticket: str) -> Answer:
        return Answer(category="other")

    @contract()
    def called(ticket: str) -> Answer:
        return Answer(category="other")

    assert OTHER == bare("t") == called("t")
    found = guard_of(bare).contract
    assert found is not None
    assert "Answer" == found.name


def _function(ticket: str, *, model: Model = INJECTED) -> Answer:
    return model.complete(ticket)


def _no_model(ticket: str) -> Answer:
    return Answer(category="other" if ticket else "billing")


def _model_first(model: Model = INJECTED, /) -> Answer:
    return model.complete("x")


@check(inputs=["order"])
def _names_the_order(value: Answer, inputs: Mapping[str, object]) -> bool:
    return str(inputs["order"]) in value.category


class _Callable:
    def __call__(self) -> str:
        return ""


MISUSES: list[tuple[str, Callable[[], Any], str]] = [
    ("pinned bare", lambda: pinned(_function), "@pinned('route')"),  # type: ignore[arg-type] # the misuse under test
    (
        "pinned, no model",
        lambda: pinned(fake_pin([GOOD]))(_no_model),
        "no parameter `model`",
    ),
    ("chain bare", lambda: fallback_chain(contract(Answer)(_no_model)), "its tiers"),
    ("chain empty", fallback_chain, "its tiers"),
    ("chain can fail", lambda: fallback_chain(_no_model), "static(value)"),
    (
        "chain ends in a condition",
        lambda: fallback_chain(static(OTHER, when=lambda call: False)),
        "has a condition",
    ),
    ("chain of a string", lambda: fallback_chain("local"), "on_pin('local')"),  # type: ignore[arg-type] # the misuse under test
    ("chain of a dict", lambda: fallback_chain({"a": 1}), "static({'a': 1})"),  # type: ignore[arg-type] # the misuse under test
    (
        "static breaks the contract",
        lambda: fallback_chain(static({"category": "nope"}))(
            contract(Answer)(_no_model)
        ),
        "category",
    ),
    (
        "same tier name twice",
        lambda: fallback_chain(static(OTHER), static(OTHER))(_no_model),
        "name=",
    ),
    ("twice", lambda: contract(Answer)(contract(Answer)(_no_model)), "twice"),
    ("class", lambda: pinned("x")(Answer), "class 'Answer'"),
    ("classmethod", lambda: contract(Answer)(classmethod(_no_model)), "on top"),  # type: ignore[arg-type] # the misuse under test
    ("partial", lambda: contract(Answer)(functools.partial(_no_model)), "partial"),
    ("callable object", lambda: contract(str)(_Callable()), "plain function"),
    ("no annotation", lambda: contract(lambda ticket: ticket), "annotate"),
    ("deadline", lambda: fallback_chain(static(1), deadline=0), "deadline=0"),
    ("attempts", lambda: fallback_chain(static(1), attempts=0), "attempts=0"),
    ("unguarded", lambda: guard_of(_no_model), "decorate it"),
    (
        "options beside a ready contract",
        lambda: contract(Contract(Answer), parse="raw")(_no_model),
        "['parse']: give the options to `Contract(...)`",
    ),
    (
        "a check of an argument that is not there",
        lambda: contract(Answer, checks=[_names_the_order])(_no_model),
        "reads the argument 'order', which",
    ),
    (
        "positional-only model",
        lambda: pinned(fake_pin([GOOD]))(_model_first),
        "drop the `/` after it",
    ),
    (
        "exercise in percent",
        lambda: fallback_chain(static(OTHER), exercise=5),
        "such as 0.01 for one call in a hundred",
    ),
]


@pytest.mark.parametrize(
    ("misuse", "says"), [m[1:] for m in MISUSES], ids=[m[0] for m in MISUSES]
)
def test_misuse_is_refused_with_the_right_form(
    misuse: Callable[[], Any], says: str
) -> None:
    """Every mistake is found at decoration and says how to write it."""
    with pytest.raises(ConfigError) as caught:
        misuse()
    assert says in str(caught.value)


def test_wrong_arguments_raise_type_error_at_once() -> None:
    """A call that does not fit never reaches a tier."""

    @fallback_chain(static("x"))
    def one(ticket: str) -> str:
        return ticket

    with pytest.raises(TypeError, match="missing a required argument: 'ticket'"):
        one()  # type: ignore[call-arg] # the mistake under test


def test_a_coroutine_from_a_plain_def_is_refused() -> None:
    """`def` that returns a coroutine says: declare it `async def`."""

    async def inner() -> str:
        return "x"

    @contract(str)
    @pinned(fake_pin([GOOD]))
    def outer(ticket: str, *, model: Model = INJECTED) -> Any:
        return inner()

    with pytest.raises(Exception, match="declare it `async def`"):
        outer("t")


def test_doctor_finds_guarded_functions() -> None:
    """Decorated functions are listed once, under their full names."""

    @fallback_chain(static("x"))
    @contract(str)
    def listed(ticket: str) -> str:
        return ticket

    names = [
        g.name for g in guarded_functions() if g.function is guard_of(listed).function
    ]
    assert [f"{__name__}.{listed.__qualname__}"] == names
