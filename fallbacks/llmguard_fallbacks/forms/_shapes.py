"""What a part of a form looks like: shapes, made from a JSON Schema on demand.

Shapes are made as the form needs them, so a schema that refers to itself gives as deep
a form as the value is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from ._schema import CONSTRAINTS_ONLY, Node, flatten, structural
from ._text import same

__all__ = [
    "Choice",
    "Items",
    "Number",
    "Pick",
    "Planner",
    "Raw",
    "Record",
    "Shape",
    "Text",
]

_SHORT: Final = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    title: str = ""
    help: str = ""
    nullable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(_Base):
    """A string; `hints` say what the schema asks of it."""

    single_line: bool = False
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Number(_Base):
    """A number, or a whole one."""

    integer: bool = False
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick(_Base):
    """One of a few values, posted by its index."""

    options: tuple[object, ...]
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Record(_Base):
    """An object: its members, and the schema of further ones if it says one."""

    members: Mapping[str, object]
    required: frozenset[str] = frozenset()
    further: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Items(_Base):
    """An array: the first items by position, then all of one schema, or no more."""

    first: tuple[object, ...] = ()
    rest: object = None
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(_Base):
    """One of several shapes."""

    branches: tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw(_Base):
    """A box of JSON: any value."""


Shape = Text | Number | Pick | Record | Items | Choice | Raw
_KIND_OF: Final[Mapping[str, str]] = {
    **dict.fromkeys(("properties", "additionalProperties", "required"), "object"),
    **dict.fromkeys(("patternProperties", "minProperties"), "object"),
    **dict.fromkeys(("items", "prefixItems", "minItems", "maxItems"), "array"),
    **dict.fromkeys(("pattern", "minLength", "maxLength", "format"), "string"),
    **dict.fromkeys(("minimum", "maximum", "multipleOf"), "number"),
    **dict.fromkeys(("exclusiveMinimum", "exclusiveMaximum"), "number"),
}


@dataclass(slots=True)
class Planner:
    """Makes the shapes of one schema, each once."""

    root: object
    _known: dict[int, tuple[object, Shape]] = field(
        default_factory=dict[int, tuple[object, Shape]]
    )

    def shape(self, node: object) -> Shape:
        """Return the shape of a part of the schema."""
        known = self._known.get(id(node))
        if known is None:
            # The node is kept too: its identity is the key.
            known = self._known[id(node)] = (node, self._make(node))
        return known[1]

    def _make(self, node: object) -> Shape:
        flat = flatten(node, self.root)
        if flat is None:
            return _with_words(Raw(), cast("Node", node)) if _is_node(node) else Raw()
        made = self._picked(flat) or self._chosen(flat) or self._typed(flat)
        return _with_words(made, flat)

    def _picked(self, flat: Node) -> Shape | None:
        if "const" in flat:
            return Pick(options=(flat["const"],))
        options = flat.get("enum")
        if isinstance(options, list) and options:
            return Pick(options=tuple(cast("list[object]", options)))
        return None

    def _chosen(self, flat: Node) -> Shape | None:
        ways = {
            key: cast("list[object]", flat[key])
            for key in ("oneOf", "anyOf")
            if isinstance(flat.get(key), list) and any(map(structural, flat[key]))
        }
        base = {
            key: value
            for key, value in flat.items()
            if key not in {"oneOf", "anyOf", "title", "description", *CONSTRAINTS_ONLY}
        }
        if len(ways) > 1:
            return Raw()
        for branches in ways.values():
            return self._one_of(branches, base, nullable=flat.get("nullable") is True)
        return None

    def _one_of(
        self, branches: Iterable[object], base: Node, *, nullable: bool
    ) -> Shape:
        left: list[object] = []
        flats: list[Node | None] = []
        for branch in branches:
            if branch is False:
                continue
            part = {"allOf": [base, branch]} if structural(base) else branch
            flat = flatten(part, self.root)
            if flat is not None and _only(flat) == [None]:
                nullable = True
            else:
                left.append(part)
                flats.append(flat)
        if not left:
            return Pick(options=(None,)) if nullable else Raw()
        if len(left) == 1 and not _chooses(flats[0]):
            shape = self.shape(left[0])
            return replace(shape, nullable=nullable or shape.nullable)
        return _constants(flats, nullable=nullable) or Choice(
            branches=tuple(left), nullable=nullable
        )

    def _typed(self, flat: Node) -> Shape:
        kinds = flat.get("type") or next(
            (kind for key, kind in _KIND_OF.items() if key in flat), None
        )
        names = cast("list[str]", kinds) if isinstance(kinds, list) else [kinds]
        left = [name for name in names if name != "null"]
        nullable = len(left) < len(names) or flat.get("nullable") is True
        if not left:
            return Pick(options=(None,))
        if len(left) > 1:
            # Null is said once, of the whole.
            base = {key: part for key, part in flat.items() if key != "nullable"}
            ways = tuple(
                {**base, "type": name, "title": str(name), "description": ""}
                for name in left
            )
            return Choice(branches=ways, nullable=nullable)
        return replace(_one_kind(str(left[0]), flat), nullable=nullable)


def _is_node(node: object) -> bool:
    return isinstance(node, Mapping)


def _words(node: Node) -> dict[str, str]:
    title, text = node.get("title"), node.get("description")
    return {
        "title": title if isinstance(title, str) else "",
        "help": text if isinstance(text, str) else "",
    }


def _with_words(shape: Shape, node: Node) -> Shape:
    words = {name: text for name, text in _words(node).items() if text}
    nullable = shape.nullable or (
        node.get("nullable") is True and not isinstance(shape, Raw)
    )
    return replace(shape, nullable=nullable, **cast("Any", words))


def _only(flat: Node) -> list[object]:
    """Return the one value that a node allows, in a list; else an empty list."""
    if "const" in flat:
        return [flat["const"]]
    options = flat.get("enum")
    if isinstance(options, list) and len(cast("list[object]", options)) == 1:
        return cast("list[object]", options)
    return [None] if flat.get("type") in ("null", ["null"]) else []


def _chooses(flat: Node | None) -> bool:
    """Say whether a branch is a choice again: then it may be the same one."""
    return flat is not None and bool({"anyOf", "oneOf"} & flat.keys())


def _constants(flats: Iterable[Node | None], *, nullable: bool) -> Shape | None:
    """Return choices between single values as one list, with their titles."""
    options: list[object] = []
    labels: list[str] = []
    for flat in flats:
        only = _only(flat) if flat is not None else []
        if flat is None or not only or any(same(only[0], one) for one in options):
            return None
        options.append(only[0])
        labels.append(_words(flat)["title"])
    return Pick(options=tuple(options), labels=tuple(labels), nullable=nullable)


def _one_kind(kind: str, flat: Node) -> Shape:
    if kind == "object":
        return _object(flat)
    if kind == "array":
        return _array(flat)
    if kind == "string":
        longest = flat.get("maxLength")
        short = isinstance(longest, int) and longest <= _SHORT
        single = short or bool({"format", "pattern"} & flat.keys())
        return Text(single_line=single, hints=_hints(flat))
    if kind in {"integer", "number"}:
        return Number(integer=kind == "integer", hints=_hints(flat))
    if kind == "boolean":
        return Pick(options=(True, False))
    return Raw()


def _object(flat: Node) -> Shape:
    found = flat.get("properties")
    members = cast("dict[str, object]", found) if isinstance(found, dict) else {}
    asked = flat.get("required")
    required = frozenset(
        str(name)
        for name in (cast("list[object]", asked) if isinstance(asked, list) else ())
    )
    # A member may be asked for without being described: it is any JSON.
    undescribed: dict[str, object] = {}
    members = {
        **members,
        **dict.fromkeys(sorted(required - members.keys()), undescribed),
    }
    further = _further(flat)
    if (
        not members
        and further is None
        and flat.get("additionalProperties") is not False
    ):
        return Raw()
    return Record(members=members, required=required, further=further)


def _further(flat: Node) -> object:
    """Return the schema of members without a name of their own, if there is one."""
    rest = flat.get("additionalProperties")
    patterns = flat.get("patternProperties")
    if isinstance(patterns, dict) and patterns:
        parts = list(cast("dict[str, object]", patterns).values())
        if isinstance(rest, dict) and rest:
            parts.append(cast("object", rest))
        first = parts[0]
        return first if all(same(first, part) for part in parts) else {}
    return cast("object", rest) if isinstance(rest, dict) and rest else None


def _array(flat: Node) -> Shape:
    items, prefix = flat.get("items"), flat.get("prefixItems")
    rest = items
    if isinstance(items, list):
        prefix, rest = cast("object", items), flat.get("additionalItems")
    first = tuple(cast("list[object]", prefix)) if isinstance(prefix, list) else ()
    if not first and (rest is None or rest is True or rest == {}):
        return Raw()
    if rest is None or rest is True:
        rest = {}
    rest = None if rest is False else cast("object", rest)
    return Items(first=first, rest=rest, hints=_hints(flat))


def _hints(flat: Node) -> tuple[str, ...]:
    words = {
        "format": "in the form {}",
        "pattern": "must match {}",
        "minLength": "at least {} characters",
        "maxLength": "at most {} characters",
        "minimum": "at least {}",
        "maximum": "at most {}",
        "exclusiveMinimum": "more than {}",
        "exclusiveMaximum": "less than {}",
        "multipleOf": "a multiple of {}",
        "minItems": "at least {} items",
        "maxItems": "at most {} items",
    }
    return tuple(
        text.format(flat[key])
        for key, text in words.items()
        if isinstance(flat.get(key), (str, int, float)) and flat[key] is not True
    )
