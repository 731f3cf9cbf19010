"""Any Outlines model as a fallback tier.

The contract becomes Outlines' output type, and the answer goes through the contract
all the same: what holds a model to a type differs by library, and may fail open.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast
from weakref import WeakValueDictionary

from llmguard.adapters import remote_calls
from llmguard.errors import ConfigError, RemoteCallRefusedError, TierUnavailableError
from llmguard.guard.tiers import TierContext, TierOptions
from llmguard.outcome import Kind
from llmguard.reply import Reply

from ._outlines_steer import BACKEND, Steered
from ._outlines_types import OutputType, is_local, is_steerable, load, output_type

if TYPE_CHECKING:
    from llmguard.contract import Contract

__all__ = ["AsyncOutlinesTier", "OutlinesTier", "outlines"]

Prompt: TypeAlias = Callable[[Mapping[str, object]], object]

_RESERVE: Final = 8.0
_LOCKS: Final[WeakValueDictionary[int, Any]] = WeakValueDictionary()
_locks_lock: Final = threading.Lock()


def _lock_of(model: object) -> Any:
    """Return the one lock of a model, whichever tiers and wrappers share it."""
    inner = getattr(model, "model", None)
    key = id(model if inner is None or isinstance(inner, str) else inner)
    with _locks_lock:
        return _LOCKS.setdefault(key, threading.Lock())


def _is_async(model: object) -> bool:
    call = getattr(type(model), "__call__", None)  # noqa: B004 - asks how, not whether
    return inspect.iscoroutinefunction(model) or inspect.iscoroutinefunction(call)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlinesTier:
    """An Outlines model as a tier; made by `outlines(...)`."""

    model: Any
    prompt: Prompt | None
    output_type: object
    generation: Mapping[str, Any]
    name: str
    options: TierOptions
    lock: Any
    terminal: bool = field(default=False, init=False)
    inline: bool = field(default=False, init=False)
    _asked: dict[str, tuple[OutputType, Steered | None]] = field(
        default_factory=dict[str, tuple[OutputType, Steered | None]], init=False
    )

    def run(self, call: TierContext) -> object:
        """Ask the model, one call at a time unless `concurrency` says otherwise.

        Raises:
            TierUnavailableError: The model is busy, or nothing held its answer.
            TierTimeoutError: The deadline passed while it was answering.
            RemoteCallRefusedError: The model is remote and `refuse_remote()` is active.
            ConfigError: Without `prompt`, not exactly one argument is a text.
        """
        _refuse_remote(self.model)
        prompt = self._prompt(call)
        if self.lock is not None and not self.lock.acquire(blocking=False):
            raise TierUnavailableError(
                f"the model of tier {self.name!r} is answering another call",
                kind=Kind.SKIPPED,
            )
        try:
            asked, steered = self._ask(call.contract)
            if steered is not None:
                said = steered.run(prompt, call.remaining)
            else:
                said = self.model(prompt, asked.type, **self.generation)
        finally:
            if self.lock is not None:
                self.lock.release()
        return _reply(said, asked)

    def check(self, contract: Contract | None) -> None:
        """Build everything that decoding will need.

        Raises:
            ConfigError: The model cannot be held to the contract, as far as Outlines
                can tell before a call.
        """
        asked, steered = self._ask(contract)
        if steered is not None or asked.type is None:
            return
        adapter = getattr(self.model, "type_adapter", None)
        if adapter is None:
            return
        try:
            adapter.format_output_type(asked.type)
        # Its adapters raise any of these for a type that they do not take.
        except (TypeError, ValueError, NotImplementedError) as error:
            raise ConfigError(
                f"tier {self.name!r}: {type(self.model).__name__!r} does not take "
                f"{asked.type!r}: {error}; pass another `output_type=`"
            ) from error

    def _ask(self, contract: Contract | None) -> tuple[OutputType, Steered | None]:
        key = "" if contract is None else contract.digest
        found = self._asked.get(key)
        if found is None:
            found = self._asked[key] = self._compiled(contract)
        return found

    def _compiled(self, contract: Contract | None) -> tuple[OutputType, Steered | None]:
        steerable = is_steerable(self.model)
        backend = self.generation.get("backend") or BACKEND
        asked = output_type(
            contract, given=self.output_type, finite=steerable and backend == BACKEND
        )
        if not steerable:
            return asked, None
        return asked, Steered(self.model, asked, self.generation)

    def _prompt(self, call: TierContext) -> object:
        if self.prompt is not None:
            return self.prompt(call.inputs)
        texts = [each for each in call.inputs.values() if isinstance(each, str)]
        if len(texts) == 1:
            return texts[0]
        raise ConfigError(
            f"tier {self.name!r} finds {len(texts)} texts among the arguments "
            f"{sorted(call.inputs)!r}; say what to ask, such as "
            "`outlines(model, prompt=lambda inputs: f'Triage: {inputs[\"text\"]}')`"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncOutlinesTier(OutlinesTier):
    """An async Outlines model as a tier of async functions."""

    def run(self, call: TierContext) -> object:
        """Refuse: a client of one event loop cannot answer without it.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(
            f"tier {self.name!r} holds the async model {type(self.model).__name__!r}, "
            f"but `{call.function}` is not async; give it the sync one, such as "
            "`outlines.from_openai(openai.OpenAI(), ...)`"
        )

    async def arun(self, call: TierContext) -> object:
        """Ask the model without blocking the event loop.

        Raises:
            RemoteCallRefusedError: The model is remote and `refuse_remote()` is active.
        """
        _refuse_remote(self.model)
        asked, _ = self._ask(call.contract)
        prompt = self._prompt(call)
        return _reply(await self.model(prompt, asked.type, **self.generation), asked)


