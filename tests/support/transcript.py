"""Pages that are run: files they give, commands they show, output they promise.

A fence after `<!-- file: NAME -->` is a file. In a `console` fence every line that
begins with `$ ` is a command, and what follows is its output, in which `...` stands for
any text. A fence after `<!-- not run: REASON -->` is left out, one after
`<!-- incident: FAULT -->` belongs to a scene.
"""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(
    r"(?:<!-- (?P<mark>file|not run|incident): (?P<what>[^>]+?) -->\n)?"
    r"^```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command of a page, with what the page says it prints."""

    line: str
    printed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of a page."""

    name: str
    text: str


def steps(page: Path) -> Iterator[Command | File]:
    """Yield what a reader of the page writes and types, in order."""
    for fence in _FENCE.finditer(page.read_text()):
        if fence["mark"] == "file":
            yield File(name=fence["what"], text=fence["text"])
        elif fence["language"] == "console" and not fence["mark"]:
            yield from _commands(fence["text"])


def scenes(page: Path) -> Iterator[tuple[str, list[Command]]]:
    """Yield the incidents of a page, each with the commands shown for it."""
    for fence in _FENCE.finditer(page.read_text()):
        if fence["mark"] == "incident":
            yield fence["what"], list(_commands(fence["text"]))


def follow(page: Path, folder: Path, **variables: str) -> list[str]:
    """Do in a folder what a page says, and return the commands that were run.

    Every command runs in a shell of its own, with this interpreter's environment first
    in its path; `variables` are set for all of them.

    Raises:
        AssertionError: A command printed something else than the page says.
    """
    done: list[str] = []
    for step in steps(page):
        if isinstance(step, File):
            folder.joinpath(step.name).parent.mkdir(parents=True, exist_ok=True)
            folder.joinpath(step.name).write_text(step.text)
        else:
            compare(step, folder, **variables)
            done.append(step.line)
    return done


def compare(command: Command, folder: Path, **variables: str) -> None:
    """Run one command in a folder.

    Raises:
        AssertionError: It printed something else than the page says.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    ran = subprocess.run(
        ["sh", "-c", command.line],
        cwd=folder,
        env={**os.environ, "PATH": path, "COLUMNS": "200", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=240,
    )
    told = f"$ {command.line}\n{command.printed}\n--- printed:\n{ran.stdout}"
    checker = doctest.OutputChecker()
    assert checker.check_output(command.printed, ran.stdout, _FLAGS), told


def _commands(text: str) -> Iterator[Command]:
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, _, printed = part.replace("\\\n", "").partition("\n")
        yield Command(line=line.partition("  #")[0].strip(), printed=printed)
