"""A model that says what a test told it to, behind a real pin and a real provider."""

from __future__ import annotations

import asyncio
import itertools
import re
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, Final

from ..adapters import Chunk, Request, register_provider, remote_calls
from ..clock import Clock
from ..errors import ConfigError
from ..pins import Pin
from ..reply import Reply
from ._answers import as_text
from ._script import Cut, Script, Turn, WrongModel, special_reply

__all__ = ["FakeModel", "fake_pin"]

_PROVIDER: Final = "fake"
_WORDS: Final = re.compile(r"\S+\s*|\s+")
_numbers = itertools.count(1)
_models: dict[str, FakeModel] = {}
_lock = threading.Lock()


class FakeModel:
    """A scripted model, called through pins of the provider "fake".

    Works wherever a pinned model does: sync, async and streamed calls, any function.

    Args:
        replies: What to say, call by call; the last entry repeats. An entry is text,
            data sent as JSON text, a `Reply`, one of `Refusal`, `Truncated`,
            `Filtered`, `Empty`, `WrongModel`, `ToolUse`, `Cut`, `Hang`, `Slow`, an
            exception such as `HttpError(500)`, or a function of the `Request` giving
            any of these. What is no list is said every time.
        name: Model id to pin and echo.
        remote: Pretend that calls leave the machine, so that `refuse_remote()` applies.
        clock: Where `Hang` and `Slow` wait; by default in real time.
    """

    def __init__(
        self,
        replies: object = "ok",
        *,
        name: str = "fake-model-1",
        remote: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self.name = name
        self.remote = remote
        self._script = Script(replies)
        self._clock = clock
        self._calls: list[Request] = []
        self._key = f"fake-{next(_numbers)}"

    @property
    def calls(self) -> tuple[Request, ...]:
        """Every request so far, in order."""
        return tuple(self._calls)

    def pin(self, route: str = "fake", **changes: Any) -> Pin:
        """Return a pin that calls this model.

        Args:
            route: Name of the pin.
            **changes: Other fields of `Pin`, such as `params` or `expect_echo`.
        """
        with _lock:
            if not _models:
                register_provider(_PROVIDER, _provider)
            _models[self._key] = self
        options = {**changes.pop("options", {}), "fake": self._key}
        fields: dict[str, Any] = {"version_class": "immutable", **changes}
        return Pin(
            route=route, provider=_PROVIDER, model=self.name, options=options, **fields
        )

    def release(self) -> None:
        """End every `Hang` and `Slow` at once, now and from now on."""
        self._script.release()

    def begin(self, request: Request) -> tuple[Turn, float, bool]:
        """Take the next entry; return it, the seconds to wait, and if that is late."""
        self._calls.append(request)
        turn = self._script.next(request)
        return turn, *turn.waits(request.timeout)

    def wait(self, seconds: float) -> None:
        """Block the calling thread."""
        self._script.wait(seconds, self._clock)

    async def await_(self, seconds: float) -> None:
        """Suspend the calling task."""
        if self._clock is None:
            await asyncio.sleep(seconds)
        else:
            await self._clock.asleep(seconds)

    def reply(self, turn: Turn, *, late: bool) -> Reply:
        """Return what an entry says, or raise it.

        Raises:
            TimeoutError: `late`: the entry took longer than the call could wait.
            ConnectionResetError: The entry is one that cuts the connection.
        """
        if late:
            raise TimeoutError(f"fake model {self.name!r} did not answer in time")
        special = special_reply(turn.answer, model=self.name)
        if special is not None:
            return special
        served, answer = self.name, turn.answer
        if isinstance(answer, WrongModel):
            served, answer = answer.model, answer.answer
        return Reply(text=as_text(answer), finish_reason="stop", served_model=served)


@dataclass(frozen=True, slots=True)
class _FakeProvider:
    """One pin's view of a fake model."""

    fake: FakeModel
    pin: Pin

    @property
    def remote(self) -> bool:
        return self.fake.remote

    def complete(self, request: Request) -> Reply:
        turn, wait, late = self._begin(request)
        if wait:
            self.fake.wait(wait)
        return self.fake.reply(turn, late=late)

    async def acomplete(self, request: Request) -> Reply:
        turn, wait, late = self._begin(request)
        if wait:
            await self.fake.await_(wait)
        return self.fake.reply(turn, late=late)

    def stream(self, request: Request) -> Iterator[Chunk]:
        turn, wait, late = self._begin(request)
        if wait:
            self.fake.wait(wait)
        yield from self._pieces(turn, late=late)

    async def astream(self, request: Request) -> AsyncIterator[Chunk]:
        turn, wait, late = self._begin(request)
        if wait:
            await self.fake.await_(wait)
        for chunk in self._pieces(turn, late=late):
            yield chunk

    def client(self, timeout: float) -> Any:
        del timeout
        raise ConfigError(
            f"fake model {self.fake.name!r} has no raw client; for functions that use "
            "`model.client`, pin `FaultServer` instead: "
            "`Pin(provider='openai', endpoint=server.base_url, ...)`"
        )

    def async_client(self, timeout: float) -> Any:
        return self.client(timeout)

    def close(self) -> None:
        self.fake.release()

    def _begin(self, request: Request) -> tuple[Turn, float, bool]:
        if self.fake.remote:
            remote_calls.ensure_allowed(None, pin=self.pin)
        return self.fake.begin(request)

    def _pieces(self, turn: Turn, *, late: bool) -> Iterator[Chunk]:
        if isinstance(turn.answer, Cut) and not late:
            yield from map(_chunk, _WORDS.findall(turn.answer.text))
        reply = self.fake.reply(turn, late=late)
        yield from map(_chunk, _WORDS.findall(reply.text or ""))
        yield Chunk(reply=reply)


def _chunk(text: str) -> Chunk:
    return Chunk(text=text)


def _provider(pin: Pin) -> _FakeProvider:
    key = str(pin.options.get("fake", ""))
    if key not in _models:
        raise ConfigError(
            f"pin {pin.route!r} names a fake model of another process; make its pin "
            "with `FakeModel(...).pin(...)` or `fake_pin(...)`"
        )
    return _FakeProvider(_models[key], pin)


def fake_pin(replies: object = "ok", *, route: str = "fake", **options: Any) -> Pin:
    """Return a pin of a new `FakeModel`; for when its calls do not matter.

    Args:
        replies: As for `FakeModel`.
        route: Name of the pin.
        **options: Other arguments of `FakeModel`.
    """
    return FakeModel(replies, **options).pin(route)
