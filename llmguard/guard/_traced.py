"""Hands calls to whoever draws spans; nothing of it runs while nobody does.

Spans end in processors and samplers of the application. What these raise is logged and
otherwise ignored: a call must not fail because somebody watches it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from .._quick import quick
from ..telemetry import tracing

if TYPE_CHECKING:
    from ..adapters import Model
    from ..outcome import Attempt, Outcome
    from ..reply import Reply
    from ..telemetry.tracing import AttemptTrace, CallTrace
    from ._call import Call
    from ._commands import Run

__all__ = ["trace_attempt", "trace_call", "trace_call_end", "trace_end"]

_LOG: Final = logging.getLogger("llmguard")
_NOTHING: Final = tracing.Content()
_started: Final = quick(tracing.AttemptStart)


def trace_call(call: Call) -> CallTrace | None:
    """Open the trace of a call, unless nobody traces or nobody waits for the call."""
    tracer = tracing.active
    if tracer is None or call.runtime.apart:
        return None
    try:
        return tracer.call(call.guard.name, call.call_id)
    except Exception:  # noqa: BLE001 - see the module
        _failed()
        return None


def trace_call_end(trace: CallTrace, outcome: Outcome) -> None:
    """Close the trace of a call."""
    try:
        trace.end(outcome)
    except Exception:  # noqa: BLE001 - see the module
        _failed()


def trace_attempt(run: Run, number: int) -> None:
    """Open the trace of an attempt of a traced call."""
    call, step = run.call, run.step
    if call.trace is None:
        return
    pin = call.pins[step.index]
    if pin is None:
        start = _started(tier=step.name, number=number, params={})
    else:
        start = _started(
            tier=step.name,
            number=number,
            pin=pin.id,
            provider=pin.provider,
            model=pin.model,
            endpoint=pin.endpoint or "",
            params=pin.params,
            stream=call.guard.is_stream and step.is_body,
            structured=call.guard.schema is not None,
        )
    try:
        run.span = call.trace.attempt(start)
    except Exception:  # noqa: BLE001 - see the module
        _failed()


def trace_end(
    span: AttemptTrace, model: Model | None, attempt: Attempt, reply: Reply | None
) -> None:
    """Close the trace of an attempt.

    Args:
        span: The attempt's.
        model: The handle that its body had; None for tiers that are not models.
        attempt: How it ended.
        reply: What the contract judged.
    """
    content, tracer = _NOTHING, tracing.active
    if model is not None:
        reply = model.last or reply  # what it said, not what the body made of it
        if tracer is not None and tracer.content:
            sent = () if model.asked is None else model.asked.messages
            content = tracing.Content(
                messages=tuple((one.role, one.content) for one in sent),
                text=None if reply is None else reply.text,
            )
    try:
        span.end(attempt, reply, content)
    except Exception:  # noqa: BLE001 - see the module
        _failed()


def _failed() -> None:
    _LOG.warning("a span could not be drawn; the call goes on", exc_info=True)
