"""Arguments are named exactly as Python would name them."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard.guard._binder import INJECTED, Binder, visible_signature


def plain(a: int, b: int = 2, *, c: int, d: int = 4) -> None: ...
def injected(a: int, model: Any, b: int = 2, *, d: int = 4) -> None: ...
def keyword(a: int, b: int = 2, *, model: Any = INJECTED) -> None: ...
def catching(a: int, *rest: int, **more: int) -> None: ...


_ARGS = st.lists(st.integers(), max_size=4).map(tuple)
_KWARGS = st.dictionaries(st.sampled_from(["a", "b", "c", "d", "x"]), st.integers())


@pytest.mark.parametrize("function", [plain, injected, keyword, catching])
@given(args=_ARGS, kwargs=_KWARGS)
def test_binds_as_python_does(
    function: Any, args: tuple[int, ...], kwargs: dict[str, int]
) -> None:
    """The fast path and `Signature.bind` agree, on errors too."""
    has_model = "model" in inspect.signature(function).parameters
    binder = Binder(function, has_model=has_model)
    expected = visible_signature(function, hide_model=has_model)
    try:
        bound = expected.bind(*args, **kwargs)
    except TypeError as error:
        with pytest.raises(TypeError) as caught:
            binder.bind(args, kwargs)
        assert str(error) == str(caught.value)
    else:
        bound.apply_defaults()
        assert dict(bound.arguments) == binder.bind(args, kwargs)


def by_place(a: int, /, b: int = 2, *rest: int, c: int = 3, **more: int) -> None: ...


@pytest.mark.parametrize("function", [catching, by_place])
@given(args=_ARGS, kwargs=_KWARGS)
def test_named_inputs_are_spread_as_they_were_given(
    function: Any, args: tuple[int, ...], kwargs: dict[str, int]
) -> None:
    """What was bound to names binds again to the very same."""
    binder = Binder(function, has_model=False)
    try:
        inputs = binder.bind(args, kwargs)
    except TypeError:
        return
    again, named = binder.spread(inputs)
    assert inputs == binder.bind(tuple(again), named)


@given(args=_ARGS, kwargs=_KWARGS)
def test_the_model_lands_in_its_place(
    args: tuple[int, ...], kwargs: dict[str, int]
) -> None:
    """Whatever binds without the model binds with it, and `model` gets the model."""
    for function in (injected, keyword):
        binder = Binder(function, has_model=True)
        try:
            binder.bind(args, kwargs)
        except TypeError:
            continue
        full_args, full_kwargs = binder.with_model(args, kwargs, "the model")
        bound = inspect.signature(function).bind(*full_args, **full_kwargs)
        assert "the model" == bound.arguments["model"]


def test_self_is_no_input() -> None:
    """Methods hide their instance from checks and tickets."""

    def method(self: object, ticket: str) -> None: ...

    binder = Binder(method, has_model=False)
    assert {"ticket": "t"} == binder.bind((object(), "t"), {})


def test_string_annotations_are_evaluated() -> None:
    """Frameworks see real types, not strings of another module."""
    shown = visible_signature(keyword, hide_model=True)
    assert int is shown.parameters["a"].annotation
    assert ["a", "b"] == list(shown.parameters)
