"""Optional and heavy packages, imported where they are needed and typed `Any`."""

from __future__ import annotations

import importlib
from typing import Any, Final

from llmguard.errors import ConfigError

__all__ = ["INSTALL", "load"]

INSTALL: Final = "pip install 'llmguard-fallbacks[llamacpp]'"


def load(name: str) -> Any:
    """Import a module of the local runtime's packages.

    Raises:
        ConfigError: It is not installed, or does not load on this machine.
    """
    try:
        return importlib.import_module(name)
    except (ImportError, OSError, RuntimeError) as error:
        raise ConfigError(
            f"the local runtime needs `{name.partition('.')[0]}`: {error}; install it "
            f"with `{INSTALL}` (llama-cpp-python compiles: a C/C++ compiler is needed)"
        ) from error
