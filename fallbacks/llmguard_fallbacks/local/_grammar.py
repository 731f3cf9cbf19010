"""From a JSON Schema to a validated llguidance grammar, or a refusal.

Every stock path from a schema to constrained decoding fails open somewhere, so the
grammar is built and validated before a single token is drawn.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import Any, Final

from ._imports import load
from ._schema import LADDER, Finite, Limits, SchemaRefusedError, make_finite
from ._schema_types import Node

__all__ = ["Grammar", "compile_first", "compile_grammar", "refuses"]

_OPTIONS: Final[Any] = {
    # Flexible white space lets a small model emit blank lines for ever.
    "whitespace_flexible": False,
    # Branches that may overlap are reported by `make_finite` and checked afterwards.
    "coerce_one_of": True,
    # `\u` escapes would make a character six bytes long, and read badly.
    "json_allowed_escapes": '"\\nt',
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grammar:
    """A grammar that llguidance has accepted.

    Attributes:
        text: The grammar, for `llguidance.LLMatcher`.
        finite: The finite schema it was made from.
    """

    text: str
    finite: Finite


def refuses(schema: Node) -> str:
    """Return why llguidance does not take `schema`, on one line; `""` when it does."""
    return _refuses(json.dumps(schema, sort_keys=True))


@functools.lru_cache(maxsize=4096)
def _refuses(schema: str) -> str:
    matcher = load("llguidance").LLMatcher

    try:
        text = matcher.grammar_from_json_schema(schema, overrides=_OPTIONS)
    except ValueError as error:
        return str(error)
    failed, messages = matcher.validate_grammar_with_warnings(text)
    if not failed:
        return ""
    lines = [x.strip() for x in str(messages[0]).splitlines() if x.strip()]
    return lines[-1] if lines else "refused without a reason"


def compile_grammar(schema: Any, *, limits: Limits = LADDER[0]) -> Grammar:
    """Return the grammar of the finite form of `schema`.

    Raises:
        SchemaRefusedError: The schema has no finite form, or llguidance refuses it.
    """
    matcher = load("llguidance").LLMatcher
    finite = make_finite(schema, limits=limits, refuses=refuses)
    problem = refuses(finite.schema)
    if problem:
        raise SchemaRefusedError(f"llguidance refuses the grammar: {problem}")
    text = matcher.grammar_from_json_schema(
        json.dumps(finite.schema), overrides=_OPTIONS
    )
    return Grammar(text=text, finite=finite)


def compile_first(schema: Any) -> tuple[int, Grammar]:
    """Return the first rung of the ladder that compiles, and its grammar.

    A schema that is too large with room for long texts may do with less.

    Raises:
        SchemaRefusedError: No rung compiles; the reason is that of the first.
    """
    reason = None
    for rung, limits in enumerate(LADDER):
        try:
            return rung, compile_grammar(schema, limits=limits)
        except SchemaRefusedError as error:
            reason = reason or error
    assert reason is not None  # noqa: S101 - the ladder has rungs
    raise reason
