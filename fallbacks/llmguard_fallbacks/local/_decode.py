"""The decode loop: constrained by a grammar with fast-forward, or free.

The loop is plain Python on the thread that called it. Nothing of it runs inside a C
callback, so an exception ends the answer instead of leaving it unconstrained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ._imports import load
from ._llama import AbortedError, LlamaContext
from ._sampling import Sampler

__all__ = ["Constraint", "Draw", "GrammarFailedError", "HaltedError", "draw"]


class HaltedError(Exception):
    """Generation was stopped from outside; the text says why."""


class GrammarFailedError(RuntimeError):
    """The grammar engine failed in the middle of an answer."""


class Constraint:
    """One llguidance matcher; every step is checked, and any failure raises."""

    def __init__(self, tokenizer: Any, grammar: str) -> None:
        self._matcher = load("llguidance").LLMatcher(tokenizer, grammar, log_level=0)
        self._check()

    def fresh(self) -> Constraint:
        """Return another one of the same grammar; cheaper than to compile it anew."""
        made = copy(self)
        made._matcher = self._matcher.deep_copy()  # noqa: SLF001 - one of its own class
        return made

    def forced(self) -> list[int]:
        """Consume and return the tokens that are the only way on."""
        tokens = list(self._matcher.compute_ff_tokens())
        if tokens:
            self._matcher.consume_tokens(tokens)
        self._check()
        return tokens

    def allowed(self) -> npt.NDArray[np.intp]:
        """Return the tokens that may come next, the end of text among them."""
        mask = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        self._check()
        # Ten times as fast for truth values as for the bytes that they are.
        found = np.flatnonzero(np.unpackbits(mask, bitorder="little").view(np.bool_))
        if not len(found):
            raise GrammarFailedError("the grammar allows no token")
        return found

    def accept(self, token: int) -> None:
        """Go on with a token that was drawn."""
        self._matcher.consume_token(token)
        self._check()

    @property
    def done(self) -> bool:
        """Tell whether nothing more can come."""
        return bool(self._matcher.is_stopped())

    def _check(self) -> None:
        if self._matcher.is_error():
            raise GrammarFailedError(self._matcher.get_error().splitlines()[0])


@dataclass(slots=True, kw_only=True)
class Draw:
    """One answer while it is drawn.

    Attributes:
        tokens: Most tokens it may have.
        pieces: Bytes and probability of each token so far; 1 when forced.
        forced: How many of them the grammar forced.
        finish: `stop`, or `length` when the tokens ran out; empty while it runs.
    """

    tokens: int
    pieces: list[tuple[bytes, float]] = field(default_factory=list[tuple[bytes, float]])
    forced: int = 0
    finish: str = ""

    @property
    def data(self) -> bytes:
        """The bytes so far."""
        return b"".join(piece for piece, _ in self.pieces)


def draw(
    context: LlamaContext,
    prompt: Sequence[int],
    answer: Draw,
    *,
    sampler: Sampler,
    constraint: Constraint | None,
    halt: Callable[[], str],
) -> Iterator[bytes]:
    """Draw one answer into `answer`, yielding the bytes as they come.

    Args:
        context: The model; its cache keeps what `prompt` shares with the last one.
        prompt: Tokens of the prompt.
        answer: Filled as the loop goes on.
        sampler: Chooses tokens.
        constraint: The grammar; None for free text.
        halt: Asked between tokens and during long evaluations; a non-empty text
            stops the loop.

    Raises:
        HaltedError: `halt` said so.
        GrammarFailedError: The grammar engine failed; nothing drawn can be trusted.
    """
    pending = list(prompt[context.rewind(prompt) :])
    while not answer.finish:
        forced = constraint.forced() if constraint else []
        pending += forced
        answer.forced += len(forced)
        for token in forced:
            yield _append(context, answer, token, 1.0)
        if constraint and constraint.done:
            answer.finish = "stop"
        elif len(answer.pieces) >= answer.tokens:
            answer.finish = "length"
        else:
            token, chance = _next(context, pending, sampler, constraint, halt)
            pending = [token]
            if context.ends(token):
                answer.finish = "stop"
            else:
                if constraint:
                    constraint.accept(token)
                yield _append(context, answer, token, chance)


def _append(context: LlamaContext, answer: Draw, token: int, chance: float) -> bytes:
    piece = context.text(token)
    answer.pieces.append((piece, chance))
    return piece


def _next(
    context: LlamaContext,
    pending: list[int],
    sampler: Sampler,
    constraint: Constraint | None,
    halt: Callable[[], str],
) -> tuple[int, float]:
    reason = halt()
    if reason:
        raise HaltedError(reason)
    try:
        logits = context.evaluate(pending, stop=lambda: bool(halt()))
    except AbortedError:
        raise HaltedError(halt() or "stopped") from None
    return sampler.pick(logits, constraint.allowed() if constraint else None)
