"""What a server serves: routes of the lock, embedded models, GGUF files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from llmguard.errors import ConfigError
from llmguard.pins import Pin, load_lock

if TYPE_CHECKING:
    from ..local._provider import LocalProvider

__all__ = ["Served", "serve_pin", "serve_targets"]

_EMBEDDED: Final = "embedded:"
_PROVIDER: Final = "llama.cpp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One model under the name that clients use.

    Attributes:
        name: What clients send as `model`.
        pin: What runs.
        provider: Its workers.
    """

    name: str
    pin: Pin
    provider: LocalProvider

    @property
    def places(self) -> int:
        """Requests that its workers take at a time: slots and queue."""
        options = self.provider.options
        return options.slots + options.places


def serve_pin(pin: Pin, *, name: str = "") -> Served:
    """Return a pin as a served model.

    Args:
        pin: A pin of the provider `llama.cpp`.
        name: What clients call it; the route by default.

    Raises:
        ConfigError: Another provider, a wrong option, or weights that are not there.
    """
    from ..local import provider

    if pin.provider != _PROVIDER:
        raise ConfigError(
            f"route {pin.route!r} runs on {pin.provider!r}; `llmguard serve` serves "
            f"models of this machine, `provider = {_PROVIDER!r}`"
        )
    found = provider(pin)
    _ = found.weights  # a missing file is news for the start, not for the first call
    return Served(name=name or pin.route, pin=pin, provider=found)


def serve_targets(
    targets: Iterable[str],
    *,
    lock: Path | None = None,
    options: Mapping[str, Any] | None = None,
) -> list[Served]:
    """Return the models that a command line names.

    Args:
        targets: Each a route of the lock, `embedded:NAME`, or a path that ends in
            `.gguf`; `ALIAS=TARGET` serves it under another name.
        lock: The lock file; None for the configured one.
        options: Options for models that are no routes; routes have their own.

    Raises:
        ConfigError: No such route or model, or two of the same name.
    """
    found: dict[str, Served] = {}
    for target in targets:
        alias, _, rest = target.rpartition("=")
        pin = _pin(rest, lock, options or {})
        served = serve_pin(pin, name=alias)
        if served.name in found:
            raise ConfigError(
                f"two models are to be served as {served.name!r}; give one of them "
                f"another name: `OTHER={rest}`"
            )
        found[served.name] = served
    return list(found.values())


def _pin(target: str, lock: Path | None, options: Mapping[str, Any]) -> Pin:
    is_file = target.lower().endswith(".gguf")
    if not is_file and not target.startswith(_EMBEDDED):
        return load_lock(lock).resolve(target)
    name = Path(target).stem if is_file else target.removeprefix(_EMBEDDED)
    return Pin(
        route=re.sub(r"[^A-Za-z0-9_.-]", "-", name),
        provider=_PROVIDER,
        model=str(Path(target).expanduser().absolute()) if is_file else target,
        options=options,
    )
