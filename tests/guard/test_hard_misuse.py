"""Misuse that is refused where it is written, not at three in the morning."""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from llmguard import call_context, contract, fallback_chain, on_pin, static
from llmguard.errors import ConfigError
from llmguard.guard import TierOptions, guard_of
from llmguard.telemetry import add_hook, remove_hook
from llmguard.testing import fake_pin

if TYPE_CHECKING:
    from decimal import Decimal


@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf, 1e9])
def test_times_that_are_no_times_are_refused(seconds: float) -> None:
    """NaN, infinity and what sockets cannot take would hang or crash a call."""
    for make in (
        lambda: fallback_chain(static(1), deadline=seconds),
        lambda: fallback_chain(static(1), timeout=seconds),
        lambda: on_pin(fake_pin(), timeout=seconds),
    ):
        with pytest.raises(ConfigError, match="must be seconds"):
            make()


@pytest.mark.parametrize(
    "options",
    [{"attempts": 0}, {"concurrency": 0}, {"reserve": -1.0}, {"reserve": math.nan}],
)
def test_counts_that_admit_nobody_are_refused(options: dict[str, Any]) -> None:
    """A tier that could never run is a mistake."""
    with pytest.raises(ConfigError, match=next(iter(options))):
        TierOptions(**options)


@pytest.mark.parametrize("share", [95, -0.1, math.nan])
def test_a_confidence_that_no_answer_reaches_is_refused(share: float) -> None:
    """Percent or NaN would send every good answer down the chain, for ever."""
    for make in (
        lambda: TierOptions(min_confidence=share),
        lambda: on_pin(fake_pin(), min_confidence=share),
        lambda: fallback_chain(static(1), min_confidence=share),
    ):
        with pytest.raises(ConfigError, match=r"min_confidence.* from 0 to 1"):
            make()


def test_an_unknown_way_to_stream_is_refused() -> None:
    """Taken for `passthrough`, it would hand on chunks that nothing has judged."""
    with pytest.raises(ConfigError, match=r"'bufer'.*`buffer`"):
        fallback_chain(static(1), stream="bufer")  # type: ignore[arg-type] # wrong on purpose


def test_an_async_condition_is_refused() -> None:
    """Its coroutine would always be true."""

    async def when(call: object) -> bool:
        return False

    with pytest.raises(ConfigError, match="when"):
        TierOptions(when=when)  # type: ignore[arg-type]  # the mistake


def test_a_deadline_that_is_no_number_is_refused() -> None:
    """NaN compares with nothing."""
    with pytest.raises(ConfigError, match="nan"), call_context(deadline=math.nan):
        pass


def test_a_constant_that_cannot_be_copied_is_refused() -> None:
    """The last tier may not fail at its first call."""
    with pytest.raises(ConfigError, match="cannot be copied"):
        static(threading.Lock())


def _loud(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return f"{function(*args, **kwargs)}!"

    return wrapper


def test_a_decorator_in_between_is_refused() -> None:
    """It would be lost without a word."""

    @fallback_chain(static("x"))
    def ask() -> str:
        return "y"

    loud = _loud(ask)
    assert "y!" == loud()
    assert guard_of(ask) is guard_of(loud)
    with pytest.raises(ConfigError, match="another decorator stands between"):
        contract(str)(loud)


def test_tiers_that_cannot_answer_are_refused() -> None:
    """A coroutine for a sync function, a generator for any."""

    async def later() -> str:
        return "x"

    def chunks() -> Iterator[str]:
        yield "x"

    def ask() -> str:
        return "y"

    with pytest.raises(ConfigError, match="async def"):
        fallback_chain(later, static("x"))(ask)
    with pytest.raises(ConfigError, match="generator"):
        fallback_chain(chunks, static("x"))(ask)


def test_only_the_return_annotation_is_evaluated() -> None:
    """Parameters may name types that only the type checker imports."""

    @fallback_chain(static("x"))
    @contract
    def ask(price: Decimal) -> str:
        return f"{price}"

    assert "3" == ask(3)  # type: ignore[arg-type]  # any value will do


def test_a_local_function_may_call_itself() -> None:
    """Its own name is still unbound when it is decorated."""

    @fallback_chain(static("x"))
    @contract
    def ask(level: int) -> str:
        return ask(level - 1) if level else "bottom"

    assert "bottom" == ask(2)


def test_a_return_annotation_without_its_module_is_explained() -> None:
    """A missing attribute is told like a missing name."""

    def ask() -> math.Missing:  # type: ignore[name-defined]  # the mistake
        return 1

    with pytest.raises(ConfigError, match="name the schema"):
        contract(ask)


@fallback_chain(static("x"))
def importable(text: str) -> str:
    """Be found by its name."""
    return text.upper()


def test_a_bound_hook_can_be_removed() -> None:
    """Bound methods are equal but never the same object."""
    told: list[object] = []
    add_hook(told.append)
    importable("a")
    remove_hook(told.append)
    importable("b")
    assert 1 == len(told)


def test_a_failing_hook_fails_no_call() -> None:
    """Listeners are counted and ignored."""
    from llmguard.telemetry import dropped

    @add_hook
    def broken(outcome: object) -> None:
        raise ZeroDivisionError

    before = dropped()
    try:
        assert "A" == importable("a")
    finally:
        remove_hook(broken)
    assert before + 1 == dropped()
