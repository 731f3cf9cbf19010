"""A report as a JSON document, and back."""

from __future__ import annotations

import json as _json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, cast

from ..._nested import read_json
from ...errors import ConfigError
from ...suite.render._document import finite
from .._report import Report

__all__ = ["document", "json", "load"]

_FORMAT: Final = 1


def document(report: Report) -> dict[str, Any]:
    """Return a report as JSON-able data; numbers without end become words."""
    found = cast("dict[str, Any]", finite(asdict(report)))
    return {"kind": "shadow", **found, "alarm": report.alarm}


def json(report: Report) -> str:
    """Return a report as one JSON document, keys sorted."""
    return _json.dumps(document(report), indent=2, sort_keys=True, default=str)


def load(source: Path | Mapping[str, Any]) -> Report:
    """Return the report of a document, or of the file that holds it.

    Raises:
        ConfigError: It is no report, or one of a newer version.
    """
    from pydantic import TypeAdapter, ValidationError

    name = "the document" if isinstance(source, Mapping) else repr(str(source))
    given = source if isinstance(source, Mapping) else _read(source)
    if given.get("kind") != "shadow" or given.get("format") != _FORMAT:
        raise ConfigError(
            f"{name} is no shadow report of format {_FORMAT}: write one with "
            "`llmguard shadow compare --json`"
        )
    bare = {k: v for k, v in given.items() if k not in {"kind", "alarm"}}
    try:
        return TypeAdapter(Report).validate_python(bare)
    except ValidationError as error:
        first = error.errors()[0]
        where = "/".join(map(str, first["loc"]))
        raise ConfigError(
            f"{name} is no report: {where} is {first['input']!r} ({first['msg']}); "
            "write it with `llmguard shadow compare --json`"
        ) from error


def _read(path: Path) -> Mapping[str, Any]:
    try:
        found: object = read_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"the report {str(path)!r} cannot be read: {error}"
        ) from error
    except ValueError as error:
        raise ConfigError(f"{str(path)!r} is no JSON: {error}") from error
    if not isinstance(found, Mapping):
        raise ConfigError(f"{str(path)!r} is no report: it holds no object")
    return cast("Mapping[str, Any]", found)
