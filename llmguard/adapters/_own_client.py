"""Pins of providers that functions call through a client of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from ..errors import ConfigError
from ..reply import Reply
from .messages import Chunk, Request

if TYPE_CHECKING:
    from ..pins import Pin

__all__ = ["OwnClient"]


class OwnClient:
    """A provider whose names we know and whose API we do not speak.

    The guarded function asks its own SDK for `model.id`, within `model.remaining`
    seconds, and returns what the SDK returned.
    """

    remote = True

    def __init__(self, pin: Pin) -> None:
        self._pin = pin

    def complete(self, request: Request) -> Reply:
        """Refuse: there is no API to call."""
        self._refuse(request)

    async def acomplete(self, request: Request) -> Reply:
        """Refuse: there is no API to call."""
        self._refuse(request)

    def stream(self, request: Request) -> Iterator[Chunk]:
        """Refuse: there is no API to call."""
        self._refuse(request)

    def astream(self, request: Request) -> AsyncIterator[Chunk]:
        """Refuse: there is no API to call."""
        self._refuse(request)

    def client(self, timeout: float) -> Any:
        """Refuse: the function brings its own."""
        self._refuse(timeout)

    def async_client(self, timeout: float) -> Any:
        """Refuse: the function brings its own."""
        self._refuse(timeout)

    def close(self) -> None:
        """Do nothing: there is nothing open."""

    def _refuse(self, _: object) -> NoReturn:
        name = self._pin.provider
        raise ConfigError(
            f"provider {name!r} of pin {self._pin.route!r} has no adapter here: call "
            "your own SDK with `model.id` and `timeout=model.remaining`, and return "
            f"what it returned; or `register_provider({name!r}, factory)`; or give "
            "the pin an OpenAI-compatible `endpoint` and `provider = 'openai'`"
        )
