"""One digest for a contract: equal digests mean that answers are judged alike."""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import json
import textwrap
from collections.abc import Callable, Mapping
from types import CodeType
from typing import Any, cast

__all__ = ["canonical", "digest_of", "source_digest"]


def canonical(value: object) -> str:
    """Write JSON in one way: keys sorted, no spaces, no escapes beyond the needed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest_of(value: object) -> str:
    """Return `sha256:` and the hex digest of the canonical JSON of `value`."""
    raw = canonical(value).encode("utf-8", "surrogatepass")
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def source_digest(function: Callable[..., Any]) -> str:
    """Digest what a function does, as far as its own source tells.

    Comments, formatting and docstrings do not count; defaults, values bound by
    `functools.partial` and captured by a closure do, when they are plain data. What
    the function calls does not: give such a check a `version` of its own.
    """
    bound: list[object] = []
    while isinstance(function, functools.partial):
        partial = cast("functools.partial[object]", function)
        bound += [*partial.args, *sorted(partial.keywords.items())]
        function = partial.func
    if not (inspect.isroutine(function) or inspect.isclass(function)):
        function = type(function).__call__
    bound += [getattr(function, "__defaults__", None)]
    bound += [_content(cell) for cell in getattr(function, "__closure__", None) or ()]
    return digest_of([_source(function), [_plain(value) for value in bound]])


def _content(cell: Any) -> object:
    try:
        return cast("object", cell.cell_contents)
    except ValueError:  # a cell that is filled only later
        return None


def _plain(value: object) -> object:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, tuple | list | set | frozenset):
        items = [_plain(item) for item in cast("tuple[object, ...]", value)]
        is_set = isinstance(value, set | frozenset)
        return {"set": sorted(items, key=repr)} if is_set else items
    if isinstance(value, Mapping):
        members = cast("Mapping[object, object]", value)
        return {str(key): _plain(member) for key, member in members.items()}
    return f"<{type(value).__qualname__}>"


def _source(function: Callable[..., Any]) -> str:
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        code = getattr(function, "__code__", None)
        if isinstance(code, CodeType):
            return _bytecode(code)
        module = getattr(function, "__module__", None)
        return f"{module}.{getattr(function, '__qualname__', function)}"
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a lambda in the middle of an expression
        return source
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def _bytecode(code: CodeType) -> str:
    constants = [
        _bytecode(each) if isinstance(each, CodeType) else repr(each)
        for each in code.co_consts
    ]
    return canonical([code.co_code.hex(), list(code.co_names), constants])
