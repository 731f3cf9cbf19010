"""Pydantic's errors as violations: one path, one sentence, in one style."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, cast

from .._dataclass import dataclass
from ..outcome import Violation
from ._kinds import is_object
from ._pointer import MISSING, child, join
from ._show import oxford, shorten, show

__all__ = ["violations_of"]

_SENTENCES: Final[Mapping[str, str]] = {
    "missing": "required field is missing",
    "extra_forbidden": "is not a field of this answer; remove it",
    "none_required": "must be null",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "float_type": "must be a number",
    "decimal_type": "must be a number",
    "decimal_parsing": "must be a number",
    "string_type": "must be a string",
    "bool_type": "must be true or false",
    "list_type": "must be an array",
    "tuple_type": "must be an array",
    "set_type": "must be an array",
    "frozen_set_type": "must be an array",
    "dict_type": "must be an object",
    "mapping_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dataclass_type": "must be an object",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "finite_number": "must be a finite number",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
    "string_pattern_mismatch": "must match the pattern {pattern}",
    "literal_error": "must be one of {expected}",
    "enum": "must be one of {expected}",
    "union_tag_not_found": "must have the field {discriminator}",
    "union_tag_invalid": "must be one of {expected_tags}",
    "date_type": "must be a date written as YYYY-MM-DD",
    "date_parsing": "must be a date written as YYYY-MM-DD",
    "date_from_datetime_parsing": "must be a date written as YYYY-MM-DD",
    "datetime_type": "must be an ISO 8601 date and time",
    "datetime_parsing": "must be an ISO 8601 date and time",
    "datetime_from_date_parsing": "must be an ISO 8601 date and time",
    "time_type": "must be a time written as HH:MM:SS",
    "time_parsing": "must be a time written as HH:MM:SS",
    "time_delta_type": "must be an ISO 8601 duration",
    "time_delta_parsing": "must be an ISO 8601 duration",
    "uuid_type": "must be a UUID",
    "uuid_parsing": "must be a UUID",
}
_WITHOUT_VALUE: Final = frozenset({"missing", "extra_forbidden"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """One error, its place in the document told apart from labels of branches."""

    place: tuple[object, ...]
    branch: str
    at: tuple[object, ...]
    rule: str
    sentence: str


def violations_of(
    errors: Sequence[Mapping[str, object]], document: object
) -> list[Violation]:
    """Rewrite pydantic's error dictionaries.

    Args:
        errors: What `ValidationError.errors()` returned.
        document: The JSON document that was validated; it tells which parts of an
            error's location are keys and which are names of union branches.
    """
    plain: list[Violation] = []
    unions: dict[tuple[object, ...], list[_Found]] = defaultdict(list)
    for error in errors:
        found = _read(error, document)
        if found.branch:
            unions[found.at].append(found)
        else:
            plain.append(_violation(found))
    for at, branches in unions.items():
        plain.extend(_union(at, branches))
    return plain


def _violation(found: _Found, suffix: str = "") -> Violation:
    return Violation(
        path=join(found.place), message=found.sentence + suffix, check=found.rule
    )


def _read(error: Mapping[str, object], document: object) -> _Found:
    rule = str(error["type"])
    place, branch, at = _walk(
        cast("tuple[int | str, ...]", error["loc"]), document, rule
    )
    if rule == "union_tag_invalid":
        context = cast("Mapping[str, object]", error["ctx"])
        tag = str(context["discriminator"]).strip("'")
        if isinstance(error["input"], dict) and tag in error["input"]:
            place = (*place, tag)
    return _Found(
        place=place,
        branch=branch,
        at=at,
        rule=rule,
        sentence=_sentence(rule, error, place),
    )


def _walk(
    location: tuple[int | str, ...], document: object, rule: str
) -> tuple[tuple[object, ...], str, tuple[object, ...]]:
    """Split a location into the place in the document and the first branch label."""
    here, place, branch = document, list[object](), ""
    at: tuple[object, ...] = ()
    for index, part in enumerate(location):
        below = child(here, str(part))
        if below is not MISSING:
            here = below
            place.append(part)
        elif rule == "missing" and index == len(location) - 1:
            place.append(part)
        elif not branch and part != "[key]" and not _is_tag(here, part):
            branch, at = str(part), tuple(place)
    return tuple(place), branch, at


def _is_tag(value: object, part: object) -> bool:
    """Tell whether `part` is the tag of a tagged union, which picks one branch."""
    return is_object(value) and any(
        part == member for member in value.values() if isinstance(member, str | int)
    )


def _sentence(rule: str, error: Mapping[str, object], place: Iterable[object]) -> str:
    context = cast("Mapping[str, object]", error.get("ctx", {}))
    template = _SENTENCES.get(rule)
    if template is None or (rule == "literal_error" and " or " not in str(context)):
        text = _own_words(rule, str(error["msg"]), context)
    else:
        text = template.format(**context)
    if rule in _WITHOUT_VALUE or rule == "union_tag_not_found":
        return text
    value = error.get("input")
    if rule == "union_tag_invalid":
        value = context["tag"]
    return f"{text}; the answer has {show(value, path=join(place))}"


def _own_words(rule: str, message: str, context: Mapping[str, object]) -> str:
    """Keep the words of a validator or of pydantic, in the style of the others."""
    if rule in {"value_error", "assertion_error"} and context.get("error"):
        message = str(context["error"])
    message = message.replace("Input should be", "must be").rstrip(".")
    return shorten(" ".join(message.split()), 200) or "is not valid"


def _union(at: tuple[object, ...], branches: list[_Found]) -> list[Violation]:
    """Say one thing about a value that fits no branch of a union.

    Where every branch asks for another type, the types are joined; else the branch
    that got furthest into the value, with the fewest errors, is the one meant.
    """
    if all(len(found.place) == len(at) for found in branches):
        message = _joined([found.sentence for found in branches])
        return [Violation(path=join(at), message=message, check="union")]
    by_branch: dict[str, list[_Found]] = defaultdict(list)
    for found in branches:
        by_branch[found.branch].append(found)
    label, best = min(by_branch.items(), key=lambda item: _misfit(item[1], at))
    return [_violation(found, f" (read as `{label}`)") for found in best]


def _joined(sentences: list[str]) -> str:
    """Join `must be A; the answer has X` and `must be B; ...` into one sentence."""
    split = [sentence.partition("; the answer has ") for sentence in sentences]
    wanted = list(dict.fromkeys(want.removeprefix("must be ") for want, _, _ in split))
    _, mark, shown = split[0]
    return f"must be {oxford(wanted)}{mark}{shown}"


def _misfit(errors: list[_Found], at: tuple[object, ...]) -> tuple[int, int, int]:
    """Order branches: of another type last, then a wrong tag, then by error count."""
    wrong_type = any(len(found.place) == len(at) for found in errors)
    wrong_tag = any(found.rule in {"literal_error", "enum"} for found in errors)
    return wrong_type, wrong_tag, len(errors)
