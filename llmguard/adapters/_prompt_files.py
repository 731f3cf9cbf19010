"""Prompt files: TOML, or text with TOML front matter."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from .._dataclass import dataclass
from .._nested import read_toml
from ..errors import ConfigError
from ._duck import get_list, get_text

__all__ = ["PromptFile", "parse_prompt"]

_KEYS: Final = frozenset({"system", "user", "messages", "engine"})
_FENCE: Final = "+++"


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFile:
    """What a prompt file says.

    Attributes:
        messages: Role and template of each message after the system one.
        system: Template of the system message; None for none.
        engine: Name of the template engine.
    """

    messages: list[tuple[str, str]]
    system: str | None
    engine: str


def parse_prompt(text: str, *, toml: bool, path: Path) -> PromptFile:
    """Return the contents of a prompt file.

    Raises:
        ConfigError: The TOML does not parse, or holds something unknown.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    body: str | None = None
    if not toml:
        text, body = _split(text, path)
    try:
        table = read_toml(text)
    except ValueError as exc:
        raise ConfigError(f"prompt file {str(path)!r}: {exc}") from exc
    unknown = sorted(table.keys() - _KEYS)
    if unknown or (body is not None and "user" in table):
        what = f"`{unknown[0]}` is unknown" if unknown else "`user` is the text below"
        raise ConfigError(
            f"prompt file {str(path)!r}: {what}; use {', '.join(sorted(_KEYS))}"
        )
    user = _text(table, "user", path) if body is None else body
    messages = _messages(table, path) if "messages" in table else []
    return PromptFile(
        messages=[*messages, *([] if user is None else [("user", user)])],
        system=_text(table, "system", path),
        engine=_text(table, "engine", path) or "format",
    )


def _split(text: str, path: Path) -> tuple[str, str]:
    """Return the front matter (empty without any) and the body."""
    # The line end that editors put at the end of a file is no part of the prompt.
    text = text.removesuffix("\n")
    if not text.startswith(f"{_FENCE}\n"):
        return "", text
    front, fence, body = text.removeprefix(_FENCE).partition(f"\n{_FENCE}\n")
    if not fence:
        raise ConfigError(
            f"prompt file {str(path)!r}: its front matter has no closing "
            f"{_FENCE!r} line"
        )
    return front, body


def _text(table: dict[str, Any], key: str, path: Path) -> str | None:
    value = table.get(key)
    if value is None or isinstance(value, str):
        return value
    raise ConfigError(f"prompt file {str(path)!r}: `{key}` must be text, not {value!r}")


def _messages(front: dict[str, Any], path: Path) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for table in get_list(front, "messages") or [None]:
        role, content = get_text(table, "role"), get_text(table, "content")
        if role is None or content is None:
            raise ConfigError(
                f"prompt file {str(path)!r}: each `[[messages]]` table needs `role` "
                f"and `content` as text"
            )
        found.append((role, content))
    return found
