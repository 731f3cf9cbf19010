"""Looks at one source file: which calls of models are there, and what is amiss."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from ..pins import Classification, classify
from ._sdks import MAKERS, SDKS, TAILS, Sdk, Tail

__all__ = ["Finding", "Why", "find"]

Why: TypeAlias = Literal["unguarded", "alias", "unpinned"]

_DECORATORS: Final = frozenset({"pinned", "contract", "fallback_chain"})
_PARAMETER: Final = "model"
_IGNORE: Final = re.compile(r"#\s*llmguard:\s*ignore\b[\s:-]*(.*)")
_BY_LENGTH: Final = tuple(sorted(TAILS, key=lambda tail: -len(tail.parts)))
_PREFIX: Final = re.compile(r"([a-z_]+)[/:](.+)")
_FAMILIES: Final = (
    ("gpt", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("chatgpt", "openai"),
    ("claude", "anthropic"),
    ("gemini", "gemini"),
    ("mistral", "mistral"),
    ("command", "cohere"),
    ("grok", "xai"),
)
"""Whose a model is, by how its name begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One call of a model that should be changed.

    Attributes:
        path: The file, as it was given.
        line: Line of the call, from 1.
        column: Column, from 1.
        why: `unguarded`: no guard watches it; `alias`: guarded, but its model is a
            name the provider moves; `unpinned`: guarded, but its model is written in
            the code, so that the pin does not decide.
        sdk: The library that is called.
        call: The call as it is written, shortened.
        function: The function it is in; empty at module level.
        model: The model as written; empty when it is not a literal.
        promise: What the name promises, as pins classify it; empty without a name.
        suggestion: A pinned name to use; empty when none is known.
        provider: What a pin calls the provider.
    """

    path: str
    line: int
    column: int
    why: Why
    sdk: str
    call: str
    function: str
    model: str
    promise: str
    suggestion: str
    provider: str

    @property
    def message(self) -> str:
        """What is wrong, in one sentence."""
        what = f"`{self.call}`"
        if self.model:
            what += f" with model {self.model!r}"
        if self.why == "unguarded":
            moved = ", a name the provider moves" if self.promise == "alias" else ""
            return f"{what}{moved}: nothing validates it and nothing stands in for it"
        if self.why == "alias":
            return f"{what}, a name the provider moves: the pin does not decide"
        return f"{what} is written in the code: the pin does not decide"

    @property
    def repair(self) -> str:
        """The edit or command that mends it."""
        if self.why != "unguarded":
            return "use `model.id`, so that the pin of `@pinned` decides"
        route = self.function or "myroute"
        name = self.suggestion or self.model or "MODEL"
        provider = self.provider or "PROVIDER"
        add = f"`llmguard pin add {route} --provider {provider} --model {name}`"
        body = "call the client with `model=model.id`"
        if self.provider == "openai":
            body = "use `model.complete(...)`, or `model.client` with `model.id`"
        return (
            f'{add}; put `@contract(...)` and `@pinned("{route}")` on the function, '
            f"give it `*, model: Model = INJECTED`, and {body}"
        )


def find(source: str, path: str = "<source>") -> list[Finding]:
    """Return what should be changed in one file, by line.

    A comment `# llmguard: ignore REASON` on a call's first line silences it.

    Args:
        source: Python source.
        path: What findings call the file.

    Raises:
        SyntaxError: It does not parse.
        ValueError: It holds a NUL.
    """
    tree = ast.parse(source)
    lines = source.splitlines()
    visitor = _Visitor(path, tree, _silenced(lines))
    visitor.visit(tree)
    return sorted(visitor.found, key=lambda each: (each.line, each.column))


def _silenced(lines: list[str]) -> frozenset[int]:
    return frozenset(
        number
        for number, line in enumerate(lines, start=1)
        if "llmguard" in line and _IGNORE.search(line)
    )


class _Visitor(ast.NodeVisitor):
    """Walks a module, knowing what is imported and which function it is in."""

    def __init__(self, path: str, tree: ast.Module, silenced: frozenset[int]) -> None:
        self.found: list[Finding] = []
        self._path = path
        self._silenced = silenced
        self._imported = dict(_imports(tree))
        self._constants = dict(_constants(tree))
        self._functions: list[ast.FunctionDef | ast.AsyncFunctionDef] = []
        self._guarded = False

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._function(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
        outer = self._guarded
        # A helper inside a guarded function runs under its guard.
        self._guarded = outer or any(map(_is_ours, node.decorator_list))
        self._functions.append(node)
        for child in (node.args, *node.body):
            self.visit(child)
        self._functions.pop()
        self._guarded = outer

    def visit_Call(self, node: ast.Call) -> None:
        self._call(node)
        self.generic_visit(node)

    def _call(self, node: ast.Call) -> None:
        names = _chain(node.func)
        if not names or node.lineno in self._silenced:
            return
        if names[-1] in MAKERS and self._known("langchain", "google"):
            sdk, model = MAKERS[names[-1]], _argument(node, "model", "model_name", 0)
        else:
            tail = self._tail(names, node)
            if tail is None:
                return
            sdk, model = tail.sdk, _argument(node, tail.model)
        why = self._why(names, model)
        if why is not None:
            self._note(node, names, sdk, self._literal(model), why)

    def _why(self, names: tuple[str, ...], model: ast.expr | None) -> Why | None:
        if not self._guarded:
            return "unguarded"
        if names[0] == _PARAMETER:
            return None
        literal = self._literal(model)
        if not literal:
            return None
        promise = _classified("", literal)[1].version_class
        return "alias" if promise == "alias" else "unpinned"

    def _note(
        self, node: ast.Call, names: tuple[str, ...], sdk: Sdk, model: str, why: Why
    ) -> None:
        provider, promise = _classified(sdk.provider, model)
        function = self._functions[-1].name if self._functions else ""
        self.found.append(
            Finding(
                path=self._path,
                line=node.lineno,
                column=node.col_offset + 1,
                why=why,
                sdk=sdk.name,
                call=".".join(names)[-60:],
                function=function,
                model=model,
                promise=promise.version_class if model else "",
                suggestion=promise.suggestion if model else "",
                provider=provider,
            )
        )

    def _tail(self, names: tuple[str, ...], node: ast.Call) -> Tail | None:
        first = self._imported.get(names[0])
        full = (*first.split("."), *names[1:]) if first else names
        given = {word.arg for word in node.keywords}
        for tail in _BY_LENGTH:
            if full[-len(tail.parts) :] != tail.parts:
                continue
            likely = {tail.model, *tail.evidence} <= given
            if tail.certain or likely or self._known(tail.sdk.name):
                return tail if tail.certain or tail.model in given else None
        return None

    def _known(self, *libraries: str) -> bool:
        return any(
            module.startswith(library)
            for module in self._imported.values()
            for library in libraries
        )

    def _literal(self, model: ast.expr | None) -> str:
        if isinstance(model, ast.Constant) and isinstance(model.value, str):
            return model.value
        if isinstance(model, ast.Name):
            return self._constants.get(model.id, "")
        return ""


def _imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the local name of everything imported from a library that we know."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                if _sdk_of(each.name):
                    yield each.asname or each.name.partition(".")[0], each.name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for each in node.names:
                full = f"{node.module}.{each.name}"
                if _sdk_of(full):
                    yield each.asname or each.name, full


def _sdk_of(module: str) -> bool:
    return any(module == known or module.startswith(f"{known}.") for known in SDKS)


def _constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the module's names that are bound once, to a string."""
    bound: dict[str, list[ast.expr | None]] = {}
    for node in ast.walk(tree):
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign | ast.AugAssign):
            targets = [node.target]
        for target in targets:
            if isinstance(target, ast.Name):
                value = getattr(node, "value", None)
                bound.setdefault(target.id, []).append(value)
    for name, values in bound.items():
        value = values[0]
        if (
            len(values) == 1
            and isinstance(value, ast.Constant)
            and isinstance(value.value, str)
        ):
            yield name, value.value


