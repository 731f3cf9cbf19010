"""A report as a JSON document, and back."""

from __future__ import annotations

import json as _json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, cast

from ..._nested import read_json
from ...errors import ConfigError
from .._report import Report

__all__ = ["document", "finite", "json", "load"]

_FORMAT: Final = 1


def document(report: Report) -> dict[str, Any]:
    """Return a report as JSON-able data; numbers without end become words."""
    return cast("dict[str, Any]", finite(asdict(report)))


def json(report: Report) -> str:
    """Return a report as one JSON document, keys sorted."""
    found = document(report)
    text = _json.dumps(found, indent=2, sort_keys=True, ensure_ascii=False, default=str)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character, which no file in UTF-8 holds
        return _json.dumps(found, indent=2, sort_keys=True, default=str)
    return text


def load(source: str | Path | Mapping[str, Any]) -> Report:
    """Return the report of a document, of its text, or of the file that holds it.

    Raises:
        ConfigError: It is no report, or one of a newer version.
    """
    from pydantic import TypeAdapter, ValidationError

    given, name = _read(source)
    if given.get("format") != _FORMAT:
        raise ConfigError(
            f"{name} has the report format {given.get('format')!r} and this llmguard "
            f"reads {_FORMAT}: write it with `llmguard suite run --json`, or "
            "`pip install --upgrade llmguard-toolkit`"
        )
    try:
        return TypeAdapter(Report).validate_python(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = "/".join(map(str, first["loc"]))
        raise ConfigError(
            f"{name} is no report: {where} is {first['input']!r} ({first['msg']}); "
            "write it with `llmguard suite run --json`"
        ) from error


def _read(source: str | Path | Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    if isinstance(source, Mapping):
        return source, "the document"
    if isinstance(source, str) and source.lstrip().startswith("{"):
        text, name = source, "the text"
    else:
        name = repr(str(source))
        try:
            text = Path(source).read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"the report {name} cannot be read: {error}") from error
    try:
        found: object = read_json(text)
    except ValueError as error:
        raise ConfigError(f"{name} is no JSON: {error}") from error
    if not isinstance(found, Mapping):
        raise ConfigError(f"{name} is no report: it holds {type(found).__name__}")
    return cast("Mapping[str, Any]", found), name


def finite(value: Any) -> Any:
    """Replace what JSON has no word for; `load` reads the words as numbers again."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        named = cast("Mapping[str, Any]", value)
        return {str(name): finite(each) for name, each in named.items()}
    if isinstance(value, (list, tuple)):
        return [finite(each) for each in cast("list[Any]", value)]
    return value
