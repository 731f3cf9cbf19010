"""Install the built wheels into a fresh environment and start what they ship.

Run by `nox -s build`: `python tests/check_wheels.py dist`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path


def _one(dist: Path, prefix: str) -> Path:
    found = sorted(dist.glob(f"{prefix}-*.whl"))
    if len(found) != 1:
        sys.exit(f"expected one {prefix} wheel in {dist}, found {found}")
    return found[0]


def _require(wheel: Path, *suffixes: str) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for suffix in suffixes:
        if not any(name.endswith(suffix) for name in names):
            sys.exit(f"{wheel.name} lacks {suffix}")


def main(dist: Path) -> None:
    """Check contents, then imports and the command, without the source tree."""
    core = _one(dist, "llmguard_toolkit")
    fallbacks = _one(dist, "llmguard_fallbacks")
    models = _one(dist, "llmguard_models")
    _require(core, "py.typed", "naming.toml", ".sql", "licenses/LICENSE")
    _require(fallbacks, "py.typed", "console.css", "htmx.LICENSE", "base.html")
    _require(models, "py.typed", ".gguf", "demo_tickets.jsonl")
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder, "bin", "python"))
        wheels = [str(core), str(fallbacks), str(models)]
        subprocess.run([python, "-m", "pip", "install", "-q", *wheels], check=True)
        code = "import llmguard, llmguard_fallbacks as f, llmguard_models as m; f.rules"
        subprocess.run([python, "-c", code], check=True, cwd=folder)
        command = str(Path(folder, "bin", "llmguard"))
        for verb in (["--version"], ["--help"], ["pin", "--help"], ["queue", "--help"]):
            subprocess.run([command, *verb], check=True, cwd=folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
