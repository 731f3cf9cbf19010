"""The page about testing shows the faults there are, and its snippets run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llmguard.testing import FAULTS, fault_table

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
TEXT = PAGE.read_text(encoding="utf-8")


def test_the_fault_table_is_the_registry() -> None:
    """Regenerate it with `fault_table()` when this fails."""
    shown = re.search(r"<!-- faults -->\n(.*?)<!-- /faults -->", TEXT, re.DOTALL)
    assert shown is not None
    assert fault_table() == shown.group(1)


def test_every_fault_has_a_row() -> None:
    """Each name is shown once, with its outcome."""
    rows = fault_table().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == list(FAULTS)
    assert all(f"`{FAULTS[row.split('`')[1]].kind}`" in row for row in rows)


def snippets() -> dict[str, object]:
    """Run the page's Python from top to bottom."""
    names: dict[str, object] = {"__name__": "testing_page"}
    for code in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        exec(compile(code, str(PAGE), "exec", dont_inherit=True), names)  # noqa: S102 - our own page
    return names


NAMES = snippets()


@pytest.mark.parametrize("name", [n for n in NAMES if n.startswith("test_")])
def test_the_pages_own_tests_pass(name: str) -> None:
    """What readers copy works."""
    test = NAMES[name]
    assert callable(test)
    test()
