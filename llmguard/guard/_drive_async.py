"""Drives the walk for coroutine functions and async generators."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

from ..errors import ConfigError
from ._commands import END, Give, Pull, Result, Run, Sleep
from ._deadline import CALL_CONTEXT
from ._drive_sync import job_result, shed_error
from ._engine import Flow

if TYPE_CHECKING:
    from ._isolate import Couriers
    from ._runtime import Runtime

__all__ = ["adrive", "adrive_stream"]


def _need_asyncio() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise ConfigError(
            "async guarded functions run on asyncio only: on another event loop, such "
            "as trio's, guard a sync function and call it in a thread, with "
            "`await trio.to_thread.run_sync(...)`"
        ) from None


async def adrive(flow: Flow, runtime: Runtime) -> object:
    """Run a call to its end in the calling task.

    Raises:
        ConfigError: The event loop is not asyncio's.
    """
    _need_asyncio()
    command = next(flow)
    while True:
        try:
            result = await _execute(command, runtime)
        except BaseException as interrupt:  # noqa: BLE001 - the engine records, then raises
            try:
                command = flow.throw(interrupt)
            except StopIteration as stop:
                return stop.value
            continue
        try:
            command = flow.send(result)
        except StopIteration as stop:
            return stop.value


async def _execute(command: object, runtime: Runtime) -> Result:
    if isinstance(command, Sleep):
        await runtime.clock.asleep(command.seconds)
        return Result()
    if isinstance(command, Pull):
        source = cast("AsyncIterator[object]", command.source)
        pulled = command.run
        return await _timed(lambda: _next(source, pulled), command.timeout)
    run = cast("Run", command)
    if run.step.awaited:
        return await _timed(run.ainvoke, run.timeout)
    if run.step.direct or runtime.couriers is None:
        try:
            return Result(value=run.invoke())
        except Exception as error:  # noqa: BLE001 - classified by the engine
            return Result(error=error)
    return await _in_thread(run, runtime.couriers)


async def _next(source: AsyncIterator[object], run: Run) -> object:
    """Get a chunk; guarded calls in the body inherit what the attempt has left."""
    token = CALL_CONTEXT.set(run.inner or run.context())
    mark = None if run.span is None else run.span.enter()
    try:
        return await anext(source, END)
    finally:
        if run.span is not None:
            run.span.leave(mark)
        run.inner = CALL_CONTEXT.get()
        CALL_CONTEXT.reset(token)


async def _timed(work: Callable[[], Awaitable[object]], timeout: float) -> Result:  # noqa: ASYNC109 - the engine owns the clock
    """Await `work`, at most `timeout` seconds of it."""
    scope = asyncio.timeout(timeout)
    try:
        async with scope:
            return Result(value=await work())
    except TimeoutError as error:
        return Result(timed_out=True) if scope.expired() else Result(error=error)
    except Exception as error:  # noqa: BLE001 - classified by the engine
        return Result(error=error)


async def _in_thread(run: Run, couriers: Couriers) -> Result:
    """Run a sync tier of an async call on a courier."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def finished() -> None:
        # The loop may have closed while the thread was running.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(done.set)

    job = couriers.submit(run.answer, finished, owner=run.step)
    if job is None:
        return Result(error=shed_error(run.step.name, couriers))
    try:
        async with asyncio.timeout(run.timeout):
            await done.wait()
    except TimeoutError:
        if couriers.abandon(job):
            return Result(timed_out=True)
    except BaseException:
        couriers.abandon(job)
        raise
    return job_result(job)


async def adrive_stream(flow: Flow, runtime: Runtime) -> AsyncGenerator[object]:
    """Run a streaming call; the consumer pulls the chunks."""
    _need_asyncio()
    source: Any = None
    command: Any = next(flow)
    try:
        while True:
            if isinstance(command, Give):
                try:
                    yield command.chunk
                except BaseException as interrupt:
                    flow.throw(interrupt)
                    raise
                command = flow.send(Result())
                continue
            if isinstance(command, Pull):
                source = command.source
            try:
                result = await _execute(command, runtime)
            except BaseException as interrupt:  # noqa: BLE001 - as in `adrive`
                command = flow.throw(interrupt)
                continue
            command = flow.send(result)
    except StopIteration:
        return
    finally:
        close = getattr(source, "aclose", None)
        if close is not None:
            await close()
