"""The reference lists the whole interface; `nox -s docs` builds it with Sphinx."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest

from llmguard.cli import cli

ROOT = Path(__file__).parents[2]
EXTENSION = ROOT / "docs" / "_ext" / "reference_pages.py"


@pytest.fixture(scope="module")
def pages() -> Iterator[ModuleType]:
    """The writer of the pages, imported from its file."""
    spec = importlib.util.spec_from_file_location("reference_pages", EXTENSION)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def written(pages: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All pages, in a folder of their own."""
    pages.REFERENCE = tmp_path_factory.mktemp("reference")
    pages.write_reference()
    return Path(pages.REFERENCE)


def test_every_exported_name_is_described_once(
    pages: ModuleType, written: Path
) -> None:
    """At its home by a directive, elsewhere by a link to it."""
    homes = {home for exports in pages.homes().values() for home in exports.values()}
    assert "llmguard.contract" in homes
    assert "llmguard_fallbacks.human" in homes
    for module, exports in pages.pages().items():
        text = (written / f"{module}.rst").read_text()
        for name, home in exports.items():
            if isinstance(getattr(sys.modules[module], name), ModuleType):
                assert f"``{module}.{name}``: the module" in text
            elif home == f"{module}.{name}":
                described = f":: {module}.{name}\n" in text
                assert described or f".. py:data:: {name}\n" in text, home
            else:
                assert f"``{module}.{name}``: :py:obj:`{home}`" in text
                assert home in homes


def test_every_constant_says_what_it_is(pages: ModuleType, written: Path) -> None:
    """A constant or alias of the interface has words below its assignment."""
    bare: list[str] = []
    for module in pages.pages():
        if module.startswith("llmguard_fallbacks.console."):
            continue  # parts of the site, for its frame only
        blocks = (written / f"{module}.rst").read_text().split(".. py:data:: ")[1:]
        for block in blocks:
            name, *lines = block.split(".. ")[0].splitlines()
            said = [line for line in lines if line.strip() and "   :" not in line]
            bare += [] if said else [f"{module}.{name}"]
    assert [] == bare


def test_every_verb_has_a_page_with_all_its_verbs(written: Path) -> None:
    """The command's reference is its help, to the last subcommand."""
    context = click.Context(cli, info_name="llmguard")
    index = (written / "index.md").read_text()
    for verb in cli.list_commands(context):
        assert f"(cli-{verb}.md)" in index
        page = (written / f"cli-{verb}.md").read_text()
        command = cli.get_command(context, verb)
        assert command is not None
        assert f"# `llmguard {verb}`" in page
        if isinstance(command, click.Group):
            for inner in command.list_commands(context):
                assert f"## `llmguard {verb} {inner}`" in page
