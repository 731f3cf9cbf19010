"""Pages of reference, written from the packages and from the command.

`docs/reference/` is written before each build and is never committed: one page per
public package, one per verb. A public object has one home, the shortest way to import
it; the other packages that export it link there.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import click

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
DISTRIBUTIONS = ("llmguard", "llmguard_fallbacks", "llmguard_models")
COMMANDS = re.compile(r"(\.cli(\.|_|$)|\.demo$)")
"""Modules that only hold verbs: their reference is that of the command."""
SHOWN = 160
"""Longest value of a constant that is printed, in characters."""


def public_modules() -> list[ModuleType]:
    """Return every importable module without an underscore that names its exports.

    Packages come before their modules, and shorter paths before longer ones, so that
    the first one that exports an object is its home.
    """
    found = [m for root in DISTRIBUTIONS for m in _walk(root)]
    found = [m for m in found if not COMMANDS.search(m.__name__)]
    wanted = [m for m in found if getattr(m, "__all__", ())]
    return sorted(wanted, key=lambda m: (m.__name__.count("."), _plain(m)))


@cache
def homes() -> dict[str, dict[str, str]]:
    """Return for each public module its names, and where each is documented."""
    first: dict[Any, str] = {}
    pages: dict[str, dict[str, str]] = {}
    for module in public_modules():
        page = pages.setdefault(module.__name__, {})
        for name in sorted(module.__all__):
            value = getattr(module, name)
            here = f"{module.__name__}.{name}"
            page[name] = first.setdefault(_identity(value, here), here)
    return pages


def pages() -> dict[str, dict[str, str]]:
    """Return the modules that get a page: packages, and homes of some name."""
    return {
        module: exports
        for module, exports in homes().items()
        if hasattr(sys.modules[module], "__path__")
        or any(home == f"{module}.{name}" for name, home in exports.items())
    }


def write_reference() -> None:
    """Write `docs/reference/`; files that would not change keep their time."""
    written = pages()
    texts = {f"{n}.rst": _module_page(n, exports) for n, exports in written.items()}
    verbs = dict(_verbs())
    texts |= {f"cli-{verb}.md": text for verb, text in verbs.items()}
    texts["index.md"] = _index(list(written), sorted(verbs))
    REFERENCE.mkdir(exist_ok=True)
    for stale in {p.name for p in REFERENCE.iterdir()} - texts.keys():
        (REFERENCE / stale).unlink()
    for file, text in texts.items():
        path = REFERENCE / file
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def _walk(root: str) -> Iterator[ModuleType]:
    module = importlib.import_module(root)
    yield module
    for found in pkgutil.iter_modules(getattr(module, "__path__", ()), f"{root}."):
        if not found.name.rpartition(".")[2].startswith("_"):
            yield from _walk(found.name)


def _plain(module: ModuleType) -> tuple[bool, str]:
    return not hasattr(module, "__path__"), module.__name__


def _identity(value: object, here: str) -> object:
    """Return what two exports of one object share."""
    if inspect.isclass(value) or inspect.isroutine(value):
        return value.__module__, value.__qualname__
    if isinstance(value, ModuleType):
        return value.__name__
    simple = isinstance(value, str | int | float | tuple | frozenset | None)
    return here if simple else id(value)


def _module_page(name: str, exports: dict[str, str]) -> str:
    module = importlib.import_module(name)
    parts = [":orphan:", "", name, "=" * len(name), ""]
    parts += [f".. automodule:: {name}", "   :no-members:"]
    if _shares_its_name(name):
        parts.append("   :no-index:")
    away: list[str] = []
    for export, home in exports.items():
        value = getattr(module, export)
        if isinstance(value, ModuleType):
            away.append(f"* ``{name}.{export}``: the module :doc:`{value.__name__}`")
        elif home != f"{name}.{export}":
            away.append(f"* ``{name}.{export}``: :py:obj:`{home}`")
        elif inspect.isclass(value) or inspect.isroutine(value):
            parts += ["", f".. {_directive(value)}:: {name}.{export}"]
        else:
            parts += ["", *_data(name, export, value)]
    if away:
        parts += ["", "Documented elsewhere", "--------------------", "", *away]
    return "\n".join(parts) + "\n"


def _shares_its_name(module: str) -> bool:
    """Return whether the parent exports a function of the module's name."""
    parent, _, name = module.rpartition(".")
    exported = getattr(sys.modules.get(parent), name, None)
    return exported is not None and not isinstance(exported, ModuleType)


