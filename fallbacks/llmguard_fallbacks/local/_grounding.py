"""Grounding: an extracted value must be one that stands in the input, or null."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from llmguard.errors import ConfigError

__all__ = ["candidates", "compile_rules", "ground"]

_MOST: Final = 200
"""Candidates per field; a text with more is no text to extract one from."""


def compile_rules(rules: Any) -> dict[str, re.Pattern[str]]:
    """Read the pin's option `ground`: field name or JSON pointer -> pattern.

    Raises:
        ConfigError: It is not a table of valid patterns.
    """
    if not hasattr(rules, "items"):
        raise ConfigError(
            f"`ground` must map fields to patterns, not {rules!r}; write "
            '`ground = { order_id = "[0-9]{5,}" }` in the pin\'s options'
        )
    compiled: dict[str, re.Pattern[str]] = {}
    for name, pattern in rules.items():
        try:
            compiled[str(name)] = re.compile(str(pattern))
        except re.error as error:
            raise ConfigError(
                f"`ground` has a wrong pattern {pattern!r} for {name!r}: {error}"
            ) from error
    return compiled


def candidates(pattern: re.Pattern[str], texts: Iterable[str]) -> list[str]:
    """Return what the pattern finds, first occurrence first: group 1 if it has one."""
    group = 1 if pattern.groups else 0
    found = (m[group] for text in texts for m in pattern.finditer(text))
    return list(dict.fromkeys(v for v in found if v))[:_MOST]


def ground(
    schema: Mapping[str, Any],
    rules: Mapping[str, re.Pattern[str]],
    texts: Sequence[str],
) -> dict[str, Any]:
    """Return `schema` with each ruled field limited to its candidates and null.

    Whether null is allowed at all remains for `schema` to say.

    Args:
        schema: JSON Schema of the answer.
        rules: Field name, or JSON pointer of nested ones, to the pattern to look for.
        texts: The input.
    """
    parts = [
        _at(name, {"enum": [*candidates(pattern, texts), None]})
        for name, pattern in rules.items()
    ]
    return (
        {**schema, "allOf": [*schema.get("allOf", ()), *parts]} if parts else {**schema}
    )


def _at(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    steps = name[1:].split("/") if name.startswith("/") else [name]
    for step in reversed(steps):
        key = step.replace("~1", "/").replace("~0", "~")
        schema = {"properties": {key: schema}}
    return schema
