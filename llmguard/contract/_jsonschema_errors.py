"""jsonschema's errors as violations: one path, one sentence, in one style."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from ..outcome import Violation
from ._ecma import ORIGINAL
from ._kinds import is_array, is_object
from ._pointer import join
from ._show import oxford, shorten, show

if TYPE_CHECKING:
    from jsonschema import ValidationError

__all__ = ["violation_of"]

_TYPES: Final[Mapping[str, str]] = {
    "array": "an array",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "a string",
}


def _type(wanted: Any) -> str:
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    return f"must be {oxford([_TYPES.get(name, name) for name in names])}"


def _one_of(values: Any) -> str:
    return f"must be one of {oxford([show(value) for value in values])}"


def _sized(side: str, unit: str) -> Callable[[Any], str]:
    return lambda bound: f"must have {side} {bound} {unit}"


_SENTENCES: Final[Mapping[str, Callable[[Any], str]]] = {
    "type": _type,
    "enum": _one_of,
    "const": lambda value: f"must be {show(value)}",
    "minimum": lambda bound: f"must be at least {bound}",
    "maximum": lambda bound: f"must be at most {bound}",
    "exclusiveMinimum": lambda bound: f"must be greater than {bound}",
    "exclusiveMaximum": lambda bound: f"must be less than {bound}",
    "multipleOf": lambda unit: f"must be a multiple of {unit}",
    "minLength": _sized("at least", "characters"),
    "maxLength": _sized("at most", "characters"),
    "minItems": _sized("at least", "items"),
    "maxItems": _sized("at most", "items"),
    "minProperties": _sized("at least", "fields"),
    "maxProperties": _sized("at most", "fields"),
    "uniqueItems": lambda _: "must not have the same item twice",
    "pattern": lambda regex: f"must match the pattern {show(regex)}",
    "format": lambda name: f"must be a valid {name}",
    "not": lambda schema: f"must not be {_brief(schema)}",
    "contains": lambda schema: f"must have an item that is {_brief(schema)}",
    "items": lambda _: "has too many items",
    "additionalItems": lambda _: "has too many items",
    "unevaluatedItems": lambda _: "has too many items",
    "oneOf": lambda branches: f"must fit exactly one of {len(branches)} alternatives",
    "anyOf": lambda branches: f"must fit one of {len(branches)} alternatives",
}


def _brief(schema: Any) -> str:
    return f"described by {show(schema)}"


def violation_of(error: ValidationError) -> Violation:
    """Rewrite one error; of a union, the alternative that fits best is described."""
    inner = _closest(error)
    place = [*inner.absolute_path]
    rule = str(inner.validator)
    if rule in {"required", "dependentRequired", "dependencies"}:
        place.append(_lacking(inner))
        return _violation(place, "required field is missing", rule)
    if rule in {"additionalProperties", "unevaluatedProperties"}:
        surplus = _surplus(inner)
        if surplus is not None:
            place.append(surplus)
            return _violation(place, "is not a field of this answer; remove it", rule)
    return _violation(place, _sentence(inner, rule, join(place)), rule)


def _violation(place: Iterable[object], message: str, rule: str) -> Violation:
    return Violation(path=join(place), message=message, check=rule)


def _sentence(error: ValidationError, rule: str, path: str) -> str:
    write = _SENTENCES.get(rule)
    if rule == "None" or (rule == "not" and not error.validator_value):
        text = "is not allowed here"  # the schema is `false`
    elif write is None:
        text = f"breaks the rule `{rule}`: {shorten(show(error.validator_value), 60)}"
    else:
        text = write(_declared(error, rule))
    return f"{text}; the answer has {show(error.instance, path=path)}"


def _declared(error: ValidationError, rule: str) -> object:
    if rule == "pattern":
        return cast("Mapping[str, object]", error.schema).get(
            ORIGINAL, error.validator_value
        )
    return error.validator_value


def _closest(error: ValidationError) -> ValidationError:
    """Walk down a union to the error of the alternative that was most likely meant."""
    while error.context and error.validator in {"anyOf", "oneOf"}:
        branches: dict[object, list[ValidationError]] = {}
        for inner in error.context:
            # A branch that is `false` has no keyword, and no path to it either.
            branch = inner.schema_path[0] if inner.schema_path else None
            branches.setdefault(branch, []).append(inner)
        if all(_wrong_type(errors, error) for errors in branches.values()):
            return error
        error = min(branches.values(), key=lambda errors: _misfit(errors, error))[0]
    return error


def _wrong_type(errors: Sequence[ValidationError], parent: ValidationError) -> bool:
    depth = len(parent.absolute_path)
    return any(
        inner.validator in {"type", "enum", "const"}
        and len(inner.absolute_path) == depth
        for inner in errors
    )


def _misfit(
    errors: Sequence[ValidationError], parent: ValidationError
) -> tuple[bool, bool, int]:
    """Order alternatives: of another type last, then a wrong tag, then by count."""
    wrong_tag = any(inner.validator in {"enum", "const"} for inner in errors)
    return _wrong_type(errors, parent), wrong_tag, len(errors)


def _lacking(error: ValidationError) -> str:
    """Name the missing property; jsonschema tells it only inside its message."""
    instance = cast("Mapping[str, object]", error.instance)
    wanted: Any = error.validator_value
    if is_object(wanted):
        needs = [needed for key, needed in wanted.items() if key in instance]
        wanted = [name for names in needs if is_array(names) for name in names]
    absent = [str(name) for name in wanted if name not in instance]
    named = [name for name in absent if repr(name) in error.message]
    return [*named, *absent][0]


def _surplus(error: ValidationError) -> str | None:
    """Name one property too many, when the keyword forbids all unlisted ones."""
    if error.validator_value is not False:
        return None
    instance = cast("Mapping[str, object]", error.instance)
    schema = cast("Mapping[str, Mapping[str, object]]", error.schema)
    listed = schema.get("properties", {})
    unlisted = [name for name in instance if name not in listed]
    named = [name for name in unlisted if repr(name) in error.message]
    return next(iter(named or unlisted), None)
