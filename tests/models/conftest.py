"""Where the recipe lies, and its scripts as modules."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def recipe() -> Path:
    """The folder `models/recipe`; skips where only the wheels are installed."""
    folder = ROOT / "models" / "recipe"
    if not folder.is_dir():
        pytest.skip("models/recipe is not part of an installed package")
    return folder


@pytest.fixture(scope="module")
def recipe_module(recipe: Path) -> Iterator[Callable[[str], ModuleType]]:
    """Imports one of the recipe's scripts, which import each other by plain names."""
    before = set(sys.modules)
    sys.path.insert(0, str(recipe))
    yield importlib.import_module
    sys.path.remove(str(recipe))
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").parent == recipe:
            del sys.modules[name]