def _reply(said: object, asked: OutputType) -> Reply:
    """Read what the model said; the contract judges it afterwards."""
    if isinstance(said, list):
        drawn = cast("list[object]", said)
        said = drawn[0] if len(drawn) == 1 else drawn
    if said is None:
        return Reply(text="")
    if not isinstance(said, str):
        return Reply(value=said, has_value=True, raw=said)
    if asked.bare and said.strip() and not said.lstrip().startswith('"'):
        return Reply(text=said, value=said, has_value=True, raw=said)
    return Reply(text=said, raw=said)


def _refuse_remote(model: Any) -> None:
    if not remote_calls.refused() or is_local(model):
        return
    url = getattr(getattr(model, "client", None), "base_url", None)
    if not remote_calls.is_loopback(None if url is None else str(url)):
        raise RemoteCallRefusedError(
            f"{type(model).__name__!r} leaves this machine, and `refuse_remote()` is "
            "active; use a local model here",
            kind=Kind.ERROR,
        )


def outlines(
    model: Any,
    *,
    prompt: Prompt | None = None,
    output_type: object = None,
    name: str = "outlines",
    when: Callable[[TierContext], bool] | None = None,
    min_confidence: float | None = None,
    timeout: float | None = None,
    reserve: float = _RESERVE,
    concurrency: int | None = 1,
    attempts: int = 1,
    **generation: Any,
) -> OutlinesTier:
    """Answer with an Outlines model.

    Args:
        model: Whatever `outlines.from_...` returned, or any object called the same
            way: `model(prompt, output_type, **generation)`.
        prompt: Makes the prompt of the arguments by name; by default the one argument
            that is a text.
        output_type: Outlines output type to ask for instead of the contract's own:
            a pydantic model, `Literal`, an enum, `outlines.types.regex(...)`,
            `outlines.types.cfg(...)`.
        name: Name of the tier.
        when: Skip the tier for calls where this returns False.
        min_confidence: Answers below it go on down the chain.
        timeout: Seconds one attempt may take.
        reserve: Seconds that upper tiers leave for this one; 8 suits a small local
            model on a CPU.
        concurrency: Calls in this tier at once. With 1, no other tier over the same
            model runs either: llama-cpp-python aborts the process when two threads
            share a model.
        attempts: Tries within this tier, the first one included.
        **generation: Passed on to the model, such as `backend` or `max_tokens`.

    Returns:
        A tier for `@fallback_chain`.

    Raises:
        ConfigError: Outlines is not installed, or `model` cannot be called.
    """
    load("outlines")
    if not callable(model):
        raise ConfigError(
            f"`outlines` got {model!r}; give it an Outlines model, such as "
            "`outlines.from_llamacpp(llama_cpp.Llama(...))`"
        )
    options = TierOptions(
        when=when,
        min_confidence=min_confidence,
        timeout=timeout,
        reserve=reserve,
        concurrency=concurrency,
        attempts=attempts,
    )
    make = AsyncOutlinesTier if _is_async(model) else OutlinesTier
    return make(
        model=model,
        prompt=prompt,
        output_type=output_type,
        generation=generation,
        name=name,
        options=options,
        lock=_lock_of(model) if concurrency == 1 else None,
    )
