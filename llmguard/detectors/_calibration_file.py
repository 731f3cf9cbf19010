"""The JSON document that holds a calibration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, cast

from .._nested import read_json
from ..errors import ConfigError

__all__ = ["read_fields", "write_fields"]

_FORMAT: Final = 1
_NEEDED: Final = frozenset({"detector", "family", "tp", "fn", "tn", "fp"})


def write_fields(values: Mapping[str, Any]) -> str:
    """Return the fields of a calibration as a JSON document."""
    return json.dumps({"format": _FORMAT, **values}, indent=2) + "\n"


def read_fields(text: str, types: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a calibration from what `write_fields` wrote.

    Args:
        text: The document.
        types: Names of the fields, each with the name of its type.

    Raises:
        ConfigError: No JSON, another format, or a field missing, unknown or of
            another type.
    """
    try:
        document: object = read_json(text)
    except ValueError as error:
        raise ConfigError(f"a calibration is JSON; {error}") from error
    held = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
    if held.pop("format", None) != _FORMAT:
        raise ConfigError(
            "not a calibration of this version of llmguard; write it again with "
            "`llmguard suite calibrate`"
        )
    wrong = {
        key for key, value in held.items() if type(value).__name__ != types.get(key)
    }
    if wrong or not held.keys() >= _NEEDED:
        raise ConfigError(
            f"a calibration holds {', '.join(types)}; check "
            f"{', '.join(sorted(wrong)) or 'what is missing'}"
        )
    return held
