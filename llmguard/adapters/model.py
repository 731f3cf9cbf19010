"""`Model`: what a guarded function's body calls, whichever version it is."""

from __future__ import annotations

from collections.abc import (
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias, TypeVar

from .._quick import quick
from ..errors import ConfigError, TierTimeoutError
from ..outcome import Kind
from ..reply import Reply
from ._duck import plain
from .messages import Chunk, Message, MessageLike, Request, as_messages
from .prompt import RenderedPrompt

if TYPE_CHECKING:
    from ..pins import Pin
    from .provider import Provider

__all__ = ["AsyncTextStream", "Model", "PromptLike", "TextStream"]

T = TypeVar("T")

PromptLike: TypeAlias = str | RenderedPrompt | Iterable[MessageLike]
"""A string (one user message), a rendered `Prompt`, or a list of messages."""

_UNGUARDED_TIMEOUT: Final = 30.0
_new_request: Final = quick(Request)

_FIXED: Final[Mapping[str, str]] = {
    "model": "the pin decides which version runs",
    "extra_body": "pass its fields by name; unknown ones are sent in the body",
    "messages": "pass the messages as the first argument",
    "input": "pass the messages as the first argument",
    "stream": "use `stream` or `astream`",
    "timeout": "the guard's `deadline` decides how long a call may take",
    "n": "one call is one answer; call again for another",
}


class Model:
    """One pinned model, with the rest of one attempt's deadline.

    The guard makes it and passes it to the body; nothing else in the body knows which
    version runs. Outside a guard: `Model(pin, provider_for(pin))`.

    Args:
        pin: The version to call.
        provider: What calls it.
        schema: JSON Schema of the contract, sent as structured output where the
            provider supports that; None for text.
        schema_name: Name the provider may show for it.
        remaining: Returns the seconds left; None for 30 seconds per call.
        feedback: Messages appended to the conversation: what a re-ask quotes.
        inputs: The guarded function's arguments.
        call_id: Id of the guarded call.
    """

    def __init__(
        self,
        pin: Pin,
        provider: Provider,
        *,
        schema: Mapping[str, Any] | None = None,
        schema_name: str = "",
        remaining: Callable[[], float] | None = None,
        feedback: Sequence[Message] = (),
        inputs: Mapping[str, object] | None = None,
        call_id: str = "",
    ) -> None:
        self._pin = pin
        self._provider = provider
        self._schema = schema
        self._schema_name = schema_name
        self._remaining = remaining
        self._feedback = tuple(feedback)
        self._inputs = inputs or {}
        self._call_id = call_id
        self._last: Reply | None = None
        self._asked: Request | None = None
        self._asks = 0

    def __repr__(self) -> str:
        return f"Model({self._pin.route!r}, {self.id!r}, pin={self._pin.id!r})"

    @property
    def id(self) -> str:
        """The exact model id, for use with the raw client."""
        return self._pin.model

    @property
    def pin(self) -> Pin:
        """The pin this handle calls."""
        return self._pin

    @property
    def last(self) -> Reply | None:
        """The last whole reply, the raw client's JSON answers included."""
        return self._last

    @property
    def remaining(self) -> float:
        """Seconds left for this try; pass it on as the timeout of your own client.

        Raises:
            TierTimeoutError: None is left.
        """
        return self._timeout()

    @property
    def asked(self) -> Request | None:
        """The last request of `complete` or `stream`; None for the raw client's."""
        return self._asked

    @property
    def asks(self) -> int:
        """How many requests there were."""
        return self._asks

    @property
    def feedback(self) -> tuple[Message, ...]:
        """What a re-ask quotes; `complete` appends it by itself."""
        return self._feedback

    def complete(
        self,
        prompt: PromptLike,
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        **params: Any,
    ) -> T:  # type: ignore[type-var] # pyright: ignore[reportInvalidTypeVarUse] - the caller's context decides T
        """Ask the model and return its `Reply`; return it from the body as it is.

        Typed as whatever the body needs, so that one annotated with the contract's
        type may return it; to look inside, write `reply: Reply = model.complete(...)`.

        Args:
            prompt: Text (one user message), a rendered `Prompt`, or messages.
            tools: Tools the model may ask for, in the shape of Chat Completions.
            **params: Sampling parameters besides the pin's own.

        Raises:
            ConfigError: A parameter differs from the pinned one, or the prompt's digest
                from the pinned one.
            TierTimeoutError: No time is left.
        """
        request = self._request(prompt, tools, params)
        answer: Any = self._keep(self._provider.complete(request), request)
        return answer  # type: ignore[no-any-return]  # - the caller decides T

    async def acomplete(
        self,
        prompt: PromptLike,
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        **params: Any,
    ) -> T:  # pyright: ignore[reportInvalidTypeVarUse] - as in `complete`
        """Ask without blocking the loop; the errors are those of `complete`."""
        request = self._request(prompt, tools, params)
        reply = await self._provider.acomplete(request)
        answer: Any = self._keep(reply, request)
        return answer  # type: ignore[no-any-return]  # - the caller decides T

    def stream(
        self,
        prompt: PromptLike,
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        **params: Any,
    ) -> TextStream:
        """Iterate over the text as it arrives; errors are those of `complete`."""
        request = self._request(prompt, tools, params)
        chunks = self._provider.stream(request)
        return TextStream(chunks, lambda reply: self._keep(reply, request))

    def astream(
        self,
        prompt: PromptLike,
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        **params: Any,
    ) -> AsyncTextStream:
        """Iterate asynchronously over the text; errors are those of `complete`."""
        request = self._request(prompt, tools, params)
        chunks = self._provider.astream(request)
        return AsyncTextStream(chunks, lambda reply: self._keep(reply, request))

    @property
    def client(self) -> Any:
        """The provider's raw client: no retries, ended by the deadline.

        Raises:
            TierTimeoutError: No time is left.
        """
        return self._raw(self._provider.client)

    @property
    def async_client(self) -> Any:
        """The provider's raw asynchronous client, for the running event loop.

        Raises:
            TierTimeoutError: No time is left.
        """
        return self._raw(self._provider.async_client)

    def _raw(self, make: Callable[..., Any]) -> Any:
        timeout = self._timeout()
        if getattr(self._provider, "observes", False):
            return make(timeout, on_reply=self._note)
        return make(timeout)

    def _note(self, reply: Reply) -> None:
        self._last = reply

    def _keep(self, reply: Reply, request: Request) -> Reply:
        if request.prompt_digest and not reply.prompt_digest:
            reply = replace(reply, prompt_digest=request.prompt_digest)
        self._last = reply
        return reply

    def _timeout(self) -> float:
        left = _UNGUARDED_TIMEOUT if self._remaining is None else self._remaining()
        if left > 0:
            return left
        raise TierTimeoutError(
            f"no time is left to call pin {self._pin.route!r}",
            kind=Kind.TIMEOUT,
            pin=self._pin.id,
        )

    def _request(
        self,
        prompt: PromptLike,
        tools: Sequence[Mapping[str, Any]],
        params: Mapping[str, Any],
    ) -> Request:
        digest = ""
        if isinstance(prompt, RenderedPrompt):
            digest, prompt = prompt.digest, prompt.messages
            if digest:
                self._check_prompt(digest)
        self._asks += 1
        self._asked = _new_request(
            messages=(*as_messages(prompt), *self._feedback),
            schema=self._schema,
            schema_name=self._schema_name,
            params=self._params(params) if params else dict(self._pin.params),
            tools=tools,
            timeout=self._timeout(),
            inputs=self._inputs,
            prompt_digest=digest,
            call_id=self._call_id,
        )
        return self._asked

    def _params(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        pinned = self._pin.params
        for name, value in params.items():
            if name in _FIXED:
                raise ConfigError(
                    f"`{name}` cannot be passed to `complete`: {_FIXED[name]}"
                )
            if name in pinned and plain(pinned[name]) != plain(value):
                raise ConfigError(
                    f"pin {self._pin.route!r} fixes `{name}` at {pinned[name]!r}, but "
                    f"the call asks for {value!r}; drop it from the call, or pin "
                    f"another version with `llmguard pin add`"
                )
        return {**pinned, **params}

    def _check_prompt(self, digest: str) -> None:
        pinned = self._pin.prompt_digest
        if not pinned or pinned.removeprefix("sha256:") == digest:
            return
        raise ConfigError(
            f"pin {self._pin.route!r} was qualified with prompt {pinned[:19]!r}, but "
            f"this prompt is {digest[:12]!r}; restore the prompt, or set "
            f"`prompt_digest = {digest!r}` in `models.lock` and run "
            f"`llmguard pin refresh`"
        )


class TextStream(Iterator[str]):
    """The text of an answer as it arrives; `reply` holds the whole at the end.

    Close it (or use it in a `with` block) to give up early: the connection is dropped.
    """

    def __init__(self, chunks: Iterator[Chunk], keep: Callable[[Reply], Reply]) -> None:
        self._chunks = chunks
        self._keep = keep
        self.reply: Reply | None = None

    def __next__(self) -> str:
        for chunk in self._chunks:
            if chunk.reply is not None:
                self.reply = self._keep(chunk.reply)
            if chunk.text:
                return chunk.text
        raise StopIteration

    def close(self) -> None:
        """Stop reading and drop the connection."""
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


class AsyncTextStream(AsyncIterator[str]):
    """The same for asynchronous code; close it with `aclose` or `async with`."""

    def __init__(
        self, chunks: AsyncIterator[Chunk], keep: Callable[[Reply], Reply]
    ) -> None:
        self._chunks = chunks
        self._keep = keep
        self.reply: Reply | None = None

    async def __anext__(self) -> str:
        async for chunk in self._chunks:
            if chunk.reply is not None:
                self.reply = self._keep(chunk.reply)
            if chunk.text:
                return chunk.text
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Stop reading and drop the connection."""
        close = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.aclose()
