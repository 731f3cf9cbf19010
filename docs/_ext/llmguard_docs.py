"""What the site adds to Sphinx: reference, links out of `docs/`, terse names."""

from __future__ import annotations

import builtins
import inspect
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from typing import Any

from docutils import nodes
from reference_pages import DISTRIBUTIONS, ROOT, homes, write_reference
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

REPOSITORY = "https://github.com/llmguard/llmguard"

_LOG = logging.getLogger(__name__)
_OUTSIDE = re.compile(r"\]\(\.\./([^)#\s]+)")
_VARIABLE = re.compile(r"(^|\.)[A-Z][a-z]?$")
_NO_PYTHON = re.compile(r"(?<=[=(, ])<(?:[^<>]|<[^<>]*>)+>")
_PARAGRAPH = re.compile(r"(?!\.\. |[-*] |\d+\. |.*::$|[A-Z][a-z]+:$)\S")
_COLON = "\uf03a"


def _outside(app: Sphinx, docname: str, source: list[str]) -> None:
    """Point links that leave `docs/` at the repository; what is missing is an error."""
    del app

    def link(found: re.Match[str]) -> str:
        path = found[1]
        if not (ROOT / path).exists():
            _LOG.warning("link to a missing file: ../%s", path, location=docname)
        kind = "tree" if (ROOT / path).is_dir() else "blob"
        return f"]({REPOSITORY}/{kind}/main/{path.rstrip('/')}"

    if "/" not in docname:
        source[0] = _OUTSIDE.sub(link, source[0])
    if docname == "index":
        source[0] += _unlisted(source[0])


def _unlisted(index: str) -> str:
    """Return a last part of the navigation, of the pages that it lacks."""
    listed = set(index.splitlines())
    names = sorted(page.stem for page in (ROOT / "docs").glob("*.md"))
    left = [name for name in names if name not in listed and name != "index"]
    tree = ["", "```{toctree}", ":caption: More", ":hidden:", "", *left, "```", ""]
    return "\n".join(tree) if left else ""


def _prepare(*event: Any) -> None:
    """Mark indented code, and keep napoleon from reading `When: then` as a type."""
    _, what, _, _, _, lines = event
    lines[:] = _with_code(lines)
    if what in {"attribute", "data", "property"}:
        lines[:] = [line.replace(":", _COLON) for line in lines]


def _with_code(lines: list[str]) -> Iterator[str]:
    """Write `::` above indented text that follows a paragraph and a blank line."""
    before, blank = "", True
    for line in lines:
        if line.startswith("    ") and blank and _PARAGRAPH.match(before):
            yield from ("::", "")
        yield line
        blank = not line.strip()
        before = before if blank else line


def _show_colons(*event: Any) -> None:
    lines = event[-1]
    lines[:] = [line.replace(_COLON, ":") for line in lines]


def _parsable(*event: Any) -> tuple[str | None, str | None]:
    """Write defaults that are no Python, such as `<factory>`, as an ellipsis."""
    signature, result = event[-2:]
    return signature and _NO_PYTHON.sub("...", signature), result


def _qualify(app: Sphinx, document: nodes.document) -> None:
    """Write out bare names that several packages use, by where they stand."""
    del app
    for node in document.findall(pending_xref):
        target = str(node["reftarget"])
        if node.get("refdomain") == "py" and "." not in target:
            meant = _meant(str(node.get("py:module")), target)
            if meant is not None:
                node["reftarget"] = meant
                node["refspecific"] = False


@cache
def _meant(module: str, name: str) -> str | None:
    """Return what a package, or the next one above it, means by a bare name."""
    while module and module != "None":
        home = homes().get(module, {}).get(name)
        if home is not None:
            return home
        for other in sorted(sys.modules):
            if f"{other}.".startswith(f"{module}."):
                value = vars(sys.modules[other]).get(name)
                if inspect.isclass(value):
                    dotted = f"{value.__module__}.{value.__qualname__}"
                    return _by_name().get(dotted, dotted)
        module = module.rpartition(".")[0]
    return None


def _resolve(
    app: Sphinx, env: BuildEnvironment, node: Any, content: nodes.Element
) -> nodes.Element | None:
    """Find what an annotation calls by its private name; leave the rest unlinked.

    Unlinked stay names of Python and of other packages (the build knows no other
    site), type variables, and private types that a public signature names.
    """
    if node.get("refdomain") != "py":
        return None
    target = str(node["reftarget"])
    home = _by_name().get(target)
    if home is not None:
        domain = env.domains.python_domain
        return domain.resolve_xref(
            env, node["refdoc"], app.builder, "obj", home, node, content
        )
    return content if _VARIABLE.search(target) or _elsewhere(target) else None


def _elsewhere(target: str) -> bool:
    root, *inner = target.split(".")
    if not inner:
        return root in _loaded_names() or hasattr(builtins, root)
    if root in DISTRIBUTIONS:
        return any(part.startswith("_") for part in inner)
    return root in sys.stdlib_module_names or find_spec(root) is not None


@cache
def _loaded_names() -> frozenset[str]:
    """Return every name that some module of ours holds, private ones included."""
    ours = [m for n, m in sys.modules.items() if n.split(".")[0] in DISTRIBUTIONS]
    return frozenset(name for module in ours for name in vars(module))


@cache
def _by_name() -> dict[str, str]:
    """Map the private path of each exported object to its home."""
    known: dict[str, str] = {}
    for module, exports in homes().items():
        for name, home in exports.items():
            value = getattr(sys.modules[module], name)
            if inspect.isclass(value) or inspect.isroutine(value):
                known[f"{value.__module__}.{value.__qualname__}"] = home
            known[f"{module}.{name}"] = home
    return known


def _complete(app: Sphinx, error: Exception | None) -> None:
    """Warn of exported names that the site does not describe."""
    if error is not None or app.builder.name != "html":
        return
    described = app.env.domains.python_domain.objects
    for home in sorted({home for page in homes().values() for home in page.values()}):
        module, _, name = home.rpartition(".")
        value = getattr(sys.modules[module], name)
        if home not in described and not inspect.ismodule(value):
            _LOG.warning("exported and not described: %s", home)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("config-inited", lambda *_: write_reference())
    app.connect("source-read", _outside)
    app.connect("autodoc-process-docstring", _prepare, priority=400)
    app.connect("autodoc-process-docstring", _show_colons, priority=600)
    app.connect("autodoc-process-signature", _parsable)
    app.connect("doctree-read", _qualify)
    app.connect("missing-reference", _resolve)
    app.connect("build-finished", _complete)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
