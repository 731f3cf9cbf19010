"""Plain functions as tiers get the call's arguments as Python would pass them."""

from __future__ import annotations

from typing import Any

import pytest

from llmguard import fallback_chain, static


def _told(*args: Any, **kwargs: Any) -> object:
    return args, kwargs


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((1,), {}), ((1, 2, 3), {}), ((1,), {"z": 4}), ((1, 2), {"z": 4, "y": 5})],
)
def test_a_tier_of_a_catch_all_function_gets_what_it_got(
    args: tuple[int, ...], kwargs: dict[str, int]
) -> None:
    """No argument arrives under the names `rest` and `more`."""

    def tier(a: int, *rest: int, **more: int) -> object:
        return _told(a, *rest, **more)

    @fallback_chain(tier, static(None))
    def guarded(a: int, *rest: int, **more: int) -> object:
        raise ConnectionError

    assert (args, kwargs) == guarded(*args, **kwargs)


def test_a_tier_without_the_catch_all_takes_calls_that_need_none() -> None:
    """As `tier(a, *(), **{})` would."""

    def tier(a: int) -> int:
        return a

    @fallback_chain(tier, static(-1))
    def guarded(a: int, *rest: int, **more: int) -> int:
        raise ConnectionError

    assert 7 == guarded(7)
    assert -1 == guarded(7, 8)


def test_positional_only_arguments_go_by_place() -> None:
    """The tier may call them what it likes."""

    def tier(text: str, /) -> str:
        return text

    @fallback_chain(tier, static(""))
    def guarded(ticket: str, /) -> str:
        raise ConnectionError

    assert "hello" == guarded("hello")


def test_methods_do_not_pass_their_object_on() -> None:
    """A tier is a function of the arguments, not of `self`."""

    def tier(*words: str) -> object:
        return words

    class Desk:
        @fallback_chain(tier, static(()))
        def answer(self, *words: str) -> object:
            raise ConnectionError

    assert ("a", "b") == Desk().answer("a", "b")
