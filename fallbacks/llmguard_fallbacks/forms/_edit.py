"""What the buttons of a form do to it: an item more, a branch, the box of JSON.

A button posts `op` with a verb and a field's name, such as `add v/items`; the whole
form comes with it, so nothing that was typed is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from ._collect import Collector
from ._field import (
    ABSENT,
    JSON,
    NULL,
    SET,
    TEXT,
    Entry,
    Field,
    FieldError,
    Form,
    entry_name,
    find,
    item_name,
    rename,
    states,
)
from ._fill import MISSING, Filler
from ._shapes import Choice, Items, Raw, Record
from ._text import dump, load

__all__ = ["apply"]


def apply(form: Form, operation: str) -> list[FieldError]:
    """Change a form in place as a button says; `check` changes nothing.

    Returns:
        Why it could not be done; the form is then as it was.
    """
    verb, _, name = operation.partition(" ")
    if verb == "check":
        return []
    found = find(form.root, name)
    act = _VERBS.get(verb.partition(":")[0])
    if found is None or act is None:
        return [FieldError(name="", message=f"has no button {operation[:60]!r}")]
    part, above = found
    filler = Filler(form.planner, form.limits, draft=True)
    filler.spend(sum(1 for _ in form.fields()))
    try:
        act(filler, part, above, verb)
    except ValueError as error:
        return [FieldError(name=name, message=str(error))]
    return []


def _depth(part: Field) -> int:
    return part.name.count("/")


def _clear(part: Field, state: str) -> None:
    part.members, part.entries, part.items = {}, [], []
    part.branch, part.more, part.text, part.state = None, "", "", state


def _add(filler: Filler, part: Field, _: Field | None, __: str) -> None:
    size = len(part.items) + len(part.entries)
    if part.state != SET or size >= filler.limits.items:
        raise ValueError(f"takes no further item; it has {size}")
    if isinstance(part.shape, Items):
        filler.add_item(part, MISSING, _depth(part))
    elif isinstance(part.shape, Record) and part.shape.further is not None:
        filler.add_entry(part, part.shape.further, "", MISSING, _depth(part))
    else:
        raise ValueError("takes no further item")


def _place(part: Field, above: Field | None) -> int:
    """Return where a field is among the items or entries of the one above."""
    entries = [entry.field for entry in above.entries] if above else []
    around = (above.items if above else []) + entries
    for index, one in enumerate(around):
        if one is part:
            return index
    raise ValueError("is no item")


def _renumber(above: Field) -> None:
    for index, item in enumerate(above.items):
        old = item.name.rpartition("/")[2]
        if item.label == f"Item {int(old) + 1}":
            item.label = f"Item {index + 1}"
        rename(item, item_name(above.name, index))
    for index, entry in enumerate(above.entries):
        rename(entry.field, entry_name(above.name, index))


def _remove(_: Filler, part: Field, above: Field | None, __: str) -> None:
    index = _place(part, above)
    if above is None:
        return
    if _fixed(above, len(above.items) - 1) and index < len(above.items) - 1:
        raise ValueError(
            "can only be removed from the end: each place has its own kind"
        )
    if above.items:
        del above.items[index]
    else:
        del above.entries[index]
    _renumber(above)


def _up(_: Filler, part: Field, above: Field | None, __: str) -> None:
    index = _place(part, above)
    if above is None or index == 0 or _fixed(above, index):
        raise ValueError("cannot move up")
    around: list[Field] | list[Entry] = above.items or above.entries
    around.insert(index - 1, around.pop(index))  # type: ignore[arg-type]  # its own item
    _renumber(above)


def _fixed(above: Field, index: int) -> bool:
    """Say whether the item before a place has a kind of its own."""
    shape = above.shape
    return (
        isinstance(shape, Items) and bool(shape.first) and (index <= len(shape.first))
    )


def _set(filler: Filler, part: Field, _: Field | None, __: str) -> None:
    required, part.required = part.required, True
    _clear(part, SET)
    filler.put(part, MISSING, _depth(part))
    part.required = required


def _omit(_: Filler, part: Field, __: Field | None, ___: str) -> None:
    if ABSENT not in states(part):
        raise ValueError("cannot be left out")
    _clear(part, ABSENT)


def _null(_: Filler, part: Field, __: Field | None, ___: str) -> None:
    if NULL not in states(part):
        raise ValueError("cannot be null")
    _clear(part, NULL)


def _json(_: Filler, part: Field, __: Field | None, ___: str) -> None:
    collector = Collector()
    value = collector.value(part)
    if collector.errors:
        first = collector.errors[0]
        raise ValueError(f"cannot be shown as JSON yet: `{first.name}` {first.message}")
    text = "" if value is MISSING else dump(value)
    _clear(part, JSON)
    part.text = text


def _form(filler: Filler, part: Field, __: Field | None, ___: str) -> None:
    if part.state != JSON or isinstance(part.shape, Raw):
        raise ValueError("has no other form than JSON")
    text, group = part.text, isinstance(part.shape, (Record, Items, Choice))
    value = load(text) if text.strip() else MISSING
    _clear(part, SET if group else TEXT)
    filler.put(part, value, _depth(part))
    if part.state != JSON:
        return
    part.text = text
    if group:
        raise ValueError("does not fit the form; correct the JSON first")
    # A word that is not in the list, a number as text: asked for anew.
    _clear(part, TEXT)


def _branch(filler: Filler, part: Field, _: Field | None, verb: str) -> None:
    index = verb.partition(":")[2]
    if (
        not isinstance(part.shape, Choice)
        or index not in states(part)[: len(part.shape.branches)]
    ):
        raise ValueError(f"has no choice {index[:40]!r}")
    collector = Collector()
    value = collector.value(part)
    keep = MISSING if collector.errors else value
    node = part.shape.branches[int(index)]
    if keep is not MISSING and filler.misfit(node, keep, 1):
        keep = MISSING
    _clear(part, index)
    filler.take_branch(part, int(index), keep, _depth(part))


_Act = Callable[[Filler, Field, Field | None, str], None]
_VERBS: Final[Mapping[str, _Act]] = {
    "add": _add,
    "remove": _remove,
    "up": _up,
    "set": _set,
    "omit": _omit,
    "null": _null,
    "json": _json,
    "form": _form,
    "branch": _branch,
}
