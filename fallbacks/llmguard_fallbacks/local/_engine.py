"""The engine: llama.cpp of either runtime, driven by our loop over llguidance."""

from __future__ import annotations

import codecs
import functools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from llmguard.errors import ConfigError
from llmguard.outcome import Kind

from ._confidence import field_confidence, overall
from ._decode import Constraint, Draw, GrammarFailedError, HaltedError, draw
from ._grammar import Grammar
from ._job import Delta, FailedError, Failure, Job, Result
from ._llama import LlamaContext, LlamaOptions
from ._prepared import Climb, Prepared
from ._prompt import ChatPrompt
from ._sampling import Sampler, Sampling
from ._schema_types import SchemaRefusedError
from ._tokenizer import grammar_tokenizer

__all__ = ["LlamaCppEngine"]

Halt = Callable[[], str]
_REDRAW_TEMPERATURE: Final = 0.7
"""A greedy answer that was refused would only be drawn again."""
_SHOWN: Final = 5
"""Violations named in a message."""


@dataclass(slots=True)
class _Tally:
    cached: int = 0
    evaluations: int = 0
    draws: int = 0


class LlamaCppEngine:
    """One model of llama.cpp that answers one job at a time."""

    def __init__(self, options: LlamaOptions, *, prompt_format: str = "") -> None:
        self._context = LlamaContext(options)
        self._tokenizer: Any = None
        self._chat = self._prompts(prompt_format)
        self._compiled = functools.lru_cache(maxsize=128)(self._compile)
        tokens = functools.lru_cache(maxsize=4096)(self.count_tokens)
        self._prepare = functools.lru_cache(maxsize=128)(
            functools.partial(Prepared, tokens=tokens)
        )

    def close(self) -> None:
        """Free the model."""
        self._context.close()

    def generate(self, job: Job, *, halt: Halt) -> Iterator[Delta | Result]:
        """Answer one job; see `Engine.generate`."""
        try:
            prompt = self._context.tokenize(
                self._chat.render(job.messages), special=self._chat.special
            )
            if len(prompt) >= self._context.n_ctx:
                raise FailedError(self._too_long(len(prompt)))
            answer = self._free if job.schema is None else self._constrained
            yield from answer(job, prompt, halt)
        except HaltedError as error:
            raise FailedError(_halted(str(error))) from None
        except SchemaRefusedError as error:
            raise FailedError(Failure(kind=Kind.SKIPPED, message=str(error))) from error
        except ConfigError as error:
            raise FailedError(Failure(kind=Kind.ERROR, message=str(error))) from error
        except GrammarFailedError as error:
            message = f"the grammar engine failed while decoding: {error}"
            raise FailedError(Failure(kind=Kind.ERROR, message=message)) from error

    def _too_long(self, tokens: int) -> Failure:
        return Failure(
            kind=Kind.SKIPPED,
            message=f"the prompt has {tokens} tokens and the context holds "
            f"{self._context.n_ctx}; raise `n_ctx` in the pin's options",
        )

    def _unfit(self, need: int, room: int, left: int) -> Failure:
        """Say that an answer would be cut off, before a token of it is drawn."""
        where = f"are left of the {self._context.n_ctx} that the context holds"
        if need <= left:  # the caller's own limit, as `length` is in every other API
            where = "are allowed by `max_tokens`"
        return Failure(
            kind=Kind.TRUNCATED if need <= left else Kind.SKIPPED,
            message=f"the schema does not fit the context: an answer takes about {need}"
            f" tokens and {room} {where}; raise `n_ctx` or `max_tokens`, shorten the "
            "prompt, or require fewer fields",
        )

    def _prompts(self, prompt_format: str) -> ChatPrompt:
        context = self._context
        if prompt_format not in ("", "raw"):
            raise ConfigError(
                f"`prompt_format` must be 'raw' or left out, not {prompt_format!r}"
            )
        template = None if prompt_format == "raw" else context.chat_template()
        control = [
            context.text_of(t) for t in range(context.n_vocab) if context.is_control(t)
        ]
        eos = context.text_of(context.eos) if context.eos >= 0 else ""
        return ChatPrompt(template, control=control, bos=context.bos_text, eos=eos)

    def count_tokens(self, text: str) -> int:
        """Return the tokens of a text without those that begin every prompt."""
        begin = self._context.tokenize("", special=False)
        return len(self._context.tokenize(text, special=False)) - len(begin)

    def _room(self, job: Job, prompt: Sequence[int]) -> int:
        left = self._context.n_ctx - len(prompt)
        return left if job.max_tokens is None else min(left, job.max_tokens)

    def _free(
        self, job: Job, prompt: Sequence[int], halt: Halt
    ) -> Iterator[Delta | Result]:
        answer = Draw(tokens=self._room(job, prompt))
        tally, text = _Tally(draws=1), ""
        for chunk in _decoded(self._draw(job, prompt, answer, halt, tally)):
            before, text = text, text + chunk
            cut = _cut(text, job.stop)
            if cut is not None:
                text, answer.finish = text[:cut], "stop"
                chunk = text[len(before) :]  # noqa: PLW2901 - what is left of it
            if chunk and job.stream:
                yield Delta(text=chunk)
            if cut is not None:
                break
        yield self._result(answer, prompt, tally, text)

    def _constrained(
        self, job: Job, prompt: Sequence[int], halt: Halt
    ) -> Iterator[Delta | Result]:
        # Not sorted: fields are drawn in the order in which the schema names them.
        prepared = self._prepare(json.dumps(job.schema))
        room, tally = self._room(job, prompt), _Tally()
        need = prepared.need(room)
        if need > room:
            left = self._context.n_ctx - len(prompt)
            raise FailedError(self._unfit(need, room, left))
        climb = Climb(prepared, room, stream=job.stream)
        failure = None
        while tally.draws < job.attempts:
            tally.draws += 1
            answer = Draw(tokens=room)
            grammar = climb.grammar
            parts = self._draw(job, prompt, answer, halt, tally, grammar=grammar)
            for text in _decoded(parts):
                if climb.live:
                    yield Delta(text=text)
            failure = _judge(answer, prepared, room, tally.draws)
            if failure is None:
                result = self._scored(answer, prompt, tally, grammar)
                if job.stream and not climb.live:
                    yield Delta(text=result.text)
                yield result
                return
            if failure.kind is Kind.TRUNCATED:
                climb.tighten()
            elif tally.draws == job.attempts - 1:
                climb.close()
        assert failure is not None  # noqa: S101 - there is at least one attempt
        raise FailedError(failure)

    def _draw(
        self,
        job: Job,
        prompt: Sequence[int],
        answer: Draw,
        halt: Halt,
        tally: _Tally,
        *,
        grammar: Grammar | None = None,
    ) -> Iterator[bytes]:
        redraw = tally.draws > 1
        temperature = max(job.temperature, _REDRAW_TEMPERATURE * redraw)
        sampling = Sampling(
            temperature=temperature, top_p=job.top_p, seed=job.seed + tally.draws - 1
        )
        before = self._context.evaluations
        shared = self._context.shared(prompt)
        tally.cached = shared if tally.draws == 1 else tally.cached
        constraint = self._constraint(grammar)
        try:
            yield from draw(
                self._context,
                prompt,
                answer,
                sampler=Sampler(sampling),
                constraint=constraint,
                halt=halt,
            )
        finally:
            tally.evaluations += self._context.evaluations - before

    def _constraint(self, grammar: Grammar | None) -> Constraint | None:
        if grammar is None:
            return None
        return self._compiled(grammar.text).fresh()

    def _compile(self, grammar: str) -> Constraint:
        if self._tokenizer is None:
            self._tokenizer = grammar_tokenizer(self._context)
        return Constraint(self._tokenizer, grammar)

    def _result(
        self, answer: Draw, prompt: Sequence[int], tally: _Tally, text: str
    ) -> Result:
        return Result(
            text=text,
            finish_reason=answer.finish,
            input_tokens=len(prompt),
            cached_tokens=tally.cached,
            output_tokens=len(answer.pieces),
            forced_tokens=answer.forced,
            evaluations=tally.evaluations,
            draws=tally.draws,
        )

    def _scored(
        self, answer: Draw, prompt: Sequence[int], tally: _Tally, grammar: Grammar
    ) -> Result:
        fields, decided = field_confidence(answer.pieces, grammar.finite.schema)
        return replace(
            self._result(answer, prompt, tally, answer.data.decode()),
            confidence=overall(fields, decided),
            field_confidence=fields,
        )


