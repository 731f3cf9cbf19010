"""`llmguard pin refresh --lifecycle`: when models end, by their providers' lists."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from pathlib import Path

from ..pins import Looked, edit_lock, look_up, need_some, read_lock, with_ends
from ._pin_io import emit
from ._text import counted

__all__ = ["ask_lifecycle"]


def ask_lifecycle(lock: Path, *, today: date, as_json: bool) -> None:
    """Ask, write what was learnt, and print a line per pin.

    Raises:
        ConfigError: No provider could be asked.
    """
    looked = look_up(read_lock(lock).pins.values())
    need_some(looked)
    after = edit_lock(lock, lambda old: with_ends(old, looked, today=today))
    lines = [_line(one) for one in looked]
    if not looked:
        lines = ["no pin has a provider with a list of models"]
    lines.append(
        f"{counted(len(after.pins), 'pin')}. Next: review `git diff {lock.name}`"
    )
    document = {"asked": [asdict(one) for one in looked], "pins": len(after.pins)}
    emit(document, "\n".join(lines), as_json=as_json)


def _line(one: Looked) -> str:
    if one.problem:
        return f"{one.pin} {one.model}: not asked, {one.problem}"
    if one.shutdown:
        return f"{one.pin} {one.model}: shuts down on {one.shutdown}"
    if not one.listed:
        return f"{one.pin} {one.model}: the provider does not list it (any more)"
    return f"{one.pin} {one.model}: no end announced"
