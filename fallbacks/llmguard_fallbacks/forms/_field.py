"""The tree of a form's fields, and the pairs that a browser posts for it.

Names are paths: `v` is the answer, `v/items/0/price` a price in it; other than letters,
digits, `_` and `-`, characters of a member's name are written `%2e.`. Controls
add to its name: nothing (the text), `!is` (its state), `!n` (how many items follow),
`!key`, `!more` (members without a field, as JSON), `!json` (the field as JSON).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from ._shapes import Choice, Items, Number, Planner, Raw, Record, Shape, Text
from ._text import escape_name

__all__ = [
    "ABSENT",
    "EMPTY",
    "JSON",
    "NULL",
    "ROOT",
    "SET",
    "TEXT",
    "Entry",
    "Field",
    "FieldError",
    "Form",
    "Limits",
    "TooLargeError",
    "branch_name",
    "entry_name",
    "find",
    "item_name",
    "member_name",
    "pairs_of",
    "rename",
    "states",
    "walk",
]

ROOT: Final = "v"
ABSENT, NULL, SET, JSON = "absent", "null", "set", "json"
TEXT, EMPTY = "text", "empty"
"""States: left out, null, there, as JSON; of a text also as typed, and empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a form may grow to; a post beyond it is refused, a value becomes JSON."""

    depth: int = 16
    fields: int = 5_000
    items: int = 500
    pairs: int = 20_000
    characters: int = 1_000_000
    """Of all names and texts of a post together."""
    errors: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """One sentence about one field; the name is empty for the whole post."""

    name: str
    message: str


class TooLargeError(ValueError):
    """A form would need more fields than its limits allow."""


@dataclass(slots=True, kw_only=True)
class Entry:
    """A member of a map: its name as posted, and its field."""

    key: str
    field: Field


@dataclass(slots=True, kw_only=True)
class Field:
    """One field with what was posted, or would be, for it."""

    name: str
    shape: Shape
    label: str
    required: bool
    state: str = TEXT
    """A choice's is the index of its branch."""
    text: str = ""
    """As posted: lines end in CR LF; of a choice between values the index."""
    members: dict[str, Field] = field(default_factory=dict[str, "Field"])
    entries: list[Entry] = field(default_factory=list[Entry])
    items: list[Field] = field(default_factory=list["Field"])
    branch: Field | None = None
    more: str = ""
    """Members that have no field, as JSON; empty without any."""

    @property
    def help(self) -> str:
        """The description of the schema, then what it asks of the value."""
        hints = getattr(self.shape, "hints", ())
        return "; ".join([*([self.shape.help] if self.shape.help else []), *hints])

    @property
    def children(self) -> list[Field]:
        """The fields right below this one, in the order of the page."""
        below = [*self.members.values(), *(entry.field for entry in self.entries)]
        return [*below, *self.items, *([self.branch] if self.branch else [])]


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A schema's fields with their values."""

    root: Field
    planner: Planner
    limits: Limits

    def fields(self) -> Iterator[Field]:
        """Yield every field, outer ones first."""
        return walk(self.root)

    def pairs(self) -> list[tuple[str, str]]:
        """Return what a browser posts for this form, in its order."""
        return list(pairs_of(self.root))

    @property
    def json_boxes(self) -> int:
        """How many fields are shown as a box of JSON."""
        return sum((f.state == JSON) + bool(f.more) for f in self.fields())


def member_name(name: str, member: str) -> str:
    """Return the name of a member's field; an empty name is written `%.`."""
    return f"{name}/{escape_name(member) or '%.'}"


def item_name(name: str, index: int) -> str:
    """Return the name of an item's field."""
    return f"{name}/{index}"


def entry_name(name: str, index: int) -> str:
    """Return the name of a map's member; its key is the person's to edit."""
    return f"{name}/@{index}"


def branch_name(name: str, index: int) -> str:
    """Return the name of the field under a choice."""
    return f"{name}/:{index}"


def walk(top: Field) -> Iterator[Field]:
    """Yield a field and all below it."""
    yield top
    for child in top.children:
        yield from walk(child)


def find(top: Field, name: str) -> tuple[Field, Field | None] | None:
    """Return the field of a name and the one above it, or None."""
    if top.name == name:
        return top, None
    for child in top.children:
        if child.name == name:
            return child, top
        if name.startswith(child.name + "/"):
            return find(child, name)
    return None


def rename(top: Field, name: str) -> None:
    """Give a field, and so all below it, another name."""
    cut = len(top.name)
    for part in walk(top):
        part.name = name + part.name[cut:]


def states(part: Field) -> tuple[str, ...]:
    """Return what a field's `!is` may be; empty where nothing is to be said."""
    shape, optional = part.shape, not part.required
    null = (NULL,) if shape.nullable else ()
    absent = (ABSENT,) if optional else ()
    if isinstance(shape, Text):
        found: tuple[str, ...] = (TEXT, EMPTY, *null)
    elif isinstance(shape, Number):
        found = (TEXT, *null) if optional and null else ()
    elif isinstance(shape, (Record, Items)):
        found = (SET, *absent, *null)
    elif isinstance(shape, Choice):
        numbers = map(str, range(len(shape.branches)))
        return (*numbers, *absent, *null)
    else:
        return ()
    return found if len(found) > 1 else ()


def pairs_of(part: Field) -> Iterator[tuple[str, str]]:
    """Yield the pairs of a field and of all below it."""
    name = part.name
    if part.state == JSON or isinstance(part.shape, Raw):
        yield f"{name}!json", part.text
        return
    if states(part):
        yield f"{name}!is", part.state
    if isinstance(part.shape, Choice):
        if part.branch:
            yield from pairs_of(part.branch)
    elif isinstance(part.shape, Record):
        yield from _record_pairs(part)
    elif isinstance(part.shape, Items):
        if part.state == SET:
            yield f"{name}!n", str(len(part.items))
            for item in part.items:
                yield from pairs_of(item)
    else:
        yield name, part.text


def _record_pairs(part: Field) -> Iterator[tuple[str, str]]:
    if part.state != SET:
        return
    for member in part.members.values():
        yield from pairs_of(member)
    if isinstance(part.shape, Record) and part.shape.further is not None:
        yield f"{part.name}!n", str(len(part.entries))
        for entry in part.entries:
            yield f"{entry.field.name}!key", entry.key
            yield from pairs_of(entry.field)
    # Posted even when empty: a post cut short must not be a smaller value.
    yield f"{part.name}!more", part.more
