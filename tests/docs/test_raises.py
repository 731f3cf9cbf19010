"""What a public function raises by itself stands in its `Raises:` section."""

from __future__ import annotations

import ast
import builtins
import importlib.util
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
from typing import Final, cast

import click
import pytest

ROOT: Final = Path(__file__).parents[2]
EXTENSION: Final = ROOT / "docs" / "_ext" / "reference_pages.py"
PROTOCOL: Final = {"AttributeError", "NotImplementedError", "StopIteration"}
"""Errors that Python's own protocols ask for."""
MAKERS: Final = {"__init__", "__post_init__", "__new__"}
"""Methods whose errors are told by the docstring of their class."""
TOO_WIDE: Final = {"Exception", "BaseException", "ValueError", "RuntimeError"}
"""Bases that say too little to stand for an error of ours."""

Function = tuple[str, FunctionType, type | None, str]
"""The path of a public function, itself, its class, and the docstring to read."""


def public_functions() -> Iterator[Function]:
    """Yield every function and method that the reference shows."""
    for home in sorted({h for page in _homes().values() for h in page.values()}):
        module, _, name = home.rpartition(".")
        value = getattr(sys.modules[module], name)
        if inspect.isclass(value):
            yield from _methods(home, value)
        elif not isinstance(value, click.Command):
            function = _function(value)
            if function is not None:
                yield home, function, None, inspect.getdoc(function) or ""


def _homes() -> dict[str, dict[str, str]]:
    spec = importlib.util.spec_from_file_location("reference_pages", EXTENSION)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
        homes: dict[str, dict[str, str]] = module.homes()
    finally:
        del sys.modules[spec.name]
    return homes


def _methods(home: str, cls: type) -> Iterator[Function]:
    for name, held in vars(cls).items():
        function = _function(held)
        if function is None or function.__module__ != cls.__module__:
            continue
        if name in MAKERS:
            yield f"{home}.{name}", function, cls, inspect.getdoc(cls) or ""
        elif not name.startswith("_"):
            yield f"{home}.{name}", function, cls, inspect.getdoc(function) or ""


def _function(held: object) -> FunctionType | None:
    """Return what a name of a class or module holds, out of what wraps it."""
    for inner in ("fget", "func", "__func__"):
        held = getattr(held, inner, None) or held
    held = inspect.unwrap(held) if callable(held) else held
    if not isinstance(held, FunctionType):
        return None
    return held if str(held.__module__).startswith("llmguard") else None


class Raised:
    """The errors that leave a function: its own, and its module's private helpers'."""

    def __init__(self, function: FunctionType, cls: type | None) -> None:
        self._cls = cls
        self._seen: set[FunctionType] = set()
        self.names = {*self._of(function)} - PROTOCOL

    def _of(self, function: FunctionType) -> Iterator[str]:
        if function in self._seen:
            return
        self._seen.add(function)
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
        except (OSError, SyntaxError):  # made by `dataclass`, or a lambda
            return
        if isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in tree.body:
                yield from self._walk(node, function)

    def _walk(self, node: ast.AST, function: FunctionType) -> Iterator[str]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            return
        if isinstance(node, ast.Raise):
            yield from self._named(node.exc, function)
            return
        if isinstance(node, ast.Try):
            yield from self._try(node, function)
            return
        if isinstance(node, ast.Call):
            helper = self._called(node.func, function)
            if helper is not None and helper.__name__.startswith("_"):
                yield from self._of(helper)
        for child in ast.iter_child_nodes(node):
            yield from self._walk(child, function)

    def _try(self, node: ast.Try, function: FunctionType) -> Iterator[str]:
        caught = {
            part.id
            for handler in node.handlers
            for part in ast.walk(handler.type or ast.Name("BaseException"))
            if isinstance(part, ast.Name)
        }
        for child in node.body:
            for name in self._walk(child, function):
                if not caught & lineage(name, function):
                    yield name
        for rest in (*node.handlers, *node.orelse, *node.finalbody):
            yield from self._walk(rest, function)

    def _named(self, raised: ast.expr | None, function: FunctionType) -> Iterator[str]:
        """Yield the class of a raised expression, or what its helper returns."""
        made = raised.func if isinstance(raised, ast.Call) else raised
        if isinstance(made, ast.Attribute) and made.attr[:1].isupper():
            yield made.attr
        elif isinstance(made, ast.Name) and made.id[:1].isupper():
            yield made.id
        elif made is not raised and made is not None:
            helper = self._called(made, function)
            kind = helper and helper.__annotations__.get("return")
            if isinstance(kind, str) and kind.isidentifier():
                yield kind

    def _called(self, name: ast.expr, function: FunctionType) -> FunctionType | None:
        held: object = None
        if isinstance(name, ast.Name):
            held = function.__globals__.get(name.id)
        elif isinstance(name, ast.Attribute) and isinstance(name.value, ast.Name):
            own = self._cls is not None and name.value.id in {"self", "cls"}
            held = vars(self._cls).get(name.attr) if own else None
        found = _function(held)
        same = found is not None and found.__module__ == function.__module__
        return found if same else None


