"""What the local runtime is asked, and what it answers: plain data, JSON both ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from llmguard.errors import (
    CallError,
    ConfigError,
    ContractError,
    TierFailedError,
    TierTimeoutError,
    TierUnavailableError,
)
from llmguard.outcome import Kind, Violation

__all__ = ["Delta", "Engine", "FailedError", "Failure", "Job", "Result"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One request to an engine.

    Attributes:
        messages: Chat messages with `role` and `content`.
        schema: JSON Schema of the answer; None for free text.
        temperature: 0 takes the likeliest token each time.
        top_p: Share of the probability that is kept.
        seed: Makes sampling repeatable.
        max_tokens: Most tokens of the answer; None for what the context holds.
        stop: Texts that end a free answer; they are left out.
        attempts: Draws in all, when keywords that no grammar holds fail.
        stream: Yield the text while it is drawn.
    """

    messages: Sequence[Mapping[str, Any]]
    schema: Any = None
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    max_tokens: int | None = None
    stop: Sequence[str] = ()
    attempts: int = 3
    stream: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the job as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """Text that was just drawn."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A finished answer.

    Attributes:
        text: The whole text.
        finish_reason: `stop` or `length`.
        input_tokens: Tokens of the prompt.
        cached_tokens: How many of them were still in the cache.
        output_tokens: Tokens of the answer.
        forced_tokens: How many of them the grammar forced.
        evaluations: Times the model was run, the prompt included.
        draws: Answers drawn until one was valid.
        confidence: Least confidence of its decisions; None for free text.
        field_confidence: Confidence per JSON pointer.
    """

    text: str
    finish_reason: str
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    forced_tokens: int = 0
    evaluations: int = 0
    draws: int = 1
    confidence: float | None = None
    field_confidence: Mapping[str, float] = field(default_factory=dict[str, float])

    def as_json(self) -> dict[str, Any]:
        """Return the result as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why there is no answer, in words that survive a pipe."""

    kind: Kind
    message: str
    violations: tuple[Violation, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the failure as JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Failure:
        """Read what `as_json` wrote."""
        found = tuple(Violation(**v) for v in data.get("violations", ()))
        return cls(kind=Kind(data["kind"]), message=data["message"], violations=found)

    def error(self) -> CallError | ConfigError:
        """Return the public exception of this failure."""
        match self.kind:
            case Kind.SCHEMA | Kind.BAD_JSON:
                return ContractError(
                    self.message, kind=self.kind, violations=self.violations
                )
            case Kind.TIMEOUT:
                return TierTimeoutError(self.message, kind=self.kind)
            case Kind.SKIPPED:
                return TierUnavailableError(self.message, kind=self.kind)
            case _:
                return TierFailedError(self.message, kind=self.kind)


class FailedError(Exception):
    """Carries a `Failure` inside the runtime."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Engine(Protocol):
    """Something that answers jobs, one at a time."""

    def generate(
        self, job: Job, *, halt: Callable[[], str]
    ) -> Iterator[Delta | Result]:
        """Yield the text while it is drawn when asked to, and the result at the end.

        Args:
            job: What to answer.
            halt: Asked between tokens; a text that is not empty stops it: `deadline`
                or `cancelled`.

        Raises:
            FailedError: There is no answer; its failure says why.
        """
        ...

    def close(self) -> None:
        """Free what the engine holds."""
        ...
