"""What a structured answer decides: one mark per enum value, flag and absent field."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, cast

from ..._dataclass import dataclass

__all__ = ["NO_FIELDS", "Fields", "fields_of", "infer_fields", "leaves"]

_MOST: Final = 48
"""Marks made of fields; more would drown those of the text."""
_VALUES: Final = 12
"""Distinct values of one field that are told apart."""
_DEPTH: Final = 4
_SHORT: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """Which fields are watched.

    Attributes:
        marks: (path, value) pairs: whether the field at that path has that value. A
            path is `.` and the keys joined by dots; items of a list share one.
        measures: Paths of numbers, texts and lists, measured by size.
    """

    marks: tuple[tuple[str, object], ...] = ()
    measures: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of the marks and of the measures."""
        marks = tuple(f"{path[1:]}={_shown(value)}" for path, value in self.marks)
        return marks, tuple(f"size of {path[1:]}" for path in self.measures)

    def read(self, value: object) -> tuple[tuple[bool, ...], tuple[float, ...]]:
        """Return the marks and measures of one answer; a missing field has none."""
        if not self.marks and not self.measures:
            return (), ()
        seen: dict[str, list[object]] = {}
        for path, leaf in leaves(value):
            seen.setdefault(path, []).append(leaf)
        marks = tuple(
            any(_same(leaf, wanted) for leaf in seen.get(path, ()))
            for path, wanted in self.marks
        )
        return marks, tuple(_size(seen.get(path, ())) for path in self.measures)


NO_FIELDS: Final = Fields()
"""Of a contract whose values are no objects."""


def leaves(value: object, path: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield every leaf of a JSON value with its path, and each list's length."""
    if depth > _DEPTH:
        return
    if isinstance(value, Mapping):
        for key, inner in cast("Mapping[object, object]", value).items():
            yield from leaves(inner, f"{path}.{key}", depth + 1)
    elif isinstance(value, (list, tuple)):
        items = cast("Sequence[object]", value)
        yield f"{path}.#", float(len(items))
        for inner in items[:_VALUES]:
            yield from leaves(inner, path, depth + 1)
    else:
        yield path or ".", value


def fields_of(schema: Mapping[str, Any]) -> Fields:
    """Return what a contract's JSON Schema declares to be a decision."""
    marks: dict[tuple[str, str], tuple[str, object]] = {}
    measures: dict[str, None] = {}
    for path, node in _walk(schema, schema, "", 0):
        for value in _choices(node):
            marks.setdefault((path, _shown(value)), (path, value))
        if any(_is(node, kind) for kind in ("number", "integer", "string")) and (
            "enum" not in node and "const" not in node
        ):
            measures.setdefault(path)
        if _is(node, "array"):
            measures.setdefault(f"{path}.#")
    return Fields(marks=tuple(marks.values())[:_MOST], measures=tuple(measures)[:_MOST])


def infer_fields(values: Iterable[object]) -> Fields:
    """Return what looks like a decision in answers without a schema.

    A field is one when it has at most 12 distinct values, none longer than 40
    characters, and some value occurs more than once.
    """
    found: dict[str, dict[str, tuple[object, int]]] = {}
    sized: dict[str, None] = {}
    for value in values:
        if not isinstance(value, (Mapping, list, tuple)):
            continue
        for path, leaf in leaves(cast("object", value)):
            if isinstance(leaf, (int, float, str)) and not isinstance(leaf, bool):
                sized.setdefault(path)
            if path.endswith("#"):
                continue
            per = found.setdefault(path, {})
            if len(per) <= _VALUES:
                shown = _shown(leaf)
                per[shown] = (leaf, per.get(shown, (leaf, 0))[1] + 1)
    marks = [
        (path, leaf)
        for path, per in sorted(found.items())
        if _few(per)
        for leaf, _ in per.values()
    ]
    return Fields(marks=tuple(marks[:_MOST]), measures=tuple(sorted(sized))[:_MOST])


def _few(per: Mapping[str, tuple[object, int]]) -> bool:
    short = all(len(shown) <= _SHORT for shown in per)
    repeated = any(n > 1 for _, n in per.values())
    return len(per) <= _VALUES and short and repeated


def _walk(
    node: Any, root: Mapping[str, Any], path: str, depth: int
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the schema's nodes that describe leaves, references followed."""
    node = _resolved(node, root)
    if depth > _DEPTH or not isinstance(node, Mapping):
        return
    found = cast("Mapping[str, Any]", node)
    yield path or ".", found
    for key in ("anyOf", "oneOf", "allOf"):
        for branch in found.get(key, ()):
            yield from _walk(branch, root, path, depth + 1)
    for name, inner in dict(found.get("properties", {})).items():
        yield from _walk(inner, root, f"{path}.{name}", depth + 1)
    if isinstance(found.get("items"), Mapping):
        yield from _walk(found["items"], root, path, depth + 1)


def _resolved(node: Any, root: Mapping[str, Any]) -> Any:
    found: Any = node
    for _ in range(_DEPTH):
        if not isinstance(found, Mapping):
            break
        reference = cast("Mapping[str, object]", found).get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#/"):
            break
        found = root
        for part in reference[2:].split("/"):
            found = found.get(part.replace("~1", "/").replace("~0", "~"), {})
    return cast("object", found)


def _choices(node: Mapping[str, Any]) -> list[object]:
    values: list[object] = list(node.get("enum", ()))[:_VALUES]
    if "const" in node:
        values.append(node["const"])
    if _is(node, "boolean"):
        values.append(True)
    if _is(node, "null"):
        values.append(None)
    return values


def _is(node: Mapping[str, Any], kind: str) -> bool:
    declared = node.get("type")
    return declared == kind or (isinstance(declared, list) and kind in declared)


def _same(leaf: object, wanted: object) -> bool:
    return leaf == wanted and isinstance(leaf, bool) == isinstance(wanted, bool)


def _shown(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _size(values: Sequence[object]) -> float:
    """Return the logarithm of the first value's size; 0 for none."""
    for value in values:
        if isinstance(value, str):
            return math.log1p(len(value))
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            size = math.log1p(min(abs(float(value)), 1e300))
            return math.copysign(size, value) if math.isfinite(size) else 0.0
    return 0.0
