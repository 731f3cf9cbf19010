"""One draw of one version, off the request path: the body again, or its model call.

A body is run again only where its author said that this does no harm; otherwise the
request that it sent is sent to the other version, and the contract judges the raw
answer. Tool calls come back as data; nothing here executes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal

from ..._dataclass import dataclass
from ...adapters import Message, Model
from ...adapters.prompt import RenderedPrompt
from ...guard import Guard
from ...guard._trial import repeat_trial, trial_guard
from ...outcome import Kind, Usage, Violation
from ...reply import Reply
from .._draw import Draw, plain

if TYPE_CHECKING:
    from asyncio import Runner

    from ...adapters.messages import Request
    from ...guard import Runtime
    from ...pins import Pin
    from ._work import Work

__all__ = ["Answer", "Mode", "answer_of", "draw", "draw_of", "judged_raw"]

Mode = Literal["body", "model"]
_NOTHING: Final = Reply()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one version said, before it is a draw.

    Attributes:
        kind: How the attempt ended.
        reply: What the model said; a value that the body made is plain JSON here.
        violations: Why the contract refused it.
        detail: One line for people.
        latency: Seconds it took.
        usage: Tokens that the provider counted.
        retry_after: Seconds that the provider asks to wait, if any.
    """

    kind: Kind
    reply: Reply
    violations: tuple[Violation, ...] = ()
    detail: str = ""
    latency: float = 0.0
    usage: Usage | None = None
    retry_after: float | None = None


def answer_of(
    kind: Kind,
    reply: Reply | None,
    *,
    violations: tuple[Violation, ...],
    detail: str,
    latency: float,
) -> Answer:
    """Return an answer that nobody can change any more.

    The value of a live call belongs to its caller, who may change it at once; texts
    cannot be changed, and are what the comparison reads where there is one.
    """
    said = replace(reply or _NOTHING, raw=None)
    if kind is Kind.EMPTY and said.tool_calls:
        kind = Kind.OK  # no text, but not nothing
    if said.has_value:
        said = replace(said, value=plain(said.value))
    return Answer(
        kind=kind,
        reply=said,
        violations=violations,
        detail=detail,
        latency=latency,
        usage=said.usage,
    )


def draw_of(answer: Answer, cost: float | None) -> Draw:
    """Return what the ladder compares."""
    reply = answer.reply
    return Draw(
        text=reply.text,
        value=reply.value,
        has_value=reply.has_value,
        calls=tuple(reply.tool_calls),
        kind=answer.kind,
        violations=answer.violations,
        finish_reason=reply.finish_reason,
        refusal=reply.refusal,
        latency_s=answer.latency,
        cost=cost,
        served_model=reply.served_model,
        detail=answer.detail,
    )


def draw(work: Work, pin: Pin, runtime: Runtime, loop: Runner) -> Answer:
    """Ask one version once, on what the live call was given."""
    limit = work.deadline
    if work.mode == "body":
        guard = replace(trial_guard(work.guard, pin), deadline=limit)
        trial = repeat_trial(guard, runtime, work.given, loop=loop)
    else:
        guard = _asking(work.guard, pin, limit)
        given = _given(work.request, work.incumbent)
        trial = repeat_trial(guard, runtime, given, loop=loop, inputs=work.inputs)
    attempt = trial.attempt
    kind = trial.kind
    if work.mode == "model" and kind is Kind.ERROR:
        kind = Kind.SKIPPED  # no code of the user's ran: a setting is wrong, of ours
    return replace(
        answer_of(
            kind,
            trial.reply,
            violations=() if attempt is None else attempt.violations,
            detail="" if attempt is None else attempt.detail,
            latency=0.0 if attempt is None else attempt.elapsed,
        ),
        usage=None if attempt is None else attempt.usage,
        retry_after=trial.retry_after,
    )


def judged_raw(guard: Guard, answer: Answer, inputs: Mapping[str, object]) -> Answer:
    """Judge what the incumbent's model said, whatever the body made of it."""
    if guard.contract is None:
        return answer
    verdict = guard.contract.judge(answer.reply, inputs)
    return replace(
        answer,
        kind=verdict.kind,
        violations=verdict.violations,
        detail=verdict.detail,
    )


def _asking(guard: Guard, pin: Pin, deadline: float) -> Guard:
    """Return the guard of a function that does nothing but send a request."""
    return trial_guard(
        Guard(
            function=_ask,
            kind="sync",
            contract=guard.contract,
            pin=pin,
            deadline=deadline,
        ),
        pin,
    )


def _ask(
    prompt: RenderedPrompt | Sequence[Message],
    tools: Sequence[Mapping[str, Any]],
    params: Mapping[str, Any],
    *,
    model: Model,
) -> Reply:
    reply: Reply = model.complete(prompt, tools=tools, **params)
    return reply


def _given(request: Request | None, incumbent: Pin) -> tuple[tuple[Any, ...], Any]:
    """Return the arguments of `_ask`; the incumbent's own parameters stay behind."""
    if request is None:
        raise ValueError("a work without a request cannot repeat it")
    messages = tuple(request.messages)
    prompt = (
        RenderedPrompt(messages=messages, digest=request.prompt_digest)
        if request.prompt_digest
        else messages
    )
    own = incumbent.params
    params = {name: each for name, each in request.params.items() if name not in own}
    return (prompt, tuple(request.tools), params), {}
