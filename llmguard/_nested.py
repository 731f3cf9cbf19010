"""JSON and TOML from outside, however deeply somebody nested it.

Python's parsers raise `RecursionError` where a document is nested too deeply: no
`ValueError`, so that readers who expect one let it through as a crash.
"""

from __future__ import annotations

import json
from typing import Any

__all__ = ["read_json", "read_toml"]


def read_json(text: str | bytes) -> Any:
    """Return what a JSON text holds.

    Raises:
        ValueError: It is no JSON, no UTF-8, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply to read") from None


def read_toml(text: str) -> dict[str, Any]:
    """Return what a TOML text holds.

    Raises:
        ValueError: It is no TOML, or nested too deeply.
    """
    import tomllib

    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply to read") from None
