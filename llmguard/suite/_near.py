"""A hint at the name that was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["did_you_mean", "quoted"]


def quoted(names: Iterable[str]) -> str:
    """Write names in backticks, one after the other."""
    return ", ".join(f"`{name}`" for name in names)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "did you mean ...?" for a near name, else the names there are."""
    names = [*known]
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"did you mean `{near[0]}`?"
    return f"known: {quoted(names)}" if names else "there is none"
