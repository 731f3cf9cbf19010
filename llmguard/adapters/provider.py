"""What a provider is, and how a pin finds its own."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, runtime_checkable

from ..errors import ConfigError
from ..reply import Reply
from .messages import Chunk, Request

if TYPE_CHECKING:
    from ..pins import Pin

__all__ = [
    "Provider",
    "ProviderFactory",
    "close_providers",
    "known_providers",
    "provider_for",
    "ready_provider",
    "register_provider",
]

GROUP: Final = "llmguard.providers"
"""Entry-point group: each value is a callable that takes a pin, returns a provider."""


@runtime_checkable
class Provider(Protocol):
    """One pinned model that can be called.

    Failures are raised: SDK errors as they are (`classify` reads them), or a
    `CallError`. Providers are shared by threads and by event loops.

    A provider may say `bounded = True`: from then on `complete` ends by itself within
    `request.timeout`, whatever the other side does. Sync bodies that wait for nothing
    else then run in the caller's thread. One that may hang says nothing.
    """

    @property
    def remote(self) -> bool:
        """True when calls leave the machine, so that `refuse_remote()` applies."""
        ...

    def complete(self, request: Request) -> Reply:
        """Answer one request."""
        ...

    async def acomplete(self, request: Request) -> Reply:
        """Answer one request without blocking the event loop."""
        ...

    def stream(self, request: Request) -> Iterator[Chunk]:
        """Answer piece by piece; the last chunk carries the whole reply."""
        ...

    def astream(self, request: Request) -> AsyncIterator[Chunk]:
        """Answer piece by piece without blocking the event loop."""
        ...

    def client(self, timeout: float) -> Any:
        """Return the raw client, limited to `timeout` seconds from now."""
        ...

    def async_client(self, timeout: float) -> Any:
        """Return the raw client for the running event loop."""
        ...

    def close(self) -> None:
        """Release connections and processes; the next call opens new ones."""
        ...


ProviderFactory: TypeAlias = "Callable[[Pin], Provider]"
"""Makes the provider of a pin; what `register_provider` and entry points hold."""


def _openai(pin: Pin) -> Provider:
    from .openai_provider import OpenAIProvider

    return OpenAIProvider(pin)


def _replay(pin: Pin) -> Provider:
    from .replay import ReplayProvider

    return ReplayProvider(pin)


_BUILT_IN: Final[Mapping[str, ProviderFactory]] = {"openai": _openai, "replay": _replay}


_OURS: Final = frozenset({"llama.cpp"})
"""Named in the table, and answered by a package of ours that is not installed."""


class _Registry:
    """Factories by name and providers by pin, for one process."""

    def __init__(self) -> None:
        self.factories: dict[str, ProviderFactory] = {}
        self.forget()

    def forget(self) -> None:
        """Drop every provider without closing it, as a forked child must."""
        self.lock = threading.RLock()
        self.providers: dict[str, Provider] = {}
        self.names: dict[str, str] = {}

    def take(self, name: str | None = None) -> list[Provider]:
        """Remove and return the providers of one name, or all of them."""
        with self.lock:
            ids = [i for i, n in self.names.items() if name is None or n == name]
            for pin_id in ids:
                del self.names[pin_id]
            return [self.providers.pop(pin_id) for pin_id in ids]


_registry = _Registry()


def provider_for(pin: Pin) -> Provider:
    """Return the provider of a pin; the same one for the same pin, in this process.

    Looked up by `pin.provider`: first what `register_provider` was given, then the
    built-in "openai" and "replay", then entry points of the group "llmguard.providers".
    A provider that is only known by the names of its models is called through the
    function's own client.

    Raises:
        ConfigError: No provider has that name, or the pin's options are wrong.
    """
    found = _registry.providers.get(pin.id)
    if found is not None:
        return found
    factory = _factory(pin)
    with _registry.lock:
        if pin.id not in _registry.providers:
            _registry.providers[pin.id] = factory(pin)
            _registry.names[pin.id] = pin.provider
        return _registry.providers[pin.id]


def ready_provider(pin: Pin) -> Provider | None:
    """Return the provider of a pin if it was made already; nothing is made."""
    return _registry.providers.get(pin.id)


def register_provider(name: str, factory: ProviderFactory) -> None:
    """Register a provider in this process, or replace one of the same name.

    Args:
        name: What pins call it.
        factory: Takes a pin, returns its provider.

    Raises:
        ConfigError: The name is empty, or `factory` cannot be called.
    """
    if not name or not callable(factory):
        raise ConfigError(
            f"`register_provider` takes a name and a callable, not {name!r} and "
            f"{factory!r}"
        )
    _registry.factories[name] = factory
    for provider in _registry.take(name):
        provider.close()


def known_providers() -> tuple[str, ...]:
    """Return the names that a pin's `provider` may have here, sorted."""
    from importlib.metadata import entry_points  # 10 ms that most programs never need

    names = {*_registry.factories, *_BUILT_IN}
    return tuple(sorted(names.union(e.name for e in entry_points(group=GROUP))))


def close_providers(name: str | None = None) -> None:
    """Close this process's providers; done by itself at exit.

    Args:
        name: Only those of one kind, such as `llama.cpp`; None for all.
    """
    for provider in _registry.take(name):
        provider.close()


def _factory(pin: Pin) -> ProviderFactory:
    found = _registry.factories.get(pin.provider) or _BUILT_IN.get(pin.provider)
    if found is not None:
        return found
    from importlib.metadata import entry_points

    for entry in entry_points(group=GROUP, name=pin.provider):
        factory: ProviderFactory = entry.load()
        return factory
    from ..pins import naming

    if pin.provider in naming().rules and pin.provider not in _OURS:
        from ._own_client import OwnClient

        return OwnClient
    raise ConfigError(_unknown(pin))


def _unknown(pin: Pin) -> str:
    from difflib import get_close_matches

    known = known_providers()
    close = get_close_matches(pin.provider, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    if pin.provider in {"llama.cpp", "llama_cpp", "llamacpp", "local"}:
        hint = "; `llama.cpp` needs `pip install 'llmguard-toolkit[local]'`"
    return (
        f"pin {pin.route!r} names the unknown `provider` {pin.provider!r}; known here: "
        f"{', '.join(known)}{hint}. Edit `models.lock`, install the package that "
        f"brings it, or call `register_provider({pin.provider!r}, factory)`"
    )


atexit.register(close_providers)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_registry.forget)
