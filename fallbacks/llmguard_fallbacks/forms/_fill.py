"""From a value to the fields that hold it: all of it, or as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from ._field import (
    ABSENT,
    EMPTY,
    JSON,
    NULL,
    SET,
    TEXT,
    Entry,
    Field,
    Limits,
    TooLargeError,
    branch_name,
    entry_name,
    item_name,
    member_name,
    states,
)
from ._shapes import Choice, Items, Number, Pick, Planner, Raw, Record, Shape, Text
from ._text import dump, is_plain, same, to_wire

__all__ = ["MISSING", "Filler", "new_label"]

MISSING: Final = object()
"""No value: the field is left out where it may be, else empty and to be filled in."""
_LONGEST_NUMBER: Final = 300
_LOOK: Final = 3


class _MisfitError(Exception):
    """A value has no place in a shape; it is shown as JSON."""


def new_label(shape: Shape, name: str) -> str:
    """Return what a field is called: the schema's title, else its own name."""
    return shape.title or name or "(no name)"


class Filler:
    """Makes fields from values, counting them.

    In a draft, members that are needed and missing are blank fields to be filled in;
    else such an object is JSON.
    """

    def __init__(
        self, planner: Planner, limits: Limits, *, draft: bool = False
    ) -> None:
        self.planner = planner
        self.limits = limits
        self.draft = draft
        self._left = limits.fields

    def spend(self, fields: int) -> None:
        """Count fields that are there already."""
        self._left -= fields

    def field(
        self, node: object, name: str, label: str, *, required: bool, depth: int
    ) -> Field:
        """Make a field without content; deep ones are JSON.

        Raises:
            TooLargeError: The form has too many.
        """
        self._left -= 1
        if self._left < 0:
            raise TooLargeError(f"needs more than {self.limits.fields} fields")
        shape = self.planner.shape(node)
        if depth >= self.limits.depth:
            shape = Raw(title=shape.title, help=shape.help)
        label = new_label(shape, label)
        return Field(name=name, shape=shape, label=label, required=required)

    def fill(
        self,
        node: object,
        value: object,
        name: str,
        label: str,
        *,
        required: bool,
        depth: int = 0,
    ) -> Field:
        """Make the field of a value, and those below it."""
        part = self.field(node, name, label, required=required, depth=depth)
        self.put(part, value, depth)
        return part

    def put(self, part: Field, value: object, depth: int) -> None:
        """Put a value into a new field; what does not fit its shape becomes JSON."""
        shape = part.shape
        if isinstance(shape, Raw):
            part.state = JSON
            part.text = "" if value is MISSING else dump(value)
            return
        try:
            _PUT[type(shape)](self, part, value, depth)
        except _MisfitError:
            part.members, part.entries, part.items = {}, [], []
            part.branch, part.more = None, ""
            part.state, part.text = JSON, dump(value)

    def put_text(self, part: Field, value: object, _: int) -> None:
        """Fill in a string."""
        if value is MISSING:
            return
        if value is None and part.shape.nullable:
            part.state = NULL
        elif isinstance(value, str) and is_plain(value):
            part.text = to_wire(value)
            part.state = TEXT if value else EMPTY
        else:
            raise _MisfitError

    def put_number(self, part: Field, value: object, _: int) -> None:
        """Fill in a number; a whole one may be written as 1.0."""
        if value is MISSING:
            return
        if value is None and part.shape.nullable:
            part.state = NULL if states(part) else TEXT
        elif _fits_number(cast("Number", part.shape), value):
            part.text = dump(value)
        else:
            raise _MisfitError
        if len(part.text) > _LONGEST_NUMBER:
            raise _MisfitError

    def put_pick(self, part: Field, value: object, _: int) -> None:
        """Fill in the index of an option."""
        options = cast("Pick", part.shape).options
        if value is MISSING:
            part.text = "0" if part.required and len(options) == 1 else ""
            return
        for index, option in enumerate(options):
            if same(option, value):
                part.text = str(index)
                return
        if value is not None or not part.shape.nullable:
            raise _MisfitError
        part.text = NULL

    def put_record(self, part: Field, value: object, depth: int) -> None:
        """Fill in an object's members; those without a field are kept beside them."""
        if _left_out(part, value):
            return
        shape = cast("Record", part.shape)
        if value is not MISSING and not isinstance(value, dict):
            raise _MisfitError
        given = {} if value is MISSING else cast("dict[str, object]", value)
        blanks = self.draft or value is MISSING
        if not blanks and not shape.required <= given.keys():
            raise _MisfitError
        part.state = SET
        for key, node in shape.members.items():
            part.members[key] = self.fill(
                node,
                given.get(key, MISSING),
                member_name(part.name, key),
                key,
                required=key in shape.required,
                depth=depth + 1,
            )
        rest = {key: given[key] for key in given if key not in shape.members}
        if shape.further is not None:
            rest = self._put_entries(part, shape.further, rest, depth)
        part.more = dump(rest) if rest else ""

    def _put_entries(
        self, part: Field, node: object, rest: Mapping[str, object], depth: int
    ) -> dict[str, object]:
        left: dict[str, object] = {}
        for key, value in rest.items():
            if (
                "\n" in key
                or not is_plain(key)
                or len(part.entries) >= (self.limits.items)
            ):
                left[key] = value
            else:
                self.add_entry(part, node, key, value, depth)
        return left

    def add_entry(
        self, part: Field, node: object, key: str, value: object, depth: int
    ) -> None:
        """Append a member to a map."""
        name = entry_name(part.name, len(part.entries))
        below = self.fill(node, value, name, "Value", required=True, depth=depth + 1)
        part.entries.append(Entry(key=key, field=below))

    def put_items(self, part: Field, value: object, depth: int) -> None:
        """Fill in an array's items."""
        if _left_out(part, value):
            return
        if value is not MISSING and not isinstance(value, list):
            raise _MisfitError
        given = [] if value is MISSING else cast("list[object]", value)
        if len(given) > self.limits.items:
            raise _MisfitError
        part.state = SET
        for one in given:
            self.add_item(part, one, depth)

    def add_item(self, part: Field, value: object, depth: int) -> None:
        """Append an item to an array."""
        shape, index = cast("Items", part.shape), len(part.items)
        node = shape.first[index] if index < len(shape.first) else shape.rest
        if node is None:
            raise _MisfitError
        name, label = item_name(part.name, index), f"Item {index + 1}"
        below = self.fill(node, value, name, label, required=True, depth=depth + 1)
        part.items.append(below)

    def put_choice(self, part: Field, value: object, depth: int) -> None:
        """Take the branch that suits the value best, the first of equals."""
        if _left_out(part, value):
            return
        branches = cast("Choice", part.shape).branches
        best = 0
        if value is not MISSING:
            scores = [self.misfit(node, value, _LOOK) for node in branches]
            best = scores.index(min(scores))
            if scores[best] >= _HOPELESS:
                raise _MisfitError
        self.take_branch(part, best, value, depth)

    def take_branch(self, part: Field, index: int, value: object, depth: int) -> None:
        """Make the field of one branch."""
        node = cast("Choice", part.shape).branches[index]
        part.state = str(index)
        name, label = branch_name(part.name, index), f"Option {index + 1}"
        part.branch = self.fill(
            node, value, name, label, required=True, depth=depth + 1
        )

    def misfit(self, node: object, value: object, look: int) -> int:
        """Say how badly a value suits a part of the schema; 0 is well."""
        shape = self.planner.shape(node)
        if value is None and shape.nullable:
            return 0
        if isinstance(shape, Raw):
            return 5
        if isinstance(shape, Choice):
            ways = shape.branches if look else ()
            return min((self.misfit(way, value, look - 1) for way in ways), default=1)
        if isinstance(shape, Record) and isinstance(value, dict):
            return self._misfit_record(shape, cast("dict[str, object]", value), look)
        if isinstance(shape, Items) and isinstance(value, list):
            return self._misfit_items(shape, cast("list[object]", value), look)
        return 0 if _scalar_fits(shape, value) else _HOPELESS

    def _misfit_items(self, shape: Items, value: list[object], look: int) -> int:
        if shape.first or shape.rest is None or not look:
            return 0
        found = (self.misfit(shape.rest, one, look - 1) for one in value[:3])
        return min(sum(found), _HOPELESS - 1)

    def _misfit_record(
        self, shape: Record, value: Mapping[str, object], look: int
    ) -> int:
        missing = len(shape.required - value.keys())
        if missing and not self.draft:
            return _HOPELESS
        unknown = value.keys() - shape.members.keys()
        found = 100 * missing
        found += 0 if shape.further is not None else 10 * len(unknown)
        if look:
            known = [name for name in shape.members if name in value][:20]
            found += sum(
                min(self.misfit(shape.members[name], value[name], look - 1), 100)
                for name in known
            )
        return min(found, _HOPELESS - 1)


_HOPELESS: Final = 10_000


def _left_out(part: Field, value: object) -> bool:
    """Take the states that have no content."""
    if value is MISSING and not part.required:
        part.state = ABSENT
    elif value is None and part.shape.nullable:
        part.state = NULL
    else:
        return False
    return True


def _fits_number(shape: Number, value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return not shape.integer or isinstance(value, int) or value.is_integer()


def _scalar_fits(shape: Shape, value: object) -> bool:
    if isinstance(shape, Text):
        return isinstance(value, str)
    if isinstance(shape, Number):
        return _fits_number(shape, value)
    if isinstance(shape, Pick):
        return any(same(option, value) for option in shape.options)
    return False


_Put = Callable[[Filler, Field, object, int], None]
_PUT: Final[dict[type[Any], _Put]] = {
    Text: Filler.put_text,
    Number: Filler.put_number,
    Pick: Filler.put_pick,
    Record: Filler.put_record,
    Items: Filler.put_items,
    Choice: Filler.put_choice,
}
