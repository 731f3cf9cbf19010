"""From posted pairs to fields. Whatever a post holds, the form can be shown again."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, cast

from ._field import (
    JSON,
    SET,
    Entry,
    Field,
    FieldError,
    Limits,
    TooLargeError,
    branch_name,
    entry_name,
    item_name,
    member_name,
    states,
)
from ._fill import Filler
from ._shapes import Choice, Items, Pick, Raw, Record

__all__ = ["PostRefusedError", "Reader", "collected"]

_COUNT: Final = re.compile(r"0|[1-9][0-9]{0,5}")


class PostRefusedError(ValueError):
    """A post that is not worth showing again: too large, or names given twice."""


def collected(
    pairs: Iterable[tuple[str, str]], limits: Limits
) -> tuple[dict[str, str], list[FieldError]]:
    """Return the pairs by name, and an error for each name that came twice.

    Raises:
        PostRefusedError: There are too many, or they are too long.
    """
    found: dict[str, str] = {}
    errors: list[FieldError] = []
    size = 0
    for number, (name, text) in enumerate(pairs, start=1):
        size += len(name) + len(text)
        if number > limits.pairs:
            raise PostRefusedError(f"has more than {limits.pairs} fields")
        if size > limits.characters:
            raise PostRefusedError(f"has more than {limits.characters} characters")
        if name not in found:
            found[name] = text
        elif len(errors) < limits.errors:
            errors.append(FieldError(name=name, message="was posted twice"))
    return found, errors


class Reader:
    """Reads one post along a schema; `errors` says what is wrong with it."""

    def __init__(
        self, filler: Filler, posted: dict[str, str], errors: list[FieldError]
    ) -> None:
        self._filler = filler
        self._left = posted
        self.errors = errors

    def read(self, node: object, name: str, label: str) -> Field:
        """Read the whole answer; pairs that belong to no field are errors.

        Raises:
            TooLargeError: The post asks for more fields than a form may have.
        """
        top = self._field(node, name, label, required=True, depth=0)
        for rest in self._left:
            self._say(rest, "is no field of this form")
        return top

    def _say(self, name: str, message: str) -> None:
        if len(self.errors) >= self._filler.limits.errors:
            raise TooLargeError(f"has more than {len(self.errors)} errors")
        self.errors.append(FieldError(name=name, message=message))

    def _take(self, name: str, part: Field) -> str:
        found = self._left.pop(name, None)
        if found is None:
            self._say(part.name, f"was not posted: `{name}` is missing")
        return found or ""

    def _field(
        self, node: object, name: str, label: str, *, required: bool, depth: int
    ) -> Field:
        part = self._filler.field(node, name, label, required=required, depth=depth)
        if isinstance(part.shape, Raw) or f"{name}!json" in self._left:
            part.state, part.text = JSON, self._take(f"{name}!json", part)
            return part
        self._state(part)
        if isinstance(part.shape, Choice):
            self._choice(part, depth)
        elif isinstance(part.shape, Record):
            self._record(part, depth)
        elif isinstance(part.shape, Items):
            self._items(part, depth)
        else:
            part.text = self._take(name, part)
            if isinstance(part.shape, Pick):
                self._pick(part)
        return part

    def _state(self, part: Field) -> None:
        allowed = states(part)
        if not allowed:
            part.state = SET if isinstance(part.shape, (Record, Items)) else part.state
            return
        posted = self._take(f"{part.name}!is", part)
        if posted not in allowed:
            if posted:
                self._say(part.name, f"cannot be {posted[:40]!r}")
            posted = allowed[0]
        part.state = posted

    def _pick(self, part: Field) -> None:
        options = len(cast("Pick", part.shape).options)
        known = _COUNT.fullmatch(part.text) and int(part.text) < options
        if (
            part.text
            and not known
            and not (part.text == "null" and part.shape.nullable)
        ):
            self._say(part.name, f"has no choice {part.text[:40]!r}")
            part.text = ""

    def _count(self, part: Field) -> int:
        text = self._take(f"{part.name}!n", part)
        most = self._filler.limits.items
        if not _COUNT.fullmatch(text):
            if text:
                self._say(part.name, f"cannot have {text[:40]!r} items")
            return 0
        if int(text) > most:
            self._say(part.name, f"has {text} items; a form takes at most {most}")
            return 0
        return int(text)

    def _choice(self, part: Field, depth: int) -> None:
        if not part.state.isdigit():
            return
        index = int(part.state)
        part.branch = self._field(
            cast("Choice", part.shape).branches[index],
            branch_name(part.name, index),
            f"Option {index + 1}",
            required=True,
            depth=depth + 1,
        )

    def _items(self, part: Field, depth: int) -> None:
        if part.state != SET:
            return
        shape = cast("Items", part.shape)
        for index in range(self._count(part)):
            node = shape.first[index] if index < len(shape.first) else shape.rest
            if node is None:
                self._say(part.name, f"has at most {len(shape.first)} items")
                return
            name, label = item_name(part.name, index), f"Item {index + 1}"
            below = self._field(node, name, label, required=True, depth=depth + 1)
            part.items.append(below)

    def _record(self, part: Field, depth: int) -> None:
        if part.state != SET:
            return
        shape = cast("Record", part.shape)
        for key, node in shape.members.items():
            name, required = member_name(part.name, key), key in shape.required
            below = self._field(node, name, key, required=required, depth=depth + 1)
            part.members[key] = below
        for index in range(self._count(part) if shape.further is not None else 0):
            name = entry_name(part.name, index)
            key = self._take(f"{name}!key", part)
            below = self._field(
                shape.further, name, "Value", required=True, depth=depth + 1
            )
            part.entries.append(Entry(key=key, field=below))
        part.more = self._take(f"{part.name}!more", part)
