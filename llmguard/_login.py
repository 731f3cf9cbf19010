"""Who is logged in, also where the system has no name for it."""

from __future__ import annotations

import getpass
import os

__all__ = ["login"]


def login() -> str:
    """Return the user's name; `uid-N` for one that the system does not know.

    Containers run under made-up numbers, and what is done in a hurry must not end there
    because nobody gave them a name.
    """
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return f"uid-{os.getuid()}" if hasattr(os, "getuid") else "unknown"
