"""Reaching a field inside a validated value: models, dataclasses, dicts and lists."""

from __future__ import annotations

import functools
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, cast

from ._pointer import join

__all__ = ["pick"]


def pick(value: object, parts: Sequence[str]) -> Iterable[tuple[str, object]]:
    """Yield every place that `parts` lead to, with its JSON pointer.

    A part that is absent yields nothing; `*` yields every item or member.
    """
    here: list[tuple[tuple[str, ...], object]] = [((), value)]
    for part in parts:
        here = [
            ((*trail, name), child)
            for trail, node in here
            for name, child in _step(node, part)
        ]
    return [(join(trail), node) for trail, node in here]


def _step(node: Any, part: str) -> Iterable[tuple[str, object]]:
    """List what one part leads to, each under the name that JSON has for it."""
    if hasattr(node, "__pydantic_root_model__") and node.__pydantic_root_model__:
        return _step(node.root, part)
    if isinstance(node, Mapping):
        members = cast("Mapping[object, object]", node)
        return [(str(k), v) for k, v in members.items() if part in {"*", str(k)}]
    names = _field_names(cast("Hashable", type(node)))
    if names:
        return [
            (alias, getattr(node, name))
            for name, alias in names
            if part in {"*", name, alias}
        ]
    if isinstance(node, Iterable) and not isinstance(node, str | bytes):
        items = enumerate(cast("Iterable[object]", node))
        return [(str(i), item) for i, item in items if part in {"*", str(i)}]
    return ()


@functools.lru_cache(maxsize=256)
def _field_names(kind: Hashable) -> tuple[tuple[str, str], ...]:
    """Pair the attributes of a model or dataclass with their names in JSON."""
    fields = _declared(kind)
    return tuple((name, _alias(name, field)) for name, field in fields.items())


def _declared(kind: Hashable) -> Mapping[str, Any]:
    own: Mapping[str, Any] | None = getattr(kind, "__pydantic_fields__", None)
    if own is None and hasattr(kind, "__pydantic_validator__"):
        own = getattr(kind, "model_fields", None)  # models of pydantic before 2.10
    return own or getattr(kind, "__dataclass_fields__", {})


def _alias(name: str, field: Any) -> str:
    alias = getattr(field, "validation_alias", None) or getattr(field, "alias", None)
    if alias is not None and not isinstance(alias, str):  # AliasChoices: the first
        alias = next(iter(getattr(alias, "choices", ())), None)
    return alias if isinstance(alias, str) else name
