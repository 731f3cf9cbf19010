"""Optional and heavy packages, imported where they are needed and typed `Any`."""

from __future__ import annotations

import importlib
from typing import Any, Final

from llmguard.errors import ConfigError

__all__ = ["install_line", "load"]

_INSTALL: Final = {
    "llama-cpp-python": "`pip install 'llmguard-fallbacks[llamacpp]'`",
    "xllamacpp": "`pip install 'llmguard-fallbacks[xllamacpp]'`",
}


def install_line(runtime: str = "") -> str:
    """Return how to install a runtime; `""` for either."""
    if runtime:
        return _INSTALL[runtime]
    compiled, ready = _INSTALL.values()
    return f"{compiled} (a C/C++ compiler is needed) or {ready} (ready-made)"


def load(name: str) -> Any:
    """Import a module of the local runtime's packages.

    Raises:
        ConfigError: It is not installed, or does not load on this machine.
    """
    try:
        return importlib.import_module(name)
    except (ImportError, OSError, RuntimeError) as error:
        raise ConfigError(
            f"the local runtime needs `{name.partition('.')[0]}`: {error}; "
            f"install it with {install_line()}"
        ) from error
