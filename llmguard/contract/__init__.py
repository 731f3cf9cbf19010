"""What an answer must be: a schema, a parse mode and checks, and a verdict on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._check import Check, Result
from ._contract import Contract
from ._parse import MAX_DEPTH, ParseMode
from ._refusal import is_refusal
from ._verdict import MAX_VIOLATIONS, Verdict

if TYPE_CHECKING:
    from ._jsonschema import missing_formats

__all__ = [
    "MAX_DEPTH",
    "MAX_VIOLATIONS",
    "Check",
    "Contract",
    "ParseMode",
    "Result",
    "Verdict",
    "is_refusal",
    "missing_formats",
]


def __getattr__(name: str) -> object:
    # Only contracts on a JSON Schema dict need it, and it is half of the import time.
    if name == "missing_formats":
        from ._jsonschema import missing_formats

        return missing_formats
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
