"""The two versions of a run: from what a person wrote to a pin, and to a guard."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..adapters import known_providers, provider_for
from ..errors import ConfigError
from ..guard._trial import trial_guard
from ..pins import Pin, load_lock, resolve
from ._types import Arm, Case

if TYPE_CHECKING:
    from ..guard import Guard

__all__ = ["Version", "make_version", "pin_of"]

_PIN_ID: Final = re.compile(r"p-[0-9a-f]{10}")
_REPLAY: Final = "replay"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One arm of a run.

    Attributes:
        arm: Which one.
        pin: The version.
        guard: The guarded function with this version and nothing else.
        supply: Recorded answers per `prompt_id`; None when it can always be asked.
    """

    arm: Arm
    pin: Pin
    guard: Guard
    supply: Mapping[str, int] | None = None

    @property
    def replays(self) -> bool:
        """True when asking costs nothing and gives the recorded answers in order."""
        return self.pin.provider == _REPLAY

    def has(self, case: Case, turn: int) -> bool:
        """Tell whether it can answer a case for the `turn`-th time.

        A recorded answer is evidence once: read again it is the same draw.
        """
        if self.supply is None:
            return True
        key = str(case.inputs.get("prompt_id", case.id))
        return turn <= self.supply.get(key, turn)


def pin_of(given: str | Pin, guard: Guard) -> Pin:
    """Return the pin that a person named.

    Args:
        given: A pin; a route or the id of a pin in `models.lock`; `provider:model`,
            called as the function's own pin is; or `replay:FILE`, a recording.
        guard: The function that will be called with it.

    Raises:
        ConfigError: Nothing has that name, or the model's name is an alias.
        LockError: The route is not in `models.lock`.
    """
    if isinstance(given, Pin):
        return given
    provider, colon, model = given.partition(":")
    if colon and model:
        if provider == _REPLAY:
            return _recording(model, guard)
        return _declared(provider, model, guard)
    if _PIN_ID.fullmatch(given):
        found = load_lock().pins.get(given)
        if found is None:
            raise ConfigError(
                f"`models.lock` holds no pin {given!r}; `llmguard pin list` shows "
                "those it has"
            )
        return found
    return resolve(given)


def _recording(path: str, guard: Guard) -> Pin:
    """Return a pin that replays a file once, whatever it says was served."""
    return Pin(
        route=guard.pin_name or "candidate",
        provider=_REPLAY,
        model=str(Path(path).resolve()),
        version_class="immutable",
        options={"exhausted": "error"},
        expect_echo=("*",),
    )


def _declared(provider: str, model: str, guard: Guard) -> Pin:
    """Return a pin of another model, called as the function's own is."""
    if provider not in known_providers():
        raise ConfigError(
            f"{provider!r} is no provider known here ({', '.join(known_providers())}): "
            "write `provider:model`, a route, the id of a pin, or `replay:FILE`"
        )
    own = resolve(guard.pin) if isinstance(guard.pin, str) else guard.pin
    if own is not None and own.provider == provider:
        # Hashes, accepted echoes and dates are those of the other model.
        kept = {k: v for k, v in own.options.items() if not k.endswith("sha256")}
        made = replace(own, model=model, expect_echo=(), lifecycle={}, options=kept)
    else:
        made = Pin(route=guard.pin_name or "candidate", provider=provider, model=model)
    from ..pins import prepare

    return made if provider == "fake" else prepare(made)


def make_version(arm: Arm, pin: Pin, guard: Guard) -> Version:
    """Return one arm, ready to be asked.

    A recording starts again from its first answers.

    Raises:
        ConfigError: The function takes no other model, or the recording cannot be
            read.
    """
    if pin.provider != _REPLAY:
        return Version(arm=arm, pin=pin, guard=trial_guard(guard, pin))
    from ..adapters._records import read_records

    supply: Counter[str] | None = None
    if pin.options.get("select", "sequential") == "sequential":
        records = read_records(pin.path)
        supply = Counter({key: len(found) for key, found in records.items()})
    provider_for(pin).close()
    return Version(arm=arm, pin=pin, guard=trial_guard(guard, pin), supply=supply)
