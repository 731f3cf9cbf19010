"""Forms of a JSON Schema: what a browser posts for a value, and the way back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from ._collect import Collector
from ._edit import apply
from ._field import (
    JSON,
    ROOT,
    Field,
    FieldError,
    Form,
    Limits,
    TooLargeError,
)
from ._fill import MISSING, Filler
from ._read import PostRefusedError, Reader, collected
from ._shapes import Planner, Raw
from ._text import dump

__all__ = [
    "OPERATION",
    "Decoded",
    "FormError",
    "PathMessage",
    "blank",
    "decode",
    "edit",
    "encode",
    "fill",
    "place",
]

OPERATION: Final = "op"
"""The name of every button: its value says which one was pressed."""
_LIMITS: Final = Limits()
Pairs = Iterable[tuple[str, str]]


class FormError(ValueError):
    """A post holds no value; `errors` says why, field by field."""

    def __init__(self, errors: tuple[FieldError, ...]) -> None:
        self.errors = errors
        lines = (f"`{e.name or 'the post'}` {e.message}" for e in errors[:5])
        more = f"; and {len(errors) - 5} more" if len(errors) > 5 else ""  # noqa: PLR2004 - as above
        super().__init__("; ".join(lines) + more)


class PathMessage(Protocol):
    """A violation: a JSON pointer into the value, and a sentence."""

    @property
    def path(self) -> str:
        """The JSON pointer; empty for the whole value."""
        ...

    @property
    def message(self) -> str:
        """What is wrong there."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """A post: the form as it was filled in, and its value or its errors."""

    form: Form
    errors: tuple[FieldError, ...]
    _value: Any = None

    @property
    def value(self) -> Any:
        """The JSON value.

        Raises:
            FormError: The post holds none.
        """
        if self.errors:
            raise FormError(self.errors)
        return self._value


def fill(
    schema: object, value: object, *, draft: bool = True, limits: Limits = _LIMITS
) -> Form:
    """Return the form of a value, whether or not the schema accepts that value.

    Parts that no field can hold exactly are boxes of JSON: values of another type than
    the schema's, members and items it does not have, control characters, great depth.

    Args:
        schema: JSON Schema, draft 4 to 2020-12. Only references within it are followed.
        value: A JSON value.
        draft: Leave needed members that are missing blank, for a person to fill in.
            Else their object is a box of JSON, so that the form holds this very value.
        limits: How large the form may grow; beyond, the whole value is one box.

    Raises:
        ValueError: `value` is no JSON value: it has NaN, other types, half a surrogate
            pair next to its other half, or more than 200 levels.
    """
    planner = Planner(schema)
    try:
        filler = Filler(planner, limits, draft=draft)
        root = filler.fill(schema, value, ROOT, "Answer", required=True)
        form = Form(root=root, planner=planner, limits=limits)
        if value is MISSING or _within(form):
            return form
    except TooLargeError:
        pass
    shape = planner.shape(schema)
    box = Raw(title=shape.title, help=shape.help)
    text = "" if value is MISSING else dump(value)
    root = Field(name=ROOT, shape=box, label="Answer", required=True, state=JSON)
    root.text = text
    form = Form(root=root, planner=planner, limits=limits)
    if not _within(form):
        raise ValueError(f"needs more than {limits.characters} characters as a form")
    return form


def _within(form: Form) -> bool:
    try:
        collected(form.pairs(), form.limits)
    except PostRefusedError:
        return False
    return True


def blank(schema: object, *, limits: Limits = _LIMITS) -> Form:
    """Return the form of no value yet: what may be left out is, the rest is empty."""
    return fill(schema, MISSING, limits=limits)


def encode(
    schema: object, value: object, *, limits: Limits = _LIMITS
) -> list[tuple[str, str]]:
    """Return the pairs that a browser posts for the form of exactly this value.

    Raises:
        ValueError: `value` is no JSON value, or larger than a post may be.
    """
    return fill(schema, value, draft=False, limits=limits).pairs()


def decode(schema: object, pairs: Pairs, *, limits: Limits = _LIMITS) -> Decoded:
    """Read a post. Every control must be there once, and nothing else may be.

    The value is what was posted, not yet what the contract accepts: judge it with the
    contract and give its violations to `place`. Members are in the schema's order.

    Args:
        schema: The schema that the form was made of.
        pairs: Names and texts in any order, without the caller's own (tokens, `op`).
        limits: What a post may hold.
    """
    form, errors = _read(schema, pairs, limits)
    if errors:
        return Decoded(form=form, errors=tuple(errors))
    collector = Collector()
    value = collector.value(form.root)
    if collector.errors:
        return Decoded(form=form, errors=tuple(collector.errors[: limits.errors]))
    return Decoded(form=form, errors=(), _value=value)


def _read(
    schema: object, pairs: Pairs, limits: Limits
) -> tuple[Form, list[FieldError]]:
    planner = Planner(schema)
    try:
        posted, errors = collected(pairs, limits)
        filler = Filler(planner, limits)
        if f"{ROOT}!json" in posted:  # where even the smallest form is too large
            root = _whole(planner, schema, posted, errors)
        else:
            root = Reader(filler, posted, errors).read(schema, ROOT, "Answer")
    except (PostRefusedError, TooLargeError) as error:
        return blank(schema, limits=limits), [FieldError(name="", message=str(error))]
    return Form(root=root, planner=planner, limits=limits), errors


def _whole(
    planner: Planner, schema: object, posted: dict[str, str], errors: list[FieldError]
) -> Field:
    root = Field(
        name=ROOT,
        shape=planner.shape(schema),
        label=planner.shape(schema).title or "Answer",
        required=True,
        state=JSON,
        text=posted.pop(f"{ROOT}!json"),
    )
    errors += [
        FieldError(name=name, message="is no field of this form")
        for name in list(posted)[:100]
    ]
    return root


def edit(schema: object, pairs: Pairs, *, limits: Limits = _LIMITS) -> Decoded:
    """Do what a button of the form says, and return the form to show next.

    `pairs` holds `op` once, as the button posts it. `check` reads the form as `decode`
    does. The errors are those of the button only: a form may be unfinished.
    """
    given = list(pairs)
    operations = [text for name, text in given if name == OPERATION]
    rest = [(name, text) for name, text in given if name != OPERATION]
    if operations == ["check"]:
        return decode(schema, rest, limits=limits)
    form, errors = _read(schema, rest, limits)
    if not errors:
        if len(operations) == 1:
            errors = apply(form, operations[0])
        else:
            errors = [FieldError(name="", message="must name one button in `op`")]
    if not _within(form):
        message = f"would have more than {limits.characters} characters"
        errors = [FieldError(name="", message=message)]
    return Decoded(form=form, errors=tuple(errors), _value=None)


def place(form: Form, violations: Iterable[PathMessage]) -> tuple[FieldError, ...]:
    """Return a contract's violations as errors of the fields they are about.

    A place inside a box of JSON is named in the sentence; one without a field of its
    own, such as a missing member, belongs to the field around it.
    """
    return tuple(_placed(form, one.path, one.message) for one in violations)


def _placed(form: Form, path: str, message: str) -> FieldError:
    steps = [s.replace("~1", "/").replace("~0", "~") for s in path.split("/")[1:]]
    part = _inner(form.root)
    for number, step in enumerate(steps):
        below = _step(part, step)
        if below is None:
            rest = "/".join(steps[number:])
            return FieldError(name=part.name, message=f"{message} (at `{rest}`)")
        part = _inner(below)
    return FieldError(name=part.name, message=message)


def _inner(part: Field) -> Field:
    while part.branch is not None:
        part = part.branch
    return part


def _step(part: Field, step: str) -> Field | None:
    if part.items:
        short = step.isdecimal() and len(step) < 9  # noqa: PLR2004 - digits of an index
        index = int(step) if short else len(part.items)
        return part.items[index] if index < len(part.items) else None
    if step in part.members:
        return part.members[step]
    return next((e.field for e in part.entries if e.key == step), None)
