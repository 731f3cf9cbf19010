"""A detector by the name that people type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final, get_args

from ..errors import ConfigError
from ._detector import Detector
from ._format import format_features
from ._language import language
from ._refusal import refusal
from ._sentiment import sentiment
from ._tone import Dimension, tone

__all__ = ["NAMES", "find_detector"]

_MAKERS: Final[Mapping[str, Callable[[], Detector]]] = {
    "refusal": refusal,
    "refusal-model": lambda: refusal("model"),
    "sentiment": sentiment,
    "tone": tone,
    "language": language,
    "format": format_features,
}
NAMES: Final = (*_MAKERS, *(f"tone-{each}" for each in get_args(Dimension)))


def find_detector(name: str) -> Detector:
    """Return a detector by name, or yours by `module:attribute`.

    Args:
        name: One of `NAMES`, or `module:attribute` of a `Detector`.

    Raises:
        ConfigError: No such name, module or attribute, or it is no `Detector`.
    """
    if ":" in name:
        return _yours(name)
    for dimension in get_args(Dimension):
        if name == f"tone-{dimension}":
            return tone(dimension)
    if name not in _MAKERS:
        raise ConfigError(
            f"no detector {name!r}; there are {', '.join(NAMES)}, and yours as "
            "`module:attribute`"
        )
    return _MAKERS[name]()


def _yours(name: str) -> Detector:
    module, _, attribute = name.partition(":")
    try:
        found: Any = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"the detector {name!r} cannot be imported: {error}"
        ) from error
    if not isinstance(found, Detector):
        raise ConfigError(
            f"{name!r} is {found!r}; it must be a `llmguard.detectors.Detector`"
        )
    return found
