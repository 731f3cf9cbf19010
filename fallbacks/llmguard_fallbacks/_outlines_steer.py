"""Runs a model whose logits Outlines masks in this process, and watches the mask.

llama-cpp-python calls the mask from C: an exception there is printed, swallowed, and
decoding goes on without any constraint. The watch ends such an answer and reports it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final

from llmguard.errors import ConfigError, TierTimeoutError, TierUnavailableError
from llmguard.outcome import Kind

from ._outlines_types import INSTALL, OutputType, load

__all__ = ["BACKEND", "Steered"]

BACKEND: Final = "llguidance"
"""It refuses what it cannot enforce, and needs no compiler in the process."""

_TEXT_TOKENS: Final = 512
_LIMITS: Final = MappingProxyType(
    {"LlamaCpp": "max_tokens", "MLXLM": "max_tokens", "Transformers": "max_new_tokens"}
)


class _Watch:
    """A logits processor that remembers that it failed, and ends late answers."""

    def __init__(self, inner: Any, *, ends_at: int | None) -> None:
        self._inner = inner
        self._ends_at = ends_at
        self.remaining: Callable[[], float] = lambda: 1.0
        self.failure: Exception | None = None

    def reset(self) -> None:
        """Get ready for the next answer."""
        self.failure = None
        self._inner.reset()

    def __call__(self, input_ids: Any, logits: Any) -> Any:
        """Mask the logits; once anything has failed, let only the end through."""
        try:
            if self.failure is None:
                if self.remaining() <= 0:
                    raise TierTimeoutError(  # noqa: TRY301 - kept, not thrown, for C
                        "the deadline passed while the model was answering",
                        kind=Kind.TIMEOUT,
                    )
                masked = self._inner(input_ids, logits)
                self._check_matchers()
                return masked
        except Exception as error:
            self.failure = error
            if self._ends_at is None:
                raise
        ended = logits.copy()
        ended[...] = -float("inf")
        ended[..., self._ends_at] = 0.0
        return ended

    def _check_matchers(self) -> None:
        """Raise for an error that Outlines' llguidance backend only warns about."""
        for matcher in getattr(self._inner, "ll_matchers", ()):
            problem = matcher.get_error()
            if problem:
                raise RuntimeError(problem)


class Steered:
    """Generators for one model and one output type, made once and used again.

    A generator holds the state of one answer, so each call takes one for itself.
    """

    def __init__(
        self, model: Any, kind: OutputType, generation: Mapping[str, Any]
    ) -> None:
        options = dict(generation)
        self._backend = options.pop("backend", None) or BACKEND
        self._model = model
        self._kind = kind
        self._options = self._limited(options)
        self._idle = deque([self._make()])

    def _limited(self, options: dict[str, Any]) -> dict[str, Any]:
        """Leave room for the longest answer: libraries stop at 16 or 20 tokens."""
        names = (_LIMITS.get(each.__name__) for each in type(self._model).__mro__)
        name = next((each for each in names if each), None)
        if name is not None:
            options.setdefault(name, self._kind.tokens or _TEXT_TOKENS)
        return options

    def _make(self) -> Any:
        self._check_kernel()
        try:
            generator = load("outlines").Generator(
                self._model, self._kind.type, self._backend
            )
        except Exception as error:
            raise ConfigError(
                f"Outlines cannot hold {type(self._model).__name__!r} to "
                f"{self._kind.type!r} by `backend={self._backend!r}`: {error}; pass "
                "another `output_type=` or `backend=`"
            ) from error
        inner = generator.logits_processor
        if inner is not None:
            _check_grammar(getattr(inner, "grammar", None))
            generator.logits_processor = _Watch(inner, ends_at=self._end())
        return generator

    def _end(self) -> int | None:
        """Token that ends an answer, where an exception would be swallowed."""
        if self._model.tensor_library_name != "numpy":
            return None
        return int(self._model.tokenizer.eos_token_id)

    def _check_kernel(self) -> None:
        """Import what outlines_core would miss at the first token, too late."""
        if self._backend != "outlines_core" or self._kind.type is None:
            return
        name = f"outlines_core.kernels.{self._model.tensor_library_name}"
        try:
            import_module(name)
        except ImportError as error:
            raise ConfigError(
                f"`backend='outlines_core'` cannot mask this model's logits: {error}; "
                f"install what is missing, or use `backend={BACKEND!r}` ({INSTALL})"
            ) from error

    def run(self, prompt: object, remaining: Callable[[], float]) -> object:
        """Return what the model says.

        Raises:
            TierTimeoutError: The deadline passed; the answer was cut short.
            TierUnavailableError: The mask failed, so that nothing held the answer.
        """
        try:
            generator = self._idle.pop()
        except IndexError:
            generator = self._make()
        watch: Any = generator.logits_processor
        if watch is not None:
            watch.remaining = remaining
        try:
            said = generator(prompt, **self._options)
        finally:
            self._idle.append(generator)
        if watch is not None and watch.failure is not None:
            raise _reported(watch.failure)
        return said


def _reported(failure: Exception) -> Exception:
    if isinstance(failure, TierTimeoutError):
        return failure
    error = TierUnavailableError(
        f"the constraint failed while decoding: {failure!r}; the answer was dropped",
        kind=Kind.ERROR,
    )
    error.__cause__ = failure
    return error


def _check_grammar(grammar: object) -> None:
    """Refuse what llguidance would only refuse at the first token."""
    if not isinstance(grammar, str):
        return
    problem = load("llguidance").LLMatcher.validate_grammar(grammar)
    if problem:
        raise ConfigError(
            f"llguidance refuses this `output_type`: {problem}; simplify it"
        )