def _directive(value: object) -> str:
    if inspect.isclass(value):
        kind = "exception" if issubclass(value, BaseException) else "class"
        return f"auto{kind}"
    return "autofunction"


def _data(module: str, name: str, value: object) -> Iterator[str]:
    """Describe a constant or an alias in the words beside its definition."""
    yield from (f".. py:data:: {name}", f"   :module: {module}")
    shown = repr(value)
    if len(shown) <= SHOWN and " object at 0x" not in shown:
        yield f"   :value: {shown}"
    yield ""
    for line in _comment(module.partition(".")[0], name, value):
        yield f"   {line}".rstrip()


def _comment(root: str, name: str, value: object) -> list[str]:
    """Return the words below the assignment that made a constant."""
    for other in sorted(sys.modules):
        module = sys.modules[other]
        if other.partition(".")[0] != root or vars(module).get(name) is not value:
            continue
        found = _comments(module.__file__ or "").get(name)
        if found is not None:
            return inspect.cleandoc(found).splitlines()
    return []


@cache
def _comments(file: str) -> dict[str, str]:
    found: dict[str, str] = {}
    body = ast.parse(Path(file).read_text()).body
    for made, words in pairwise(body):
        targets = made.targets if isinstance(made, ast.Assign) else ()
        targets = (made.target,) if isinstance(made, ast.AnnAssign) else targets
        if isinstance(words, ast.Expr) and isinstance(words.value, ast.Constant):
            text = str(words.value.value)
            found |= {t.id: text for t in targets if isinstance(t, ast.Name)}
    return found


def _verbs() -> Iterator[tuple[str, str]]:
    from llmguard.cli import cli

    context = click.Context(cli, info_name="llmguard")
    for verb in cli.list_commands(context):
        command = cli.get_command(context, verb)
        if command is not None:
            yield verb, "\n".join(_help(command, verb, context, depth=1)) + "\n"


def _help(
    command: click.Command, name: str, parent: click.Context, *, depth: int
) -> Iterator[str]:
    context = click.Context(
        command, info_name=name, parent=parent, max_content_width=88
    )
    if depth == 1:
        yield from ("---", "orphan: true", "---", "")
    yield from (f"{'#' * depth} `{context.command_path}`", "")
    yield from ("```text", command.get_help(context), "```", "")
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            if found is not None and not found.hidden:
                yield from _help(found, inner, context, depth=depth + 1)


def _index(modules: list[str], verbs: list[str]) -> str:
    lines = ["# Reference", ""]
    lines += [
        "Written from docstrings and from the command's own help, with each build.",
        "What is not listed here is no part of the interface.",
    ]
    for distribution in DISTRIBUTIONS:
        lines += ["", f"## `{distribution}`", ""]
        own = sorted(m for m in modules if m.partition(".")[0] == distribution)
        lines += [f"- [`{m}`]({m}.rst): {_says(sys.modules[m])}" for m in own]
    lines += [
        "",
        "## The command",
        "",
        "Exit codes: 0 done; 1 failed or found; 2 wrong",
    ]
    lines += [
        "usage; 3 a gate was not passed; 4 the lock is stale. (`suite run` has its"
    ]
    lines += [
        "own: [running a suite](../suite-runs.md).) `--json` prints one document.",
        "",
    ]
    lines += [f"- [`llmguard {verb}`](cli-{verb}.md)" for verb in verbs]
    return "\n".join(lines) + "\n"


def _says(module: ModuleType) -> str:
    """Return the first paragraph of a docstring as one line."""
    return " ".join((module.__doc__ or "").strip().partition("\n\n")[0].split())
