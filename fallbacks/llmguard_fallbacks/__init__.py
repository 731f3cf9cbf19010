"""Fallback tiers for llmguard: rules, a durable human queue, a local runtime."""

from __future__ import annotations

import sys
from importlib import import_module
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from . import local
    from .human import human
    from .outlines_tier import outlines
    from .queue._ticket import Ticket, get_ticket
    from .rules import rules  # pyright: ignore[reportGeneralTypeIssues] - shares its name with its module

__all__ = ["Ticket", "get_ticket", "human", "local", "outlines", "rules"]

# Public name -> (module, attribute); "" is the module itself. Resolved on first use,
# so that a chain of rules pays neither for SQLite nor for llama.cpp.
_LAZY: Final = MappingProxyType(
    {
        "Ticket": ("queue._ticket", "Ticket"),
        "get_ticket": ("queue._ticket", "get_ticket"),
        "human": ("human", "human"),
        "local": ("local", ""),
        "outlines": ("outlines_tier", "outlines"),
        "rules": ("rules", "rules"),
    }
)


class _Package(ModuleType):
    """Keeps `human` and `rules` functions after their modules were imported."""

    def __setattr__(self, name: str, value: object) -> None:
        # The import system binds a submodule on its package; without this, whoever
        # imports `llmguard_fallbacks.rules` first would turn `rules(...)` into a
        # module for everybody else.
        if isinstance(value, ModuleType) and _LAZY.get(name, ("", ""))[1]:
            return
        super().__setattr__(name, value)


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _LAZY[name]
    found: object = import_module(f".{module}", __name__)
    if attribute:
        found = getattr(found, attribute)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


sys.modules[__name__].__class__ = _Package
