"""What an answer must be: a schema, a parse mode and checks, and a verdict on it."""

from __future__ import annotations

from ._check import Check, Result
from ._contract import Contract
from ._jsonschema import missing_formats
from ._parse import MAX_DEPTH, ParseMode
from ._refusal import is_refusal
from ._verdict import MAX_VIOLATIONS, Verdict

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
