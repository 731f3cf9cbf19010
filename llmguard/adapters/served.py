"""Compare what a pin names with what the provider says it served."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Literal, TypeAlias

from ..errors import LLMGuardWarning
from ..reply import Reply

if TYPE_CHECKING:
    from ..pins import Pin

__all__ = ["Served", "verify_served"]

Served: TypeAlias = Literal["match", "mismatch", "unverifiable"]
"""Whether the provider served the pin; `unverifiable` when its echo says nothing."""


def verify_served(pin: Pin, reply: Reply) -> Served:
    """Tell whether a reply came from the version its pin names.

    The served model id must be one of `pin.expect_echo`, or the model id itself where
    that is empty. `("*",)` declares that the provider's echo says nothing (a gateway
    that rewrites it, an API that sends none): "unverifiable".

    Where the pin's option `fingerprints` lists accepted system fingerprints, another
    one is a mismatch under `fingerprint_policy = "block"` (a missing one is
    unverifiable) and a warning under "warn"; "record" ignores it.
    """
    echoed = reply.served_model
    if not echoed or "*" in pin.expect_echo:
        served: Served = "unverifiable"
    else:
        served = "match" if echoed in (pin.expect_echo or (pin.model,)) else "mismatch"
    if served == "mismatch" or pin.fingerprint_policy == "record":
        return served
    accepted = _fingerprints(pin)
    if not accepted or reply.fingerprint in accepted:
        return served
    if pin.fingerprint_policy == "block":
        return "unverifiable" if reply.fingerprint is None else "mismatch"
    warnings.warn(
        f"pin {pin.route!r}: fingerprint {reply.fingerprint!r} is not one of "
        f"{sorted(accepted)}; the provider changed something below the same name",
        LLMGuardWarning,
        stacklevel=2,
    )
    return served


def _fingerprints(pin: Pin) -> frozenset[str]:
    found = pin.options.get("fingerprints", ())
    names = [found] if isinstance(found, str) else found
    if not isinstance(names, list | tuple):
        return frozenset()
    return frozenset(name for name in names if isinstance(name, str))
