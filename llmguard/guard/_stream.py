"""The walk for streaming functions: fall back before the first chunk, never after.

Nothing is retried once the consumer has seen a chunk. The contract is final at the
end: a stream whose whole text breaks it ends with `ContractError` (`passthrough`), or
is held back until it is known to be good (`buffer`), in which case every tier can
still stand in. Closing a stream early is the consumer's right and counts as nothing.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING

from ..outcome import Kind
from ..reply import Reply
from ._commands import END, Give, Pull, Result, Run, Sleep
from ._engine import Command, Flow, Tries, Walk
from ._judge import Judged, judge, judge_reply, to_error
from ._traced import trace_attempt

if TYPE_CHECKING:
    from ._plan import Step

__all__ = ["StreamWalk"]


class StreamWalk(Walk):
    """One streaming call's way down its chain."""

    __slots__ = ()

    def walk(self) -> Flow:
        """Try the tiers in order; chunks go out through `Give`."""
        for step in self.call.steps:
            tries = self.tries(step)
            judged = None if tries is None else (yield from tries)
            if judged is not None:
                if not step.is_body:  # a plain value stands in for the whole stream
                    yield from self._give([self._as_chunk(judged.value)], step)
                self.finish(Kind.OK, step)
                return None
        raise self.exhausted()

    def _tries(self, step: Step, until: float) -> Tries:
        return (
            self._streams(step, until) if step.is_body else super()._tries(step, until)
        )

    def _streams(self, step: Step, until: float) -> Tries:
        """Open the body's stream, another time where nothing was handed on yet."""
        number = 1
        if step.options.attempts > 1:
            self.deposit(step)
        while True:
            timeout = self.timeout(step, until)
            admission = self.admit(step, timeout, number)
            if admission is None:
                return None
            run = Run(self.call, step, timeout, (), admission)
            trace_attempt(run, number)
            judged = yield from self._stream(run, number)
            if judged.kind is Kind.OK:
                return judged
            again = self.again(run, judged, number, until)
            if again is None or again[1]:  # a stream is retried, not asked again
                return None
            if again[0] > 0:
                yield Sleep(again[0])
            number += 1

    def _stream(self, run: Run, number: int) -> Generator[Command, Result, Judged]:
        """Open one stream, hand its chunks on, judge it at its end."""
        try:
            opened = yield run
        except BaseException as error:
            self.interrupted(run, number, error)
            raise
        if opened.error is not None or opened.timed_out:
            judged = judge(run, opened)
            self.record(run, judged, number)
            return judged
        chunks: list[object] = []
        buffered = self.call.guard.stream == "buffer"
        while True:
            result = yield from self._pull(run, opened.value, number)
            if result.error is not None or result.timed_out or result.value is END:
                break
            chunks.append(result.value)
            if not buffered:
                yield from self._hand_on(run, result.value, number)
        judged = self._judge_end(run, result, chunks)
        self.record(run, judged, number)
        if judged.kind is Kind.OK:
            if buffered:
                yield from self._give(chunks, run.step)
        elif chunks and not buffered:
            pin = self.call.pins[run.step.index]
            self.finish(judged.kind)
            raise to_error(
                judged, tier=run.step.name, pin="" if pin is None else pin.id
            )
        return judged

    def _judge_end(self, run: Run, result: Result, chunks: list[object]) -> Judged:
        if result.value is not END:
            return judge(run, result)
        reply = None if run.model is None else run.model.last
        base = Reply() if reply is None else reply
        if all(isinstance(chunk, str) for chunk in chunks):
            text = "".join(str(chunk) for chunk in chunks)
            whole = replace(base, text=text, has_value=False, value=None)
        else:
            whole = replace(base, text=None, value=chunks, has_value=True)
        if self.call.guard.contract is None and not chunks:
            return Judged(kind=Kind.EMPTY, detail="the stream had no chunk")
        return judge_reply(run, whole)

    def _pull(
        self, run: Run, source: object, number: int
    ) -> Generator[Command, Result, Result]:
        try:
            return (yield Pull(run, source))
        except BaseException as error:
            self._cancelled(run, number, error)
            raise

    def _hand_on(
        self, run: Run, chunk: object, number: int
    ) -> Generator[Command, Result, None]:
        clock = self.call.clock
        given = clock.monotonic()
        try:
            yield Give(chunk)
        except BaseException as error:
            run.pause(clock.monotonic() - given)
            self._cancelled(run, number, error)
            raise
        # A slow consumer is no slow model: its time counts for nobody.
        run.pause(clock.monotonic() - given)

    def _cancelled(self, run: Run, number: int, error: BaseException) -> None:
        closed = isinstance(error, GeneratorExit)
        why = "the consumer closed the stream early" if closed else ""
        self.interrupted(run, number, error, why)

    def _as_chunk(self, value: object) -> object:
        """Return a lower tier's value as the text that a stream would have carried."""
        contract = self.call.guard.contract
        if isinstance(value, str) or contract is None or contract.is_text:
            return value
        return json.dumps(contract.dump(value), ensure_ascii=False)

    def _give(
        self, chunks: list[object], step: Step
    ) -> Generator[Command, Result, None]:
        """Hand on chunks that are already known to be good."""
        for chunk in chunks:
            try:
                yield Give(chunk)
            except BaseException:
                self.finish(Kind.OK, step)
                raise