def lineage(name: str, function: FunctionType) -> set[str]:
    """Return the names of an error and of its bases, as the function sees them."""
    found = function.__globals__.get(name, getattr(builtins, name, None))
    return (
        {base.__name__ for base in found.__mro__} if inspect.isclass(found) else {name}
    )


def documented(doc: str, cls: type | None = None) -> set[str]:
    """Return the errors that a docstring names, or the method that it points to."""
    section = re.search(r"^Raises:\n((?: {4}.*\n)+)", f"{doc}\n", re.MULTILINE)
    entries = (
        re.findall(r"^ {4}(\w[\w., ]*):", section[1], re.MULTILINE) if section else ()
    )
    found = {n.strip().rpartition(".")[2] for e in entries for n in e.split(",")}
    as_in = re.search(r"errors\s+are those of `(\w+)`", doc)
    if as_in is not None and cls is not None:
        found |= documented(inspect.getdoc(getattr(cls, as_in[1])) or "")
    return found


@pytest.fixture(scope="module")
def functions() -> list[Function]:
    """All public functions."""
    return list(public_functions())


def test_the_errors_a_public_function_raises_are_documented(
    functions: list[Function],
) -> None:
    """Each by its name or by a base of ours; a gap is printed with its place."""
    gaps: list[str] = []
    for path, function, cls, doc in functions:
        said = documented(doc, cls)
        for name in sorted(Raised(function, cls).names):
            if name not in said and not (lineage(name, function) - TOO_WIDE) & said:
                code = function.__code__
                file = Path(code.co_filename).relative_to(ROOT)
                gaps.append(f"{file}:{code.co_firstlineno}: {path} raises {name}")
    assert len(functions) > 1_000
    assert [] == gaps


def test_documented_errors_exist(functions: list[Function]) -> None:
    """No section names an error that was renamed or removed since."""
    modules = [m for n, m in sys.modules.items() if n.startswith("llmguard")]
    known = {n for m in (*modules, builtins) for n, v in vars(m).items() if _error(v)}
    strange = [
        f"{path}: {name}"
        for path, *_, doc in functions
        for name in sorted(documented(doc) - known - {"UsageError"})
    ]
    assert [] == strange


def _error(value: object) -> bool:
    # `isinstance` would wake lazy objects, such as the settings of Django.
    return issubclass(type(value), type) and BaseException in type.mro(value)  # type: ignore[arg-type]  # the line before tells


def test_gaps_are_found() -> None:
    """The reader sees own errors, those of helpers, and what is caught."""

    def own(given: int) -> None:
        if given:
            raise LookupError(given)
        try:
            raise KeyError(given)
        except LookupError:
            raise TimeoutError from None

    assert {"LookupError", "TimeoutError"} == Raised(
        cast("FunctionType", own), None
    ).names
    doc = (
        "It.\n\nRaises:\n    a.B, C: One\n        and more: so.\n    D: Two.\n\nEnd: no"
    )
    assert {"B", "C", "D"} == documented(doc)
