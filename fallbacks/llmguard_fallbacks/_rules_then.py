"""What a rule answers: a value whose text may use what its condition captured."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, cast

from llmguard.errors import ConfigError

from ._rules_conditions import Captures

__all__ = ["TemplateError", "check_template", "fill", "is_template"]

_SLOT: Final = re.compile(r"\{\{|\}\}|\{(?P<name>[A-Za-z_]\w*)(?::(?P<how>\w+))?\}")
_HOW: Final[Mapping[str, Callable[[str], object]]] = {
    "int": int,
    "float": float,
    "upper": str.upper,
    "lower": str.lower,
    "strip": str.strip,
}


class TemplateError(Exception):
    """A capture could not be converted, so the rule does not fit this call."""


def is_template(value: object) -> bool:
    """Tell whether any text of the value uses a capture."""
    return any(True for _ in _slots(value))


def check_template(value: object, names: frozenset[str], *, rule: str) -> None:
    """Refuse captures that the rule's condition does not make.

    Raises:
        ConfigError: An unknown capture or conversion.
    """
    for name, how in _slots(value):
        if name not in names:
            known = ", ".join(sorted(names)) or "none"
            raise ConfigError(
                f"rule {rule!r} uses `{{{name}}}`, which its condition does not always "
                f"capture (captures: {known}); name a group `(?P<{name}>...)`, or "
                "write `{{` for a brace"
            )
        if how and how not in _HOW:
            raise ConfigError(
                f"rule {rule!r} uses `{{{name}:{how}}}`; conversions are "
                f"{', '.join(sorted(_HOW))}"
            )


def fill(value: object, captures: Captures) -> object:
    """Return a fresh copy of the value with its captures put in.

    A text that is one capture and nothing else becomes what was captured, of its own
    type; None when an optional group took no part.

    Raises:
        TemplateError: A capture cannot be converted.
    """
    if isinstance(value, str):
        return _fill_text(value, captures)
    if isinstance(value, Mapping):
        items = cast("Mapping[str, object]", value).items()
        return {key: fill(item, captures) for key, item in items}
    if isinstance(value, (list, tuple)):
        return [fill(item, captures) for item in cast("Sequence[object]", value)]
    return value


def _fill_text(text: str, captures: Captures) -> object:
    whole = _SLOT.fullmatch(text)
    if whole and whole["name"]:
        return _converted(whole, captures)
    return _SLOT.sub(lambda slot: _as_text(slot, captures), text)


def _as_text(slot: re.Match[str], captures: Captures) -> str:
    if not slot["name"]:
        return slot[0][0]
    found = _converted(slot, captures)
    return "" if found is None else str(found)


def _converted(slot: re.Match[str], captures: Captures) -> object:
    found = captures[slot["name"]]
    if found is None or not slot["how"]:
        return found
    try:
        return _HOW[slot["how"]](str(found))
    except ValueError as error:
        raise TemplateError(f"`{slot[0]}`: {error}") from error


def _slots(value: object) -> Iterator[tuple[str, str | None]]:
    """Yield (name, conversion) of every capture that the value uses."""
    if isinstance(value, str):
        for slot in _SLOT.finditer(value):
            if slot["name"]:
                yield slot["name"], slot["how"]
    elif isinstance(value, Mapping):
        for item in cast("Mapping[str, object]", value).values():
            yield from _slots(item)
    elif isinstance(value, (list, tuple)):
        for item in cast("Sequence[object]", value):
            yield from _slots(item)
