"""Which file a pin means, and whether it is the one that was pinned."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

from llmguard.errors import ConfigError

__all__ = ["GROUP", "Weights", "find_weights", "sha256_of", "verify"]

GROUP: Final = "llmguard.models"
"""Entry points that return a manifest: model name -> {file, sha256, ...}."""
_PREFIX: Final = "embedded:"
_known: dict[tuple[str, int, int, int], str] = {}
_lock = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """A file of weights and the digest it must have.

    Attributes:
        path: The GGUF file.
        sha256: The digest that was pinned, hexadecimal; None when none was.
    """

    path: Path
    sha256: str | None


Manifest = Mapping[str, Mapping[str, Any]]


def installed() -> Manifest:
    """Return the models that installed packages ship, by name."""
    known: dict[str, Mapping[str, Any]] = {}
    for point in entry_points(group=GROUP):
        known.update(point.load()())
    return known


def find_weights(
    model: str,
    pinned: str | None,
    *,
    shipped: Callable[[], Manifest] = installed,
) -> Weights:
    """Return the file that a pin's `model` names.

    Args:
        model: A path, or `embedded:NAME` for a model that an installed package ships.
        pinned: The pin's `gguf_sha256`, with or without `sha256:`.
        shipped: Returns the models that packages ship.

    Raises:
        ConfigError: No such model or file, or two digests that disagree.
    """
    digest = pinned.removeprefix("sha256:").lower() if pinned else None
    if not model.startswith(_PREFIX):
        path = Path(model).expanduser().absolute()
        if not path.is_file():
            raise ConfigError(
                f"there are no weights at {model!r}; correct `model` in `models.lock`, "
                "or name a model that a package ships: `embedded:NAME`"
            )
        return Weights(path=path, sha256=digest)
    return _embedded(model.removeprefix(_PREFIX), digest, shipped())


def _embedded(name: str, digest: str | None, known: Manifest) -> Weights:
    if name not in known:
        listed = ", ".join(sorted(known)) or "none"
        raise ConfigError(
            f"there is no embedded model {name!r}; installed: {listed}; "
            "install the package that ships it: `pip install llmguard-models`"
        )
    shipped = str(known[name]["sha256"]).removeprefix("sha256:").lower()
    if digest not in (None, shipped):
        raise ConfigError(
            f"'embedded:{name}' is shipped with sha256 {shipped!r}, but the pin says "
            f"{digest!r}; pin the version you mean with `llmguard pin add`"
        )
    return Weights(path=Path(known[name]["file"]), sha256=shipped)


def sha256_of(path: Path) -> str:
    """Return the digest of a file, remembered until the file changes."""
    status = path.stat()
    key = (os.fspath(path), status.st_ino, status.st_size, status.st_mtime_ns)
    with _lock:
        if key not in _known:
            with path.open("rb") as stream:
                _known[key] = hashlib.file_digest(stream, "sha256").hexdigest()
        return _known[key]


def verify(weights: Weights) -> str:
    """Return the digest of the weights.

    Raises:
        ConfigError: It is not the pinned one; the file must not be loaded.
    """
    found = sha256_of(weights.path)
    if weights.sha256 not in (None, found):
        raise ConfigError(
            f"{str(weights.path)!r} has sha256 {found!r}, but the pin says "
            f"{weights.sha256!r}; restore the file, or pin the new one on purpose "
            "with `llmguard pin add`"
        )
    return found