def _chain(node: ast.expr) -> tuple[str, ...]:
    """Return the names of `a.b().c`: `("a", "b", "c")`."""
    names: list[str] = []
    while True:
        if isinstance(node, ast.Attribute):
            names.append(node.attr)
            node = node.value
        elif isinstance(node, ast.Call):
            node = node.func
        elif isinstance(node, ast.Name):
            names.append(node.id)
            return tuple(reversed(names))
        else:
            # `clients[0].chat...`: what it is called on has no name.
            return ("", *reversed(names)) if names else ()


def _is_ours(decorator: ast.expr) -> bool:
    names = _chain(decorator)
    return bool(names) and names[-1] in _DECORATORS


def _argument(node: ast.Call, *names: str | int) -> ast.expr | None:
    given: Mapping[str | None, ast.expr] = {w.arg: w.value for w in node.keywords}
    for name in names:
        if isinstance(name, int):
            if len(node.args) > name:
                return node.args[name]
        elif name in given:
            return given[name]
    return None


def _classified(provider: str, model: str) -> tuple[str, Classification]:
    """Return whose a model is, and what its name promises."""
    name = model
    if not provider:
        found = _PREFIX.fullmatch(model)
        if found is not None:
            provider, name = found[1], found[2]
        else:
            provider = next((p for f, p in _FAMILIES if model.startswith(f)), "")
    return provider, classify(provider, name)
