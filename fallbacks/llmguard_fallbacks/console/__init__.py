"""The console: where people answer tickets, and where on-call sees what runs.

`console_app` is a Starlette application that stands alone or is mounted under any
path of another one; `llmguard console` runs it. Needs the extra `console`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._settings import ConsoleSettings

if TYPE_CHECKING:
    from ._app import console_app

__all__ = ["INSTALL", "ConsoleSettings", "console_app"]

INSTALL = "pip install 'llmguard-fallbacks[console]'"
"""The command that installs what the console needs."""


def __getattr__(name: str) -> Any:
    # Late, so that settings can be read, and errors said, without Starlette.
    if name != "console_app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from llmguard.errors import ConfigError

    try:
        from ._app import console_app
    except ImportError as error:
        raise ConfigError(f"{error.name} is not installed: `{INSTALL}`") from error
    return console_app
