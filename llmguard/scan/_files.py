"""Walks a project's files."""

from __future__ import annotations

import os
import tokenize
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ._find import Finding, find

__all__ = ["SKIPPED", "Unread", "scan"]

SKIPPED: Final = frozenset(
    {
        "__pycache__",
        "build",
        "dist",
        "env",
        "node_modules",
        "site-packages",
        "venv",
    }
)
"""Folders that hold other people's code, besides those that begin with a dot."""

_WORDS: Final = (
    b"openai",
    b"anthropic",
    b"litellm",
    b"langchain",
    b"genai",
    b"generativeai",
    b"mistral",
    b"ollama",
    b"completions",
    b"responses",
    b"messages",
    b"generate_content",
    b"converse",
    b"invoke_model",
    b"groq",
)
_LARGEST: Final = 4 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A file that could not be looked at.

    Attributes:
        path: The file.
        reason: Why, one line.
    """

    path: str
    reason: str


def scan(
    roots: Iterable[str | os.PathLike[str]], *, exclude: Collection[str] = ()
) -> Iterator[Finding | Unread]:
    """Yield what should be changed in every Python file under `roots`.

    Args:
        roots: Files and folders.
        exclude: Glob patterns of paths to leave out, such as `tests/*`.

    Raises:
        FileNotFoundError: A root does not exist.
    """
    for root in roots:
        path = Path(root)
        if not path.exists():
            raise FileNotFoundError(os.fspath(root))
        for file in [path] if path.is_file() else _files(path):
            if not any(file.match(pattern) for pattern in exclude):
                yield from _one(file)


def _files(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            name
            for name in folders
            if name not in SKIPPED
            and not name.startswith(".")
            and not (Path(folder) / name / "pyvenv.cfg").exists()
        )
        for name in sorted(names):
            if name.endswith(".py"):
                yield Path(folder) / name


def _one(file: Path) -> Iterator[Finding | Unread]:
    try:
        if file.stat().st_size > _LARGEST:
            yield Unread(path=str(file), reason="larger than 4 MiB")
            return
        raw = file.read_bytes()
        if not any(word in raw for word in _WORDS):
            return
        with tokenize.open(file) as stream:  # honours the file's declared encoding
            source = stream.read()
        yield from find(source, str(file))
    except (OSError, SyntaxError, ValueError, RecursionError) as error:
        yield Unread(path=str(file), reason=f"{type(error).__name__}: {error}")
