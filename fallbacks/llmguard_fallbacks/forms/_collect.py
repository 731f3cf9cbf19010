"""From fields to the value they hold, or to what keeps them from holding one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

from ._field import EMPTY, JSON, NULL, SET, Field, FieldError, states
from ._fill import MISSING
from ._shapes import Choice, Items, Number, Pick, Raw, Record, Text
from ._text import load, to_number, to_text

__all__ = ["Collector"]


class Collector:
    """Reads values out of fields; `errors` names each field that has none."""

    def __init__(self) -> None:
        self.errors: list[FieldError] = []

    def value(self, part: Field) -> Any:
        """Return a field's value, or `MISSING` where it is left out or wrong."""
        try:
            if part.state == JSON or isinstance(part.shape, Raw):
                return _json(part)
            return _VALUE[type(part.shape)](self, part)
        except ValueError as error:
            self.errors.append(FieldError(name=part.name, message=str(error)))
            return MISSING

    def choice(self, part: Field) -> Any:
        """Return the value of the branch taken."""
        if part.branch is None:
            return _without_content(part)
        return self.value(part.branch)

    def items(self, part: Field) -> Any:
        """Return an array."""
        if part.state != SET:
            return _without_content(part)
        return [self.value(item) for item in part.items]

    def record(self, part: Field) -> Any:
        """Return an object."""
        if part.state != SET:
            return _without_content(part)
        found: dict[str, Any] = {}
        for key, member in part.members.items():
            value = self.value(member)
            if value is not MISSING:
                found[key] = value
        known = set(part.members)
        for entry in part.entries:
            value, key = self.value(entry.field), _key(entry.key)
            if key in known:
                raise ValueError(f"has the member {key[:40]!r} twice")
            known.add(key)
            found[key] = value
        for key, value in _more(part).items():
            if key in known:
                raise ValueError(f"has the member {key[:40]!r} twice")
            found[key] = value
        return found


def _key(wire: str) -> str:
    key = to_text(wire)
    if "\n" in key:
        raise ValueError("has a member whose name is of two lines; write it in JSON")
    return key


def _more(part: Field) -> dict[str, Any]:
    if not part.more.strip():
        return {}
    value = load(part.more)
    if not isinstance(value, dict):
        raise ValueError("other members must be one JSON object")  # noqa: TRY004 - of what is posted
    return cast("dict[str, Any]", value)


def _json(part: Field) -> Any:
    if part.text.strip():
        return load(part.text)
    if part.required:
        raise ValueError("is needed: write JSON, `null` for nothing")
    return MISSING


def _without_content(part: Field) -> Any:
    return None if part.state == NULL else MISSING


def _text(_: Collector, part: Field) -> Any:
    if part.state in {EMPTY, NULL}:
        if part.text:
            word = "empty" if part.state == EMPTY else "null"
            raise ValueError(f"is set to {word}, yet has a text; clear one of them")
        return None if part.state == NULL else ""
    if not part.text:
        if part.required:
            raise ValueError("is needed: write a text, or choose `empty text`")
        return MISSING
    return to_text(part.text)


def _number(_: Collector, part: Field) -> Any:
    blank = not part.text.strip()
    if part.state == NULL:
        if not blank:
            raise ValueError("is set to null, yet has a number; clear one of them")
        return None
    if blank:
        if not part.required:
            # A nullable one says null by its state, unless it cannot be left out.
            return MISSING
        if part.shape.nullable and not states(part):
            return None
        raise ValueError("is needed: write a number")
    value = to_number(part.text)
    whole = isinstance(value, int) or value.is_integer()
    if cast("Number", part.shape).integer and not whole:
        raise ValueError(f"must be a whole number, not {part.text[:40]!r}")
    return value


def _pick(_: Collector, part: Field) -> Any:
    if part.text == NULL and part.shape.nullable:
        return None
    if part.text:
        return cast("Pick", part.shape).options[int(part.text)]
    if part.required:
        raise ValueError("is needed: choose one")
    return MISSING


_Value = Callable[[Collector, Field], Any]
_VALUE: Final[dict[type[Any], _Value]] = {
    Text: _text,
    Number: _number,
    Pick: _pick,
    Record: Collector.record,
    Items: Collector.items,
    Choice: Collector.choice,
}
