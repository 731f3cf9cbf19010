"""`openai` clients of one pin: one for threads, one per event loop, none leaked."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import threading
import weakref
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..errors import ConfigError, TierFailedError, TierUnavailableError
from ..outcome import Kind
from ..reply import Reply
from . import remote_calls
from ._deadline_backend import keeps_deadlines
from ._http import facade, guarded_client
from ._openai_stream import ChatStream, ResponsesStream
from ._sse import Ear
from .replies import read_answer, reply_failure

if TYPE_CHECKING:
    from ..pins import Pin

__all__ = ["PUBLIC_ENDPOINT", "OpenAIClients"]

PUBLIC_ENDPOINT: Final = "https://api.openai.com/v1"
"""Used where a pin has no `endpoint`; `OPENAI_BASE_URL` must not move a pin."""

_NO_KEY: Final = "none-needed"
_ANSWERS: Final = ("/chat/completions", "/responses")


class _LoopClient(NamedTuple):
    """The client of one event loop, and what closes it with the loop."""

    loop: asyncio.AbstractEventLoop
    client: Any
    closer: AsyncGenerator[None, None]


class OpenAIClients:
    """Builds, caches and closes the SDK's clients; safe for threads and forks."""

    def __init__(self, pin: Pin) -> None:
        self.pin = pin
        self.endpoint = pin.endpoint or PUBLIC_ENDPOINT
        self.remote = not remote_calls.is_loopback(self.endpoint)
        self.forget()
        _instances.add(self)

    def forget(self) -> None:
        """Drop every client without closing it, as a forked child must."""
        self._lock = threading.Lock()
        self._sync: Any = None
        self._bounded = False
        self._async: dict[int, _LoopClient] = {}

    @property
    def bounded(self) -> bool:
        """True when the client of threads is there and keeps to its deadlines."""
        return self._bounded

    def sync(self) -> Any:
        """Return the client that all threads share."""
        client = self._sync
        if client is None:
            with self._lock:
                if self._sync is None:
                    self._sync = self._build(is_async=False)
                    self._bounded = keeps_deadlines(self._sync._client)  # noqa: SLF001 - the SDK offers no getter
                client = self._sync
        return self._with_key(client)

    def for_loop(self) -> Any:
        """Return the client of the running event loop; closed when the loop ends."""
        loop = asyncio.get_running_loop()
        held = self._async.get(id(loop))
        if held is None or held.loop is not loop:
            held = self._open(loop)
        return self._with_key(held.client)

    def _open(self, loop: asyncio.AbstractEventLoop) -> _LoopClient:
        for key, held in list(self._async.items()):
            if held.loop.is_closed():  # closed without `shutdown_asyncgens`
                self._async.pop(key, None)
        client = self._build(is_async=True)
        forget = partial(self._async.pop, id(loop), None)
        held = _LoopClient(loop, client, _close_with_loop(client, forget))
        self._async[id(loop)] = held
        return held

    def raw(
        self,
        timeout: float,
        *,
        is_async: bool,
        on_reply: Callable[[Reply], None] | None = None,
    ) -> Any:
        """Return a client for user code: no retries, `timeout` seconds in all."""
        client = self.for_loop() if is_async else self.sync()

        def observe(path: str, body: bytes) -> None:
            if path.endswith(_ANSWERS):
                reply = self._examine(path, body)
                if on_reply is not None:
                    on_reply(reply)

        def listen(path: str) -> Ear | None:
            if on_reply is None or not path.endswith(_ANSWERS):
                return None
            cls = ChatStream if path.endswith(_ANSWERS[0]) else ResponsesStream
            return Ear(cls(self.pin, "min"), on_reply)

        inner = facade(
            client._client,  # noqa: SLF001 - the SDK offers no getter
            timeout=timeout,
            observe=observe,
            listen=listen,
        )
        return client.with_options(http_client=inner, timeout=timeout, max_retries=0)

    def check(self) -> None:
        """Raise what the first call would: no SDK, or no key. Nothing is sent."""
        _import_sdk(self.pin)
        self._key()

    def close(self) -> None:
        """Close the client of threads; clients of event loops end with their loop."""
        with self._lock:
            client, self._sync = self._sync, None
            self._bounded = False
        if client is not None:
            client.close()

    async def aclose(self) -> None:
        """Close the client of the running event loop."""
        held = self._async.pop(id(asyncio.get_running_loop()), None)
        if held is not None:
            await held.closer.aclose()

    def _examine(self, path: str, body: bytes) -> Reply:
        """Refuse a body that is no answer before user code can trip over it."""
        api = "chat" if path.endswith("/chat/completions") else "responses"
        try:
            reply = read_answer(json.loads(body), api)
        except ValueError:
            reply = Reply(finish_reason="error")
        failure = reply_failure(reply)
        if failure is None:
            return reply
        raise TierFailedError(
            f"{self.pin.route!r} got no answer from {self.endpoint}: {failure.detail}",
            kind=failure.kind,
            pin=self.pin.id,
        )

    def _build(self, *, is_async: bool) -> Any:
        sdk = _import_sdk(self.pin)
        base = sdk.DefaultAsyncHttpxClient if is_async else sdk.DefaultHttpxClient
        cls = sdk.AsyncOpenAI if is_async else sdk.OpenAI
        return cls(
            api_key=self._key(),
            base_url=self.endpoint,
            max_retries=0,
            http_client=guarded_client(base, self._check),
        )

    def _check(self, url: object) -> None:
        if remote_calls.refused():
            remote_calls.ensure_allowed(str(url), pin=self.pin)

    def _with_key(self, client: Any) -> Any:
        """Keep up with a key that was rotated in the environment."""
        client.api_key = self._key()
        return client

    def _key(self) -> str:
        name = self.pin.options.get("api_key_env", "OPENAI_API_KEY")
        if not isinstance(name, str) or not name:
            raise ConfigError(
                f"pin {self.pin.route!r}: option `api_key_env` must name an "
                f"environment variable, not {name!r}"
            )
        key = os.environ.get(name)
        if key or not self.remote:
            return key or _NO_KEY
        raise TierUnavailableError(
            f"pin {self.pin.route!r} needs a key for {self.endpoint}: set the "
            f"environment variable `{name}`, or name another one with the pin's option "
            f"`api_key_env`",
            kind=Kind.AUTH,
            pin=self.pin.id,
        )


def _import_sdk(pin: Pin) -> Any:
    try:
        import openai
    except ImportError as exc:
        raise TierUnavailableError(
            f"pin {pin.route!r} uses provider 'openai', which needs the `openai` "
            f"package: run `pip install 'llmguard-toolkit[openai]'`",
            kind=Kind.SKIPPED,
            pin=pin.id,
        ) from exc
    return openai


def _close_with_loop(
    client: Any, forget: Callable[[], object]
) -> AsyncGenerator[None, None]:
    """Close `client` when the running event loop shuts down.

    `asyncio.run` and its kin finalise every started asynchronous generator
    (`loop.shutdown_asyncgens`) before they close the loop; this starts one.
    """

    async def closer() -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            forget()
            await client.close()

    generator = closer()
    with contextlib.suppress(StopIteration):
        # One step by hand: it reaches the `yield` without waiting for anything.
        anext(generator).__await__().__next__()
    return generator


_instances: weakref.WeakSet[OpenAIClients] = weakref.WeakSet()


def _after_fork() -> None:
    """Make the child open its own connections: the parent still uses the old ones."""
    for clients in list(_instances):
        clients.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
