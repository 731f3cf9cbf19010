"""Drives the walk for synchronous functions and generators."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, cast

from ..errors import TierUnavailableError
from ..outcome import Kind
from ._commands import END, Give, Pull, Result, Run, Sleep
from ._engine import Flow

if TYPE_CHECKING:
    from ._isolate import Couriers, Job
    from ._runtime import Runtime

__all__ = ["drive", "drive_stream", "job_result", "shed_error"]


def shed_error(tier: str, couriers: Couriers) -> TierUnavailableError:
    """Return the refusal of a process that has too many hanging calls, or threads."""
    if not couriers.zombies:
        return TierUnavailableError(
            "the process can start no more threads: allow it more, or start fewer",
            kind=Kind.SKIPPED,
            tier=tier,
        )
    return TierUnavailableError(
        "too many earlier calls still hang in threads that cannot be stopped; new work "
        "is refused until some end. Give the client in the function a timeout, or use "
        "`model.client`, which carries the deadline",
        kind=Kind.SKIPPED,
        tier=tier,
    )


def drive(flow: Flow, runtime: Runtime) -> object:
    """Run a call to its end in the calling thread."""
    try:
        command: Any = next(flow)
        while True:
            command = _perform(flow, command, runtime)
    except StopIteration as stop:
        return stop.value


def _perform(flow: Flow, command: object, runtime: Runtime) -> Any:
    """Do what the engine asked and return what it asks next."""
    try:
        result = _execute(command, runtime)
    except BaseException as interrupt:  # noqa: BLE001 - the engine records, then raises
        return flow.throw(interrupt)
    return flow.send(result)


def _execute(command: object, runtime: Runtime) -> Result:
    if isinstance(command, Run):
        step = command.step
        if (
            runtime.couriers is None
            or step.direct
            or (step.bounded and command.is_bounded())
        ):
            try:
                return Result(command.invoke())
            except Exception as error:  # noqa: BLE001 - classified by the engine
                return Result(error=error)
        return _sent(command.answer, command.timeout, command, runtime.couriers)
    if isinstance(command, Sleep):
        runtime.clock.sleep(command.seconds)
        return Result()
    return _pulled(cast("Pull", command), runtime.couriers)


def _pulled(pull: Pull, couriers: Couriers | None) -> Result:
    """Get the next chunk of a stream, on a thread unless its body wants this one."""
    run, source = pull.run, cast("Iterator[object]", pull.source)
    if couriers is not None and run.call.guard.isolate:
        return _sent(lambda: next(source, END), pull.timeout, run, couriers)
    try:
        scope = run.scope
        return Result(
            next(source, END) if scope is None else scope.run(next, source, END)
        )
    except Exception as error:  # noqa: BLE001 - classified by the engine
        return Result(error=error)


def _sent(
    work: Callable[[], object], timeout: float, run: Run, couriers: Couriers
) -> Result:
    """Have a courier run `work`, at most `timeout` seconds of it."""
    job = couriers.submit(work, scope=run.scope, owner=run.step)
    if job is None:
        if run.step.durable:
            return _here(work, run)
        return Result(error=shed_error(run.step.name, couriers))
    try:
        finished = job.wait(timeout)
    except BaseException:
        run.left = couriers.abandon(job)
        raise
    if not finished and couriers.abandon(job):
        run.left = True
        return Result(timed_out=True)
    return Result(job.value) if job.error is None else job_result(job)


def _here(work: Callable[[], object], run: Run) -> Result:
    """Run what must not be passed over in the calling thread."""
    try:
        return Result(work() if run.scope is None else run.scope.run(work))
    except Exception as error:  # noqa: BLE001 - classified by the engine
        return Result(error=error)


def job_result(job: Job) -> Result:
    """Read a finished job; what is no `Exception` goes on up, as in any thread."""
    if isinstance(job.error, Exception):
        return Result(error=job.error)
    if job.error is not None:
        raise job.error
    return Result(value=job.value)


def drive_stream(flow: Flow, runtime: Runtime) -> Generator[object]:
    """Run a streaming call; the consumer pulls the chunks."""
    pull: Pull | None = None
    command = next(flow)
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
                pull = command
            command = _perform(flow, command, runtime)
    except StopIteration:
        return
    finally:
        if pull is not None:
            _close(pull)


def _close(pull: Pull) -> None:
    """Close the user's generator; one still running in a thread cannot be closed.

    In the context that it ran in: what its body set there it may reset.
    """
    scope = pull.run.scope
    if scope is not None and not pull.run.left:
        scope.run(cast("Generator[object]", pull.source).close)
