"""The page on security names tests that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "security.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def _functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


def test_every_named_test_exists() -> None:
    """A row without its test would be a promise."""
    named = NAMED.findall(PAGE.read_text(encoding="utf-8"))
    assert len(named) > 30
    for file, function in named:
        path = ROOT / file
        assert path.is_file(), file
        assert not function or function in _functions(path), f"{file}::{function}"


def test_every_threat_names_a_test() -> None:
    """One at least, in the third column."""
    rows = [
        line
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("|") and not line.startswith(("|---", "| threat"))
    ]
    assert len(rows) > 20
    assert [] == [row[:60] for row in rows if not NAMED.search(row.split("|")[3])]
