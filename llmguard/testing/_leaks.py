"""Proof that a block of code left no thread, task or descriptor behind."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from ..guard._isolate import COURIERS

__all__ = ["no_leaks"]

_FD_DIRECTORIES: Final = ("/proc/self/fd", "/dev/fd")
_POLL: Final = 0.01
_LEAST_POLLS: Final = 20
_COLLECT_EVERY: Final = 10
_LOOP_EXECUTOR: Final = "thread 'asyncio_"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Holdings:
    threads: frozenset[threading.Thread]
    tasks: frozenset[asyncio.Task[object]]
    descriptors: Mapping[int, str]

    def beyond(self, before: _Holdings, ignore: tuple[str, ...]) -> list[str]:
        """Say what is held now and was not `before`, one line each."""
        lines = [f"thread {t.name!r}" for t in self.threads - before.threads]
        lines += [f"task {t.get_name()!r}" for t in self.tasks - before.tasks]
        lines += [
            f"descriptor {fd} ({target})"
            for fd, target in self.descriptors.items()
            if before.descriptors.get(fd) != target
        ]
        return sorted(line for line in lines if not any(i in line for i in ignore))


class no_leaks:  # noqa: N801 - reads as a statement: `with no_leaks():`
    """Assert that the block leaves no thread, asyncio task or descriptor behind.

    Use it as `with no_leaks():`, or as `async with no_leaks():` around awaits, where
    it lets the event loop run while it waits. What ends by itself within `grace` is
    no leak, nor are the threads of the event loop's own executor, which live as long
    as the loop.

    Args:
        grace: Real seconds that things may take to go away.
        ignore: Parts of the lines to leave out, such as the name of a thread pool
            that is meant to stay.

    Raises:
        AssertionError: Something stayed; the message names each piece.
    """

    def __init__(self, *, grace: float = 2.0, ignore: tuple[str, ...] = ()) -> None:
        self._grace = grace
        self._ignore = (_LOOP_EXECUTOR, *ignore)
        self._before: _Holdings | None = None

    def __enter__(self) -> Self:
        self._before = _holdings()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if exc is None:
            for pause in self._pauses():
                time.sleep(pause)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if exc is None:
            for pause in self._pauses():
                # Both: callbacks need the loop, and the loop may be a virtual one.
                await asyncio.sleep(0)
                time.sleep(pause)  # noqa: ASYNC251 - see above

    def _pauses(self) -> Iterator[float]:
        """Yield pauses until nothing is left; raise when the grace is used up."""
        end = time.monotonic() + self._grace
        for poll in itertools.count():
            left = self._left(collect=poll % _COLLECT_EVERY == 1)
            if not left:
                return
            # A busy machine may use the grace up before anything had its turn.
            if time.monotonic() > end and poll >= _LEAST_POLLS:
                __tracebackhide__ = True
                raise AssertionError("left behind:\n  " + "\n  ".join(left))
            yield _POLL

    def _left(self, *, collect: bool) -> list[str]:
        if self._before is None:
            raise RuntimeError("`no_leaks()` was left without having been entered")
        for tidy in (_nothing, COURIERS.close, gc.collect if collect else _nothing):
            # Cheapest first: the guard's idle threads would go home in 5 s, and
            # objects in reference cycles hold sockets until collected, which takes
            # long in a large process.
            tidy()
            left = _holdings().beyond(self._before, self._ignore)
            if not left:
                break
        return left


def _nothing() -> None:
    """Leave things as they are."""


def _holdings() -> _Holdings:
    return _Holdings(
        threads=frozenset(threading.enumerate()),
        tasks=_tasks(),
        descriptors=_descriptors(),
    )


def _tasks() -> frozenset[asyncio.Task[object]]:
    try:
        return frozenset(asyncio.all_tasks())
    except RuntimeError:
        return frozenset()


def _descriptors() -> dict[int, str]:
    """Return open descriptors and what they are; empty where that is not listed."""
    directory = next((d for d in _FD_DIRECTORIES if os.path.isdir(d)), None)  # noqa: PTH112 - light
    if directory is None:
        return {}
    found: dict[int, str] = {}
    for name in os.listdir(directory):  # noqa: PTH208 - light
        try:
            found[int(name)] = os.readlink(f"{directory}/{name}")  # noqa: PTH115 - light
        except OSError:
            continue  # the one that listed the directory
    return found
