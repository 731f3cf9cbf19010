"""Rules about the tree itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def _tracked(*patterns: str) -> list[Path]:
    done = subprocess.run(
        ["git", "ls-files", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / line for line in done.stdout.splitlines() if (ROOT / line).exists()]


def test_no_module_is_over_400_lines() -> None:
    """A module that has outgrown one idea is split."""
    sizes = {p: len(p.read_text().splitlines()) for p in _tracked("*.py")}
    assert sizes
    assert {} == {str(p): n for p, n in sizes.items() if n > 400}


def test_the_readme_fits_120_lines() -> None:
    """The README stays one read."""
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def test_test_files_have_unique_names() -> None:
    """Two test files of one name would shadow each other in reports."""
    names = [p.name for p in _tracked("tests/**/test_*.py", "tests/test_*.py")]
    assert sorted(set(names)) == sorted(names)


def test_versions_agree() -> None:
    """The fallbacks pin exactly this core, and the package says its own version."""
    import tomllib

    import llmguard

    core = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lower = tomllib.loads((ROOT / "fallbacks/pyproject.toml").read_text())["project"]
    assert core["version"] == llmguard.__version__
    assert f"llmguard-toolkit=={core['version']}" in lower["dependencies"]
    assert core["version"] == lower["version"]
