"""Whether an answer fits the JSON Schema that its ticket was asked with."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from .._linear import with_linear_patterns
from ..outcome import Violation

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

__all__ = ["answer_violations", "encode_answer"]


def encode_answer(value: object) -> str | None:
    """Return the JSON text of an answer, or None when it is not JSON."""
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        return None


def answer_violations(
    schema: Mapping[str, object] | None, value: object
) -> tuple[Violation, ...]:
    """Return what is wrong with an answer, one violation per place.

    Remote references are not fetched; formats are checked. Semantic checks of the
    contract are Python functions of the asking program, which runs them when the
    answer is delivered.

    Args:
        schema: JSON Schema, draft 2020-12 unless its `$schema` says otherwise.
        value: A JSON value.
    """
    if encode_answer(value) is None:
        sentence = f"must be a JSON value, but is {type(value).__name__!r}"
        return (Violation(path="", message=sentence, check="json"),)
    if schema is None:
        return ()
    # Imported here: only those who answer need them.
    from jsonschema import Draft202012Validator, validators
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    found_kind = validators.validator_for(schema, default=Draft202012Validator)
    kind: Any = with_linear_patterns(found_kind, "")
    # An empty registry resolves references within the schema and nothing else.
    registry = cast("Any", Registry)()
    validator = kind(
        cast("Any", schema), registry=registry, format_checker=kind.FORMAT_CHECKER
    )
    try:
        found = _violations(validator.iter_errors(cast("Any", value)))
        return tuple(dict.fromkeys(found))
    except (RecursionError, Unresolvable, re.error) as error:
        # Fail closed: what cannot be checked is not accepted.
        why = str(error) or type(error).__name__
        sentence = f"cannot be checked, because the schema of the ticket fails: {why}"
        return (Violation(path="", message=sentence, check="schema"),)


def _violations(errors: Iterable[ValidationError]) -> Iterable[Violation]:
    for error in sorted(errors, key=lambda one: [str(part) for part in one.path]):
        yield Violation(
            path="".join(f"/{_escape(part)}" for part in error.absolute_path),
            message=_sentence(error),
            check=str(error.validator),
        )


def _sentence(error: ValidationError) -> str:
    given = json.dumps(error.instance)
    given = given if len(given) <= 60 else given[:57] + "..."  # noqa: PLR2004 - a line
    wanted: Any = error.validator_value
    if error.validator in {"enum", "const"}:
        allowed = wanted if error.validator == "enum" else [wanted]
        names = ", ".join(json.dumps(one) for one in allowed)
        return f"is {given}, but must be one of {names}"
    if error.validator == "type":
        kinds = wanted if isinstance(wanted, str) else " or ".join(wanted)
        return f"is {given}, but must be of type {kinds}"
    if error.validator in {"anyOf", "oneOf"} and error.context:
        ways = "; or ".join(dict.fromkeys(_sentence(one) for one in error.context))
        return f"fits none of the alternatives: {ways}"
    return str(error.message)


def _escape(part: object) -> str:
    """Escape one step of a JSON pointer (RFC 6901)."""
    return str(part).replace("~", "~0").replace("/", "~1")
