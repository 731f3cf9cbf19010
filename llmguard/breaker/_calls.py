"""pybreaker's ways to guard a function, none of which holds a lock during the call."""

from __future__ import annotations

import functools
import inspect
import sys
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import aclosing
from types import TracebackType
from typing import Any, TypeVar

import pybreaker

from ..errors import CallError
from ..outcome import Kind
from ._machine import Permit

__all__ = ["Attempting", "Calls"]

T = TypeVar("T")

_NOT_THE_MODEL = (GeneratorExit, KeyboardInterrupt, SystemExit)


def _cancelled(exc: BaseException) -> bool:
    # A program that never imported asyncio cannot have been cancelled by it.
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and isinstance(exc, asyncio.CancelledError)


class Calls(pybreaker.CircuitBreaker):
    """`call`, `calling`, `acall` and the decorator, on permits."""

    _classify: Callable[[BaseException], Kind] | None = None

    @abstractmethod
    def acquire(self, *, lease: float | None = None) -> Permit:
        """Ask for leave to make one attempt."""

    @abstractmethod
    def record(
        self,
        permit: Permit,
        kind: Kind,
        *,
        elapsed: float | None = None,
        exc: BaseException | None = None,
        detail: str = "",
    ) -> None:
        """Hand the permit back with how the attempt ended."""

    @abstractmethod
    def announce(self, func: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        """Tell listeners that a call begins."""

    def kind_of(self, exc: BaseException) -> Kind:
        """Return what an exception out of a guarded call counts as.

        Cancellations, closed generators and exits count as nothing, and so do
        excluded exceptions; our own errors carry their kind; `classify` decides
        about the rest. Without one, as in pybreaker, any exception is a failure of
        the system behind the breaker.
        """
        if isinstance(exc, _NOT_THE_MODEL) or _cancelled(exc):
            return Kind.CANCELLED
        if not self.is_system_error(exc):
            return Kind.ERROR
        if isinstance(exc, CallError):
            return exc.kind
        if self._classify is not None:
            return self._classify(exc)
        return Kind.TIMEOUT if isinstance(exc, TimeoutError) else Kind.TRANSPORT

    def is_system_error(self, exception: BaseException) -> bool:
        """Return False for an excluded exception, by class or by predicate."""
        return not any(
            isinstance(exception, rule) if isinstance(rule, type) else rule(exception)
            for rule in self.excluded_exceptions
        )

    def calling(self) -> Attempting:  # type: ignore[override]  # - a context manager as well, without a generator inside
        """Guard a `with` block, which may contain `await`."""
        return Attempting(self, None, (), {})

    def call(self, func: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call `func` if the breaker admits it.

        Coroutine functions and generator functions work too: the breaker is asked
        when the coroutine is awaited or the generator first advanced.
        """
        value: T = self._wrap(func)(*args, **kwargs)
        return value

    async def acall(
        self, func: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any
    ) -> T:
        """Await `func` if the breaker admits it."""
        value: T = await _awaiting(self, func)(*args, **kwargs)
        return value

    def call_async(
        self, func: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any
    ) -> Any:
        """Await `func`; pybreaker's name for it, without its lock or tornado."""
        return self.acall(func, *args, **kwargs)

    def __call__(self, *call_args: Any, **_: Any) -> Callable[..., Any]:
        """Decorate a function, with or without parentheses."""
        if not call_args:
            return self._decorate
        return self._decorate(*call_args)

    def _decorate(self, func: Callable[..., T]) -> Callable[..., T]:
        return functools.wraps(func)(self._wrap(func))

    def _wrap(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return a wrapper of the same kind, so that frameworks still recognise it."""
        if inspect.iscoroutinefunction(func):
            return _awaiting(self, func)
        if inspect.isasyncgenfunction(func):
            return _astream(self, func)
        if inspect.isgeneratorfunction(func):
            return _stream(self, func)
        return _plain(self, func)


class Attempting:
    """One attempt as a `with` block; entering it gives the permit.

    The block may `record` the permit itself, with a kind that no exception tells;
    what leaving the block would say then counts no more.
    """

    __slots__ = ("_announced", "_breaker", "_permit")

    def __init__(
        self,
        breaker: Calls,
        func: Callable[..., object] | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        self._breaker = breaker
        self._announced = (func, args, kwargs)

    def __enter__(self) -> Permit:
        self._permit = self._breaker.acquire()
        func, args, kwargs = self._announced
        self._breaker.announce(func or Attempting, *args, **kwargs)
        return self._permit

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        kind = Kind.OK if exc is None else self._breaker.kind_of(exc)
        self._breaker.record(self._permit, kind, exc=exc)


def _plain(breaker: Calls, func: Callable[..., Any]) -> Callable[..., Any]:
    def called(*args: Any, **kwargs: Any) -> Any:
        with Attempting(breaker, func, args, kwargs):
            return func(*args, **kwargs)

    return called


def _awaiting(breaker: Calls, func: Callable[..., Any]) -> Callable[..., Any]:
    async def called(*args: Any, **kwargs: Any) -> Any:
        with Attempting(breaker, func, args, kwargs):
            return await func(*args, **kwargs)

    return called


def _stream(breaker: Calls, func: Callable[..., Any]) -> Callable[..., Any]:
    def called(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with Attempting(breaker, func, args, kwargs):
            inner: Generator[Any, Any, Any] = func(*args, **kwargs)
            return (yield from inner)

    return called


def _astream(breaker: Calls, func: Callable[..., Any]) -> Callable[..., Any]:
    async def called(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        with Attempting(breaker, func, args, kwargs):
            async with aclosing(func(*args, **kwargs)) as stream:
                async for item in stream:
                    yield item

    return called
