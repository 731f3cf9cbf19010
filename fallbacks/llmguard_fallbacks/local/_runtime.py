"""Which build of llama.cpp runs a model: compiled here, or a ready-made wheel.

Both are the same C functions to us. What differs is how they come to a machine:
llama-cpp-python is compiled when it is installed, xllamacpp is a binary wheel.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Final

from llmguard.errors import ConfigError

from ._imports import install_line, load

__all__ = ["RUNTIMES", "check_runtime", "choose_runtime", "load_runtime"]

RUNTIMES: Final = {"llama-cpp-python": "llama_cpp", "xllamacpp": "xllamacpp"}
"""Distribution -> module; the first one that is installed is the default."""
_ERROR: Final = 4
"""`GGML_LOG_LEVEL_ERROR` of ggml.h: the rest of its log is of no use to callers."""
_loaded: dict[str, Any] = {}
_kept: list[Any] = []
"""C callbacks that must outlive the call that registered them."""


def check_runtime(name: str) -> str:
    """Return the name of a runtime; `""` stands for the first that is installed.

    Raises:
        ConfigError: There is no such runtime.
    """
    if name and name not in RUNTIMES:
        raise ConfigError(
            f"`runtime` must be one of {', '.join(map(repr, RUNTIMES))}, not {name!r}; "
            "correct the pin's options in `models.lock`, or leave it out"
        )
    return name


def choose_runtime(
    wanted: str = "", *, installed: Callable[[str], object] = find_spec
) -> str:
    """Return the runtime to use; a pinned one is never exchanged for another.

    Args:
        wanted: The pin's `runtime`; `""` for the first that is installed.
        installed: Tells by its module whether a runtime is there.

    Raises:
        ConfigError: It is not installed, or there is no such runtime.
    """
    check_runtime(wanted)
    for name, module in RUNTIMES.items():
        if wanted in ("", name) and installed(module):
            return name
    missing = f"{wanted} is not" if wanted else f"none of {', '.join(RUNTIMES)} is"
    raise ConfigError(f"{missing} installed: {install_line(wanted)}")


def load_runtime(name: str) -> Any:
    """Return the C functions of a runtime, with its log kept to errors.

    Raises:
        ConfigError: It is not installed, or does not load on this machine.
    """
    chosen = choose_runtime(name)
    if chosen not in _loaded:
        _loaded[chosen] = _start(_functions(chosen))
    return _loaded[chosen]


def _functions(name: str) -> Any:
    if name == "xllamacpp":
        from ._xllama import bind

        return bind(load("xllamacpp.xllamacpp").__file__)
    return load("llama_cpp")


def _start(api: Any) -> Any:
    callback = api.llama_log_callback(_log)
    _kept.append(callback)
    api.llama_log_set(callback, ctypes.c_void_p(0))
    api.llama_backend_init()
    return api


def _log(level: int, text: bytes, _user: object) -> None:
    if level == _ERROR:
        sys.stderr.write(text.decode("utf-8", errors="replace"))
