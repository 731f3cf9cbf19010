"""The `openai` provider: any server that speaks one of OpenAI's two text APIs.

Chat Completions by default, Responses with the pin's option `api = "responses"`; the
pin's `endpoint` names OpenAI itself, a gateway, vLLM, llama-server, Ollama or
`llmguard serve`. The SDK's own retries are off: attempts belong to the guard.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

from ..reply import Reply
from . import remote_calls
from ._http import load_transport
from ._openai_answer import LazyResponse, json_body
from ._openai_clients import OpenAIClients
from ._openai_direct import direct
from ._openai_request import Settings, chat_arguments, responses_arguments
from ._openai_stream import Accumulator, ChatStream, ResponsesStream, require_answer
from .messages import Chunk, Request
from .replies import read_answer

if TYPE_CHECKING:
    from ..pins import Pin

__all__ = ["DEFAULT_TIMEOUT", "OpenAIProvider"]

DEFAULT_TIMEOUT = 30.0
"""Seconds for an exchange outside any guard; a guard passes what remains."""


class OpenAIProvider:
    """Calls one pinned model over HTTP.

    Options of the pin: `api` ("chat", "responses"), `api_key_env` (default
    `OPENAI_API_KEY`; a loopback endpoint needs none), `structured` ("json_schema",
    "json_object", "none"), `strict` (False: never strict), `confidence` ("min",
    "mean", "joint"), `stream_usage` (False: no `stream_options`).
    """

    observes = True
    """The raw clients report the answers they carry (`on_reply`)."""

    def __init__(self, pin: Pin) -> None:
        self.pin = pin
        self.settings = Settings(pin)
        self.clients = OpenAIClients(pin)

    @property
    def bounded(self) -> bool:
        """True once the client is made: importing the SDK takes its own time."""
        return self.clients.bounded

    @property
    def remote(self) -> bool:
        """True unless the endpoint is on this machine."""
        return self.clients.remote

    def complete(self, request: Request) -> Reply:
        """Send one request and wait for the whole answer.

        Raises:
            TierFailedError: The answer reports an error, or holds nothing.
            TierUnavailableError: The SDK is not installed, or no key is set.
            RemoteCallRefusedError: `refuse_remote()` is active.
        """
        sdk = self._ready(self.clients.sync)
        calls = self._calls(sdk)
        arguments = self._arguments(request, calls.create)
        plain = self._direct(request, arguments, calls)
        if plain is None:
            return self._read(calls.with_raw_response.create(**arguments))
        return self._read(sdk.post(**plain))

    async def acomplete(self, request: Request) -> Reply:
        """Send one request and await the answer; errors are those of `complete`."""
        sdk = self._ready(self.clients.for_loop)
        calls = self._calls(sdk)
        arguments = self._arguments(request, calls.create)
        plain = self._direct(request, arguments, calls)
        if plain is None:
            return self._read(await calls.with_raw_response.create(**arguments))
        return self._read(await sdk.post(**plain))

    def stream(self, request: Request) -> Iterator[Chunk]:
        """Send one request and yield the answer as it arrives."""
        create = self._calls(self._ready(self.clients.sync)).create
        total = self._accumulator()
        with closing(create(**self._streaming(request, create))) as events:
            for event in events:
                if text := total.feed(event):
                    yield Chunk(text=text)
        yield Chunk(reply=total.finish())

    async def astream(self, request: Request) -> AsyncIterator[Chunk]:
        """Send one request and yield the answer as it arrives."""
        create = self._calls(self._ready(self.clients.for_loop)).create
        total = self._accumulator()
        events = await create(**self._streaming(request, create))
        try:
            async for event in events:
                if text := total.feed(event):
                    yield Chunk(text=text)
        finally:
            await events.close()
        yield Chunk(reply=total.finish())

    def client(
        self, timeout: float, *, on_reply: Callable[[Reply], None] | None = None
    ) -> Any:
        """Return an `openai.OpenAI` that ends `timeout` seconds from now."""
        self._check()
        return self.clients.raw(timeout, is_async=False, on_reply=on_reply)

    def async_client(
        self, timeout: float, *, on_reply: Callable[[Reply], None] | None = None
    ) -> Any:
        """Return an `openai.AsyncOpenAI` that ends `timeout` seconds from now."""
        self._check()
        return self.clients.raw(timeout, is_async=True, on_reply=on_reply)

    def check(self) -> None:
        """Look, without any network, for what calls need; for `llmguard doctor`.

        Raises:
            TierUnavailableError: The SDK is not installed, or a remote endpoint has
                no key in the environment.
            ConfigError: The option `api_key_env` is no name.
        """
        self.clients.check()

    def warm(self) -> None:
        """Import the SDK now, which takes longer than many deadlines allow."""
        self._check()
        self.load(is_async=False)

    def load(self, *, is_async: bool) -> None:
        """Import the SDK and make its client, before a call's deadline begins."""
        client = self.clients.for_loop() if is_async else self.clients.sync()
        _ = client.chat.completions.create, client.responses.create
        load_transport(is_async=is_async)

    def close(self) -> None:
        """Close the connections of threads; those of event loops end with the loop."""
        self.clients.close()

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        await self.clients.aclose()

    def _check(self) -> None:
        remote_calls.ensure_allowed(self.clients.endpoint, pin=self.pin)

    def _ready(self, client: Callable[[], Any]) -> Any:
        """Return a client that may be used now."""
        self._check()
        return client()

    def _calls(self, sdk: Any) -> Any:
        """Return the part of a client that has `create`."""
        return sdk.chat.completions if self.settings.api == "chat" else sdk.responses

    def _direct(
        self, request: Request, arguments: dict[str, Any], calls: Any
    ) -> dict[str, Any] | None:
        if self.settings.api != "chat":
            return None
        return direct(request, arguments, calls)

    def _arguments(self, request: Request, create: Any) -> dict[str, Any]:
        build = chat_arguments if self.settings.api == "chat" else responses_arguments
        arguments = build(request, self.pin.model, self.settings, create)
        limit = DEFAULT_TIMEOUT if request.timeout is None else request.timeout
        return {**arguments, "timeout": limit}

    def _streaming(self, request: Request, create: Any) -> dict[str, Any]:
        arguments = self._arguments(request, create) | {"stream": True}
        if self.settings.api == "chat" and self.settings.stream_usage:
            arguments.setdefault("stream_options", {"include_usage": True})
        return arguments

    def _accumulator(self) -> Accumulator:
        cls = ChatStream if self.settings.api == "chat" else ResponsesStream
        return cls(self.pin, self.settings.confidence)

    def _read(self, response: Any) -> Reply:
        api, confidence = self.settings.api, self.settings.confidence
        body = json_body(response)
        if body is None:  # not JSON, or no object: whatever the SDK makes of it
            reply = read_answer(response.parse(), api, confidence=confidence)
        else:
            raw = LazyResponse(response)
            reply = read_answer(body, api, confidence=confidence, raw=raw)
        return require_answer(reply, self.pin)
