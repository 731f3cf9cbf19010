"""Reading answers out of JSON Lines, gzipped or not, of any size."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, cast

from ..._nested import read_json
from ...errors import ConfigError
from ._extract import prompt_text, value_text

__all__ = ["Logged", "read_answers", "read_prompts"]

_ANSWERS: Final = ("output", "value", "answer", "text", "response", "calls")
_PROMPTS: Final = ("prompt", "question", "inputs", "input")
_IDS: Final = ("prompt_id", "id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """One answer of a log.

    Attributes:
        text: What was written.
        value: The structured answer, when the log has one or the text is JSON.
        prompt: What it answers, when the log says.
        key: Its `prompt_id` or `id`; empty without one.
    """

    text: str
    value: object = None
    prompt: str | None = None
    key: str = ""


def read_answers(
    path: str | Path, *, field: str = "", prompts: Mapping[str, str] | None = None
) -> Iterator[Logged]:
    """Yield the answers of a file, one JSON object a line.

    Args:
        path: `.jsonl`, or `.jsonl.gz`.
        field: Where the answer is; by default the first of `output`, `value`,
            `answer`, `text`, `response` and `calls` that is not null.
        prompts: Prompts by `prompt_id`, for logs that do not repeat them.

    Raises:
        ConfigError: The file cannot be read, or a line is no answer; it is named.
    """
    for number, line in _lines(path):
        given = line.get(field) if field else _first(line, _ANSWERS)
        if given is None:
            wanted = f"`{field}`" if field else ", ".join(f"`{n}`" for n in _ANSWERS)
            raise ConfigError(
                f"{str(path)!r}, line {number}: no answer in {sorted(line)}; it is "
                f"looked for in {wanted} (see `--field`)"
            )
        key = str(_first(line, _IDS) or "")
        own = _first(line, _PROMPTS)
        prompt = _prompt(own) if own is not None else (prompts or {}).get(key)
        text = value_text(given)
        yield Logged(text=text, value=_structured(given), prompt=prompt, key=key)


def read_prompts(path: str | Path) -> Mapping[str, str]:
    """Return prompts by `prompt_id` or `id`, from a file of one object a line.

    Raises:
        ConfigError: The file cannot be read, or a line has no id or no prompt.
    """
    found: dict[str, str] = {}
    for number, line in _lines(path):
        key, prompt = _first(line, _IDS), _first(line, _PROMPTS)
        if key is None or prompt is None:
            raise ConfigError(
                f"{str(path)!r}, line {number}: an id in {_IDS} and a prompt in "
                f"{_PROMPTS} are needed, not only {sorted(line)}"
            )
        found[str(key)] = _prompt(prompt)
    return found


def _lines(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with _open(Path(path)) as file:
            for number, text in enumerate(file, start=1):
                if text.strip():
                    yield number, _object(text, path, number)
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ConfigError(f"{str(path)!r} cannot be read: {error}") from error


def _open(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8")
    return path.open(encoding="utf-8")


def _object(text: str, path: str | Path, number: int) -> dict[str, Any]:
    try:
        read: object = read_json(text)
    except ValueError as error:
        raise ConfigError(f"{str(path)!r}, line {number}: {error}") from error
    if not isinstance(read, dict):
        raise ConfigError(
            f"{str(path)!r}, line {number}: {text[:60]!r} is no JSON object"
        )
    return cast("dict[str, Any]", read)


def _first(line: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((line[name] for name in names if line.get(name) is not None), None)


def _prompt(given: object) -> str:
    if isinstance(given, dict):
        return prompt_text(cast("dict[str, object]", given))
    return value_text(given)


def _structured(given: object) -> object:
    """Return the value behind an answer: itself, or what its text parses to."""
    if not isinstance(given, str):
        return given
    if not given.lstrip().startswith(("{", "[")):
        return None
    try:
        return cast("object", read_json(given))
    except (ValueError, RecursionError):
        return None