def _decoded(parts: Iterator[bytes]) -> Iterator[str]:
    """Decode UTF-8 that may be cut inside a character."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    for part in parts:
        text = decoder.decode(part)
        if text:
            yield text
    rest = decoder.decode(b"", final=True)
    if rest:
        yield rest


def _cut(text: str, stops: Sequence[str]) -> int | None:
    found = [at for at in (text.find(stop) for stop in stops if stop) if at >= 0]
    return min(found, default=None)


def _halted(reason: str) -> Failure:
    if reason == "cancelled":
        return Failure(kind=Kind.CANCELLED, message="the call was cancelled")
    return Failure(
        kind=Kind.TIMEOUT, message="the local model ran into the deadline of the call"
    )


def _judge(answer: Draw, prepared: Prepared, room: int, draws: int) -> Failure | None:
    if answer.finish == "length":
        return Failure(
            kind=Kind.TRUNCATED,
            message=f"the answer was not complete after {len(answer.pieces)} tokens, "
            f"where {room} fit; raise `n_ctx` or `max_tokens`, or bound the schema",
        )
    violations = prepared.violations(answer.data.decode())
    if not violations:
        return None
    shown = "; ".join(str(v) for v in violations[:_SHOWN])
    return Failure(
        kind=Kind.BAD_JSON if violations[0].check == "json" else Kind.SCHEMA,
        message=f"{draws} draw(s) broke parts of the schema that no grammar holds: "
        f"{shown}",
        violations=violations,
    )
